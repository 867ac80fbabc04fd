//! Rates and differences of counters across runs. Pure.
//!
//! A counter only grows. Where it is below what it was, it began anew, and nothing is known of the time between,
//! unless it is a 32-bit counter that was near its end and is near its start now. A counter of this host also begins
//! anew with each boot, however high it has come since.

use std::borrow::Cow;
use std::collections::BTreeMap;

use collectors::batch::{Batch, Point};
use collectors::datapoint::{DataType, Finite, LabelKind, Value};
use collectors::pattern::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::state::Reading;

/// A reading that was not renewed for so long is forgotten: its series is gone.
pub(crate) const READING_KEPT_MS: i64 = 86_400_000;
/// A job's readings are kept up to this many.
pub(crate) const READINGS_MAX: usize = 200_000;

/// What a job wants of its counters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The counters' keys, as shell patterns. Default: all counters.
    #[serde(default)]
    pub keys: Vec<Pattern>,
    /// What is made of them.
    pub show: Show,
    /// Whether the counter itself is sent too.
    #[serde(default = "yes")]
    pub keep_counter: bool,
}

fn yes() -> bool {
    true
}

/// What is made of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// The growth per second since the last run, as `<key>_per_second`.
    Rate,
    /// The growth since the last run, as `<key>_delta`.
    Delta,
}

/// What became of a job's counters.
#[derive(Debug, Default)]
pub struct Applied {
    /// The readings for the next run.
    pub counters: BTreeMap<String, Reading>,
    /// How many counters have nothing to be compared with: seen for the first time, or begun anew.
    pub warming_up: u64,
    /// How many rates had no room in the batch.
    pub refused: u64,
}

/// Adds rates to a batch, by what its counters were before.
///
/// `host` is the target whose counters begin anew with each boot; `same_boot` says whether there was none since.
pub fn apply(
    batch: &mut Batch,
    rates: &[Rate],
    mut before: BTreeMap<String, Reading>,
    host: &str,
    same_boot: bool,
    now_ms: i64,
) -> Applied {
    let mut applied = Applied::default();
    if rates.is_empty() {
        return applied;
    }
    if !same_boot {
        before.retain(|series, _| target_of(series).as_deref() != Some(host));
    }
    let mut dropped = vec![false; batch.len()];
    for (place, is_dropped) in dropped.iter_mut().enumerate() {
        let point = batch.points()[place];
        let wanted = point.data_type.is_counter().then(|| wanted(rates, batch.text(point.key)));
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { continue };
        *is_dropped = wanted.iter().all(|rate| !rate.keep_counter);
        let Some(value) = number(&batch.value(&point)) else { continue };
        let reading = Reading { value, timestamp_ms: point.timestamp_ms, start_ms: None };
        let series = series(batch, &point);
        // A source may tell several moments of a series at once.
        let last = applied.counters.get(&series).or_else(|| before.get(&series));
        let grown = last.and_then(|last| Growth::between(last, &reading, point.data_type));
        match grown {
            Some(grown) => {
                for rate in wanted {
                    applied.refused += u64::from(!grown.add_to(batch, point, rate.show));
                }
            }
            None => applied.warming_up += 1,
        }
        before.remove(&series);
        if applied.counters.len() < READINGS_MAX || applied.counters.contains_key(&series) {
            applied.counters.insert(series, reading);
        }
    }
    before.retain(|_, old| now_ms.saturating_sub(old.timestamp_ms) < READING_KEPT_MS);
    for (series, reading) in before {
        if applied.counters.len() < READINGS_MAX {
            applied.counters.entry(series).or_insert(reading);
        }
    }
    if dropped.contains(&true) {
        batch.retain(|place| !dropped.get(place).copied().unwrap_or(false));
    }
    applied
}

/// The rules that are about a key, each kind once.
fn wanted<'a>(rates: &'a [Rate], key: &str) -> Vec<&'a Rate> {
    let mut wanted: Vec<&Rate> = Vec::new();
    for rate in rates {
        let is_about = rate.keys.is_empty() || rate.keys.iter().any(|keys| keys.matches(key));
        if is_about && wanted.iter().all(|known| known.show != rate.show) {
            wanted.push(rate);
        }
    }
    wanted
}

pub(crate) fn number(value: &Value<'_>) -> Option<Number> {
    match value {
        Value::Int(int) => Some((*int).into()),
        Value::Uint(uint) => Some((*uint).into()),
        Value::Float(float) => Number::from_f64(float.get()),
        Value::Text(_) => None,
    }
}

