//! serde's words for what it met and what it wanted, in those of somebody who writes YAML.

/// How the hint ends where one of several names is wanted as the key of a map.
pub(super) const SINGLE_KEY: &str = "a single key";

/// What is wrong, and what was expected instead.
pub(super) fn plain(message: &str) -> (String, Option<String>) {
    match message.split_once(", expected ") {
        Some((what, wanted)) => (met(what), Some(expected(wanted))),
        None => (met(message), None),
    }
}

/// `invalid type: string "many"` → `wrong type: the text "many"`
fn met(what: &str) -> String {
    if let Some(kind) = what.strip_prefix("invalid type: ") {
        return format!("wrong type: {}", unexpected(kind));
    }
    if let Some(kind) = what.strip_prefix("invalid value: ") {
        return format!("wrong value: {}", unexpected(kind));
    }
    match what.strip_prefix("invalid length ") {
        Some("0") => "there is nothing in it".to_owned(),
        Some(length) => format!("wrong number of elements: {length}"),
        None => what.replacen("unknown variant `", "unknown value `", 1).replacen(
            "unknown field `",
            "unknown key `",
            1,
        ),
    }
}

/// What `serde::de::Unexpected` writes.
fn unexpected(kind: &str) -> String {
    for (serde, plain) in [
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", "the boolean "),
        ("character ", "the text "),
    ] {
        if let Some(value) = kind.strip_prefix(serde) {
            return format!("{plain}{value}");
        }
    }
    match kind {
        "sequence" => "a list",
        "map" => "a map",
        "null" | "unit value" | "Option value" => "nothing",
        "unit variant" | "newtype variant" | "tuple variant" | "struct variant" => "a map",
        other => other,
    }
    .to_owned()
}

/// What a `Visitor` of the standard library's types, of a derive, or of serde_json expects.
fn expected(wanted: &str) -> String {
    let bare = wanted.strip_prefix("a nonzero ").unwrap_or(wanted);
    let is_nonzero = bare.len() < wanted.len();
    if let Some((least, most)) = range(bare) {
        let least = if is_nonzero && least == "0" { "1" } else { least };
        return format!("a whole number from {least} to {most}");
    }
    match wanted {
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "string" | "str" | "path string" | "a character" => "text".to_owned(),
        "a sequence" | "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "map with a single key" | "string or map" => {
            format!("a map with {SINGLE_KEY}")
        }
        "unit" | "null" => "nothing".to_owned(),
        _ if starts_with_any(wanted, &["struct ", "internally tagged ", "adjacently tagged "]) => {
            "a map".to_owned()
        }
        _ if wanted.starts_with("enum ") => format!("a map with {SINGLE_KEY}"),
        _ if starts_with_any(wanted, &["tuple ", "an array of "]) => "a list".to_owned(),
        other => other.to_owned(),
    }
}

fn starts_with_any(text: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| text.starts_with(beginning))
}

/// The least and the greatest number of a type of whole numbers.
fn range(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "u8" => ("0", "255"),
        "i8" => ("-128", "127"),
        "u16" => ("0", "65535"),
        "i16" => ("-32768", "32767"),
        "u32" => ("0", "4294967295"),
        "i32" => ("-2147483648", "2147483647"),
        "u64" | "usize" => ("0", "18446744073709551615"),
        "i64" | "isize" => ("-9223372036854775808", "9223372036854775807"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::path::PathBuf;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only decoded")]
    enum Way {
        On,
        By { name: String },
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only decoded")]
    struct Options {
        name: String,
    }

    fn told<T: DeserializeOwned + std::fmt::Debug>(given: Value) -> String {
        let error = serde_json::from_value::<T>(given).expect_err("a mistake");
        let (what, wanted) = plain(&error.to_string());
        format!("{what} | {}", wanted.unwrap_or_default())
    }

    #[test]
    fn no_word_of_rust_is_told() {
        for (told, expected) in [
            (
                told::<u16>(json!("many")),
                "wrong type: the text \"many\" | a whole number from 0 to 65535",
            ),
            (
                told::<u16>(json!(70_000)),
                "wrong value: the number `70000` | a whole number from 0 to 65535",
            ),
            (
                told::<u32>(json!(1.5)),
                "wrong type: the number `1.5` | a whole number from 0 to 4294967295",
            ),
            (
                told::<u64>(json!(-1)),
                "wrong value: the number `-1` | a whole number from 0 to 18446744073709551615",
            ),
            (
                told::<usize>(json!(true)),
                "wrong type: the boolean `true` | a whole number from 0 to 18446744073709551615",
            ),
            (
                told::<i64>(json!([])),
                "wrong type: a list | a whole number from -9223372036854775808 to 9223372036854775807",
            ),
            (
                told::<NonZeroU32>(json!(0)),
                "wrong value: the number `0` | a whole number from 1 to 4294967295",
            ),
            (told::<f64>(json!("x")), "wrong type: the text \"x\" | a number"),
            (told::<bool>(json!("yes")), "wrong type: the text \"yes\" | a boolean"),
            (told::<String>(json!({})), "wrong type: a map | text"),
            (told::<String>(json!(null)), "wrong type: nothing | text"),
            (told::<PathBuf>(json!(5)), "wrong type: the number `5` | text"),
            (told::<Vec<u8>>(json!("x")), "wrong type: the text \"x\" | a list"),
            (told::<[u8; 1]>(json!([])), "there is nothing in it | a list"),
            (
                told::<serde_json::Map<String, Value>>(json!(5)),
                "wrong type: the number `5` | a map",
            ),
            (told::<Options>(json!("x")), "wrong type: the text \"x\" | a map"),
            (told::<Way>(json!({})), "wrong value: a map | a map with a single key"),
            (told::<Way>(json!(5)), "wrong type: the number `5` | a map with a single key"),
            (told::<Way>(json!("off")), "unknown value `off` | `on` or `by`"),
            (told::<Way>(json!({"by": "x"})), "wrong type: the text \"x\" | a map"),
        ] {
            assert!(told == expected || told == expected.replace(" | `", " | one of `"), "{told}");
        }
    }
}
