//! A body taken apart into two, each as the official library would have made it of its datapoints.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use crate::outputs::Part;

/// A body, its texts as they stand.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    pattoo_agent_timestamp: &'a RawValue,
    #[serde(borrow)]
    pattoo_agent_id: &'a RawValue,
    #[serde(borrow)]
    pattoo_agent_polling_interval: &'a RawValue,
    #[serde(borrow)]
    pattoo_datapoints: Datapoints<'a>,
}

#[derive(Deserialize)]
struct Datapoints<'a> {
    #[serde(borrow)]
    key_value_pairs: HashMap<u32, &'a RawValue>,
    datapoint_pairs: Vec<Vec<u32>>,
}

/// Two halves of a body; `None` for a body of a single datapoint, and for what is no body.
pub(super) fn halve(body: &[u8]) -> Option<[Part; 2]> {
    let whole: Whole<'_> = serde_json::from_slice(body).ok()?;
    let datapoints = &whole.pattoo_datapoints.datapoint_pairs;
    if datapoints.len() < 2 {
        return None;
    }
    let (first, second) = datapoints.split_at(datapoints.len() / 2);
    let part = |datapoints: &[Vec<u32>]| {
        let mut bytes = Vec::new();
        whole.write(datapoints, &mut bytes).ok()?;
        Some(Part { bytes, datapoints: datapoints.len() as u64 })
    };
    Some([part(first)?, part(second)?])
}

/// The key and the target of a body's only datapoint.
pub(super) fn subject(body: &[u8]) -> Option<String> {
    let whole: Whole<'_> = serde_json::from_slice(body).ok()?;
    let Datapoints { key_value_pairs, datapoint_pairs } = whole.pattoo_datapoints;
    let value = |name: &str| {
        datapoint_pairs.first()?.iter().find_map(|number| {
            let pair = key_value_pairs.get(number)?;
            let (known, value): (String, serde_json::Value) =
                serde_json::from_str(pair.get()).ok()?;
            (known == name).then(|| value.as_str().map_or(value.to_string(), str::to_owned))
        })
    };
    Some(format!("{} of {}", value("pattoo_key")?, value("pattoo_agent_polled_target")?))
}

impl Whole<'_> {
    /// Writes a body of these datapoints, their pairs numbered anew.
    fn write(&self, datapoints: &[Vec<u32>], to: &mut Vec<u8>) -> io::Result<()> {
        let mut numbers: HashMap<u32, usize> = HashMap::new();
        write!(
            to,
            "{{\"pattoo_agent_timestamp\": {}, \"pattoo_agent_id\": {}, \"pattoo_agent_polling_interval\": {}, \
             \"pattoo_datapoints\": {{\"key_value_pairs\": {{",
            self.pattoo_agent_timestamp, self.pattoo_agent_id, self.pattoo_agent_polling_interval
        )?;
        for pair in datapoints.iter().flatten() {
            let next = numbers.len();
            if let std::collections::hash_map::Entry::Vacant(entry) = numbers.entry(*pair) {
                let text = self.pattoo_datapoints.key_value_pairs.get(pair);
                let text = text.ok_or(io::ErrorKind::InvalidData)?;
                let comma = if next == 0 { "" } else { ", " };
                write!(to, "{comma}\"{next}\": {text}")?;
                entry.insert(next);
            }
        }
        to.extend_from_slice(b"}, \"datapoint_pairs\": [");
        for (place, pairs) in datapoints.iter().enumerate() {
            to.extend_from_slice(if place == 0 { b"[" } else { b", [" });
            for (place, pair) in pairs.iter().enumerate() {
                if place > 0 {
                    to.extend_from_slice(b", ");
                }
                json::int(numbers.get(pair).copied().unwrap_or_default(), to);
            }
            to.push(b']');
        }
        to.extend_from_slice(b"]}}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body with as many datapoints as values, each of a key of its own.
    fn body(values: &[&str]) -> Vec<u8> {
        let mut pairs = vec!["[\"shared\", \"\\u00e9\"]".to_owned()];
        let mut datapoints = Vec::new();
        for value in values {
            datapoints.push(format!("[0, {}, {}]", pairs.len(), pairs.len() + 1));
            pairs.push(format!("[\"pattoo_key\", \"{value}\"]"));
            pairs.push(format!("[\"pattoo_agent_polled_target\", \"of {value}\"]"));
        }
        let pairs: Vec<_> =
            pairs.iter().enumerate().map(|(n, p)| format!("\"{n}\": {p}")).collect();
        format!(
            "{{\"pattoo_agent_timestamp\": 1, \"pattoo_agent_id\": \"x\", \"pattoo_agent_polling_interval\": 2, \
             \"pattoo_datapoints\": {{\"key_value_pairs\": {{{}}}, \"datapoint_pairs\": [{}]}}}}",
            pairs.join(", "),
            datapoints.join(", ")
        )
        .into_bytes()
    }

    #[test]
    fn each_half_is_what_the_library_would_have_made_of_its_datapoints() {
        let [first, second] = halve(&body(&["a", "b", "c"])).expect("halves");
        assert_eq!((first.bytes, first.datapoints), (body(&["a"]), 1));
        assert_eq!((second.bytes, second.datapoints), (body(&["b", "c"]), 2));
    }

    #[test]
    fn one_datapoint_is_named_and_not_taken_apart() {
        assert_eq!(halve(&body(&["a"])), None);
        assert_eq!(subject(&body(&["a"])).as_deref(), Some("a of of a"));
        assert_eq!((halve(b"{}"), subject(b"[")), (None, None));
    }
}