/// A series as text that no other series has.
pub(crate) fn series(batch: &Batch, point: &Point) -> String {
    let labels: Vec<[&str; 2]> = batch
        .labels(point.attributes)
        .iter()
        .filter(|label| label.kind == LabelKind::Identity)
        .map(|label| [batch.text(label.name), batch.text(label.value)])
        .collect();
    let labels = serde_json::Value::from_iter(
        labels.iter().map(|label| serde_json::Value::from_iter(label.iter().copied())),
    );
    serde_json::json!([batch.text(point.key), batch.text(point.target), labels]).to_string()
}

/// The target in a series' text.
pub(crate) fn target_of(series: &str) -> Option<String> {
    let series: serde_json::Value = serde_json::from_str(series).ok()?;
    series.get(1)?.as_str().map(str::to_owned)
}

/// How much a counter has grown, and in which time.
struct Growth {
    delta: f64,
    /// `None` where a clock went back, and nobody knows.
    seconds: Option<f64>,
}

impl Growth {
    /// `None` where the counter began anew.
    fn between(before: &Reading, now: &Reading, data_type: DataType) -> Option<Self> {
        let passed_ms = now.timestamp_ms.checked_sub(before.timestamp_ms).filter(|&ms| ms > 0);
        let delta = match (integer(&before.value), integer(&now.value)) {
            (Some(before), Some(now)) => whole_delta(before, now, data_type)? as f64,
            // A float counter has no end at which it could wrap.
            _ => {
                Some(now.value.as_f64()? - before.value.as_f64()?).filter(|delta| *delta >= 0.0)?
            }
        };
        Some(Self { delta, seconds: passed_ms.map(|ms| ms as f64 / 1e3) })
    }

