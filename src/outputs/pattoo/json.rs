//! JSON as Python's `json.dumps` writes it by default: `", "` and `": "`, everything outside ASCII escaped.

use collectors::datapoint::{Value, python_float};

/// Appends `text` as a JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(end) = rest.bytes().position(needs_escape) {
        // What was skipped is ASCII, so `end` is a character's first byte.
        let (plain, tail) = rest.split_at(end);
        out.extend_from_slice(plain.as_bytes());
        let mut characters = tail.chars();
        if let Some(character) = characters.next() {
            escape(character, out);
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// Appends an integer.
pub(super) fn int(int: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
}

/// Appends a finite float: the shortest text that reads back the same, `732.0`, `1e+21`, `1e-07`.
pub(super) fn float(number: f64, out: &mut Vec<u8>) {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        // Where both write without an exponent they write the same; the others are rare.
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    } else {
        out.extend_from_slice(python_float(number).as_bytes());
    }
}

/// Appends a datapoint's value.
pub(super) fn value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Int(number) => int(*number, out),
        Value::Uint(number) => int(*number, out),
        Value::Float(number) => float(number.get(), out),
        Value::Text(text) => string(text, out),
    }
}

fn needs_escape(byte: u8) -> bool {
    !matches!(byte, b' '..=b'~') || byte == b'"' || byte == b'\\'
}

fn escape(character: char, out: &mut Vec<u8>) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(HEX[usize::from(*unit >> shift & 0xf)]);
                }
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn text_is_escaped_as_python_escapes_it() {
        // json.dumps('"\\/\n\r\t\b\f\x00\x1f ~\x7f\x80é€\u2028😀') of Python 3.11
        let expected = concat!(
            r#""\"\\/\n\r\t\b\f\u0000\u001f ~"#,
            r#"\u007f\u0080\u00e9\u20ac\u2028\ud83d\ude00""#
        );
        let text = "\"\\/\n\r\t\u{8}\u{c}\0\u{1f} ~\u{7f}\u{80}é€\u{2028}😀";
        assert_eq!(written(|out| string(text, out)), expected);
    }

    proptest! {
        #[test]
        fn text_survives_a_json_reader(text: String) {
            let json = written(|out| string(&text, out));
            prop_assert!(json.is_ascii());
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
        }

        #[test]
        fn floats_are_written_as_the_datapoint_model_writes_them(bits: u64, exponent in -330..310_i32) {
            let of_any_size = f64::from_bits(bits);
            #[expect(clippy::cast_precision_loss, reason = "any number will do")]
            let of_common_size = bits as f64 / 2_f64.powi(64) * 10_f64.powi(exponent);
            for number in [of_any_size, of_common_size, of_common_size.round()] {
                if number.is_finite() {
                    prop_assert_eq!(written(|out| float(number, out)), python_float(number));
                }
            }
        }
    }
}
