//! A metric as the services know it.

use std::fmt::Write;

use md5::{Digest, Md5};
use serde::{Serialize, Serializer};

use super::super::graphite::naming::{Named, Number};

/// A datapoint, and what else the services ask for.
pub(super) struct Metric<'a> {
    pub(super) named: &'a Named,
    /// In seconds.
    pub(super) interval: u64,
    pub(super) unit: &'a str,
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Uint(uint) => serializer.serialize_u64(*uint),
            Self::Float(float) => serializer.serialize_f64(*float),
        }
    }
}

impl Metric<'_> {
    fn tags(&self) -> Vec<String> {
        let tags = self.named.tags.iter();
        let mut tags: Vec<_> = tags.map(|(name, value)| format!("{name}={value}")).collect();
        tags.sort_unstable();
        tags
    }

    pub(super) fn for_grafana_cloud(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Json<'a> {
            name: &'a str,
            interval: u64,
            value: Number,
            time: i64,
            tags: Vec<String>,
        }
        let Named { name, value, time, .. } = self.named;
        let (interval, tags) = (self.interval, self.tags());
        serde_json::to_string(&Json { name, interval, value: *value, time: *time, tags })
    }

    pub(super) fn for_tsdb_gw(&self, org: u32, is_counter: bool) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Json<'a> {
            id: String,
            org_id: u32,
            name: &'a str,
            metric: &'a str,
            interval: u64,
            value: Number,
            unit: &'a str,
            time: i64,
            mtype: &'a str,
            tags: Vec<String>,
        }
        let Named { name, value, time, .. } = self.named;
        let Self { interval, unit, .. } = *self;
        let (mtype, tags) = (if is_counter { "counter" } else { "gauge" }, self.tags());
        serde_json::to_string(&Json {
            id: id(org, name, unit, mtype, interval, &tags),
            org_id: org,
            name,
            metric: name,
            interval,
            value: *value,
            unit,
            time: *time,
            mtype,
            tags,
        })
    }
}

/// The identity of a metric in Metrictank. `tags` are sorted.
fn id(org: u32, metric: &str, unit: &str, mtype: &str, interval: u64, tags: &[String]) -> String {
    let interval = interval.to_string();
    let mut digest = Md5::new();
    let parts = [metric, unit, mtype, &interval].into_iter().chain(tags.iter().map(String::as_str));
    for (place, part) in parts.enumerate() {
        if place > 0 {
            digest.update([0]);
        }
        digest.update(part);
    }
    let mut id = format!("{org}.");
    for byte in digest.finalize() {
        // A string takes all that is written.
        write!(id, "{byte:02x}").ok();
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_test_vectors() {
        let name = "raintank.apps.ns1.zones.example_com.qps";
        assert_eq!(id(1, name, "ms", "gauge", 300, &[]), "1.8e3c2f06a05f0bc27cdc923ad9229fe4");
        let tags = ["a=b".to_owned(), "foo=bar".to_owned()];
        let expected = "1.8f7af4e0e8557221bed429e82b2f187e";
        assert_eq!(id(1, "test.metric", "", "gauge", 10, &tags), expected);
    }
}