    /// Whether there was room for it, or nothing to add.
    fn add_to(&self, batch: &mut Batch, point: Point, show: Show) -> bool {
        let key = batch.text(point.key);
        let unit = batch.unit(point.attributes).map(str::to_owned);
        let (key, unit, value) = match show {
            Show::Rate => {
                let Some(seconds) = self.seconds else { return true };
                let unit = unit.map(|unit| Cow::from(format!("{unit}/s")));
                (format!("{key}_per_second"), unit, self.delta / seconds)
            }
            Show::Delta => (format!("{key}_delta"), unit.map(Cow::from), self.delta),
        };
        let value: Finite = match Value::float(value) {
            Ok(Value::Float(value)) => value,
            _ => return false,
        };
        batch.derive(point, &key, value, unit.as_deref()).is_ok()
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn whole_delta(before: i128, now: i128, data_type: DataType) -> Option<i128> {
    const WRAP: i128 = 1 << 32;
    let delta = now - before;
    if delta >= 0 {
        return Some(delta);
    }
    // Past its end when it was in its last quarter and is in its first; anything else began anew.
    let is_near_end = (WRAP / 4 * 3..WRAP).contains(&before) && (0..WRAP / 4).contains(&now);
    (data_type == DataType::Counter && is_near_end).then_some(delta + WRAP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use collectors::datapoint::{Datapoint, Label};

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn batch(value: Value<'static>, data_type: DataType, at_ms: i64) -> Batch {
        let mut batch = Batch::default();
        let labels = [Label::new("if", "eth0").expect("a label")];
        let point = Datapoint::new("bytes", value, data_type).expect("a datapoint").labels(&labels);
        batch.push(&Datapoint { unit: Some("bytes"), ..point }, "h", &[], at_ms).expect("room");
        batch
    }

    fn rate(show: Show) -> Rate {
        Rate { keys: Vec::new(), show, keep_counter: true }
    }

    /// The rate after two runs that saw these values, ten seconds apart.
    fn two(first: Value<'static>, second: Value<'static>, data_type: DataType) -> Option<f64> {
        two_boots(first, second, data_type, "elsewhere", true)
    }

    fn two_boots(
        first: Value<'static>,
        second: Value<'static>,
        data_type: DataType,
        host: &str,
        same_boot: bool,
    ) -> Option<f64> {
        let rates = [rate(Show::Rate)];
        let mut batch_1 = batch(first, data_type, 1_000);
        let before = apply(&mut batch_1, &rates, BTreeMap::new(), host, same_boot, 1_000);
        assert_eq!((batch_1.len(), before.warming_up), (1, 1));
        let mut batch_2 = batch(second, data_type, 11_000);
        let after = apply(&mut batch_2, &rates, before.counters, host, same_boot, 11_000);
        let Some(point) = batch_2.points().get(1) else {
            assert_eq!(after.warming_up, 1);
            return None;
        };
        assert_eq!(batch_2.text(point.key), "bytes_per_second");
        assert_eq!(batch_2.unit(point.attributes), Some("bytes/s"));
        match batch_2.value(point) {
            Value::Float(value) => Some(value.get()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rate_is_growth_by_time_and_exact_for_large_counters() {
        assert_eq!(two(Value::Int(100), Value::Int(150), DataType::Counter64), Some(5.0));
        let large = Value::Uint(u64::MAX - 10);
        assert_eq!(two(large, Value::Uint(u64::MAX), DataType::Counter64), Some(1.0));
        let float = |value| Value::float(value).expect("finite");
        assert_eq!(two(float(0.5), float(1.5), DataType::Counter64), Some(0.1));
    }

    #[test]
    fn a_32_bit_counter_wraps_and_any_other_that_falls_began_anew() {
        let near_end = Value::Int(u32::MAX.into());
        assert_eq!(two(near_end.clone(), Value::Int(9), DataType::Counter), Some(1.0));
        assert_eq!(two(near_end, Value::Int(9), DataType::Counter64), None);
        assert_eq!(two(Value::Int(1_000), Value::Int(9), DataType::Counter), None);
    }

    #[test]
    fn a_boot_begins_the_hosts_counters_anew_and_no_others() {
        let (one, two) = (Value::Int(1), Value::Int(11));
        let kind = DataType::Counter64;
        assert_eq!(two_boots(one.clone(), two.clone(), kind, "h", false), None);
        assert_eq!(two_boots(one.clone(), two.clone(), kind, "h", true), Some(1.0));
        assert_eq!(two_boots(one, two, kind, "other", false), Some(1.0));
    }

    #[test]
    fn both_kinds_can_be_had_and_the_counter_left_out() -> Tested {
        let rates = [
            Rate { keep_counter: false, ..rate(Show::Delta) },
            Rate { keys: vec![Pattern::parse("b*")?], keep_counter: false, ..rate(Show::Rate) },
            Rate { keys: vec![Pattern::parse("x*")?], ..rate(Show::Rate) },
        ];
        let mut first = batch(Value::Int(1), DataType::Counter64, 0);
        let before = apply(&mut first, &rates, BTreeMap::new(), "", true, 0);
        assert_eq!(first.len(), 0);
        let mut second = batch(Value::Int(31), DataType::Counter64, 10_000);
        apply(&mut second, &rates, before.counters, "", true, 10_000);
        let keys: Vec<_> = second.points().iter().map(|point| second.text(point.key)).collect();
        assert_eq!(keys, ["bytes_delta", "bytes_per_second"]);
        Ok(())
    }

    #[test]
    fn several_moments_of_a_series_and_a_clock_that_goes_back_lose_no_growth() {
        let rates = [Rate { keep_counter: false, ..rate(Show::Delta) }];
        let mut first = batch(Value::Int(100), DataType::Counter64, 10_000);
        let before = apply(&mut first, &rates, BTreeMap::new(), "", true, 0).counters;
        let mut second = batch(Value::Int(110), DataType::Counter64, 1_000);
        let labels = [Label::new("if", "eth0").expect("a label")];
        for value in [120, 130] {
            let value = Value::Int(value);
            let point = Datapoint::new("bytes", value, DataType::Counter64).expect("a datapoint");
            second.push(&point.labels(&labels), "h", &[], 2_000).expect("room");
        }
        let applied = apply(&mut second, &rates, before, "", true, 0);
        let deltas: Vec<_> = second.points().iter().map(|point| second.value(point)).collect();
        let ten = Value::float(10.0).expect("finite");
        assert_eq!((deltas, applied.warming_up), (vec![ten.clone(), ten.clone(), ten], 0));
    }

    #[test]
    fn readings_of_another_boot_are_forgotten_also_where_a_series_is_away() {
        let rates = [rate(Show::Rate)];
        let mut first = batch(Value::Int(1), DataType::Counter64, 0);
        let before = apply(&mut first, &rates, BTreeMap::new(), "h", true, 0).counters;
        let mut gauge = batch(Value::Int(1), DataType::Int, 0);
        assert_eq!(apply(&mut gauge, &rates, before, "h", false, 0).counters.len(), 0);
    }

    #[test]
    fn a_series_that_was_away_for_a_run_is_remembered_and_a_gauge_has_no_rate() {
        let rates = [rate(Show::Rate)];
        let mut first = batch(Value::Int(1), DataType::Counter64, 0);
        let before = apply(&mut first, &rates, BTreeMap::new(), "", true, 0).counters;
        let mut gauge = batch(Value::Int(1), DataType::Int, 0);
        let kept = apply(&mut gauge, &rates, before.clone(), "", true, READING_KEPT_MS - 1);
        assert_eq!((kept.counters.len(), kept.warming_up, gauge.len()), (1, 0, 1));
        let gone = apply(&mut gauge, &rates, before, "", true, READING_KEPT_MS);
        assert_eq!(gone.counters.len(), 0);
    }
}
