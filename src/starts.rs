//! Since when each counter counts, across runs. Pure.
//!
//! Where a collector says since when all of its counters count, that is it. Of any other counter it is only known when
//! it was first seen: then it begins at that reading, which is OpenTelemetry's way to say that what was before is not
//! known. A counter that falls began anew, nobody knows when, and begins at the reading that is lower.
//!
//! A start stays as it was said first, for as long as the counter grows: another one would mean that it began anew.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use collectors::batch::Batch;

use crate::rates::{READING_KEPT_MS, READINGS_MAX, number, series, target_of};
use crate::state::Reading;

/// What is known beside the datapoints.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the last run left; `None` where nothing can be kept.
    pub before: Option<&'a BTreeMap<String, Reading>>,
    /// Since when all counters count, where the collector knows.
    pub since_ms: Option<i64>,
    /// The target whose counters begin anew with each boot.
    pub host: &'a str,
    /// Whether there was no boot since the last run.
    pub same_boot: bool,
    /// The run's clock, in milliseconds since 1970.
    pub now_ms: i64,
}

/// When each counter of a batch began, by place. `readings` are those that the next run gets; starts are put into
/// them, and the readings of series that are away this time.
pub fn find(
    batch: &Batch,
    known: Known<'_>,
    readings: &mut BTreeMap<String, Reading>,
) -> Arc<[Option<i64>]> {
    let mut starts = vec![None; batch.len()];
    // A source may tell several moments of a series at once.
    let mut latest: BTreeMap<String, Reading> = BTreeMap::new();
    for (point, start) in batch.points().iter().zip(&mut starts) {
        let Some(value) = number(&batch.value(point)).filter(|_| point.data_type.is_counter())
        else {
            continue;
        };
        let series = series(batch, point);
        let reading = Reading { value, timestamp_ms: point.timestamp_ms, start_ms: None };
        let start_ms = match (latest.get(&series), known.last(&series)) {
            (None, Some(last)) => known.start(Some(&known.in_order(last, &reading)), &reading),
            (last, _) => known.start(last, &reading),
        };
        let Some(start_ms) = start_ms else { continue };
        let is_known = known.before.is_some() || known.since_ms == Some(start_ms);
        *start = is_known.then_some(start_ms);
        latest.insert(series, Reading { start_ms: Some(start_ms), ..reading });
    }
    if let Some(before) = known.before {
        let forgotten = known.keep(before, latest, readings);
        if !forgotten.is_empty() {
            // The next run would say another start, which would mean that they began anew.
            for (point, start) in batch.points().iter().zip(&mut starts) {
                let is_said_again = *start == known.since_ms;
                if !is_said_again && forgotten.contains(&series(batch, point)) {
                    *start = None;
                }
            }
        }
    }
    starts.into()
}

impl Known<'_> {
    /// The reading of the last run, where it says when the counter began and no boot has ended it.
    fn last(&self, series: &str) -> Option<&Reading> {
        let last = self.before?.get(series).filter(|last| last.start_ms.is_some())?;
        let has_ended = !self.same_boot && target_of(series).as_deref() == Some(self.host);
        (!has_ended).then_some(last)
    }

    /// The reading of the last run, no later than the one of now where the clock was ahead: it would make all readings old
    /// until the clock has come there.
    fn in_order<'a>(&self, last: &'a Reading, now: &Reading) -> Cow<'a, Reading> {
        let was_ahead = last.timestamp_ms > self.now_ms && last.timestamp_ms > now.timestamp_ms;
        if was_ahead {
            Cow::Owned(Reading { timestamp_ms: now.timestamp_ms, ..last.clone() })
        } else {
            Cow::Borrowed(last)
        }
    }

    /// When a counter began. `None` for a reading that is older than that: it belongs to what was before.
    fn start(&self, last: Option<&Reading>, now: &Reading) -> Option<i64> {
        let at_ms = now.timestamp_ms;
        match last {
            Some(Reading { timestamp_ms, .. }) if at_ms < *timestamp_ms => None,
            Some(last) if has_fallen(last, now) => Some(at_ms),
            // Nothing counts since the future.
            Some(Reading { start_ms: Some(start_ms), .. }) if *start_ms <= at_ms => Some(*start_ms),
            _ => Some(self.since_ms.filter(|since_ms| *since_ms <= at_ms).unwrap_or(at_ms)),
        }
    }

    /// Puts what the next run needs into its readings. Gives back the series that found no room.
    fn keep(
        &self,
        before: &BTreeMap<String, Reading>,
        latest: BTreeMap<String, Reading>,
        readings: &mut BTreeMap<String, Reading>,
    ) -> BTreeSet<String> {
        let mut forgotten = BTreeSet::new();
        // Also where the clock was ahead by more than that.
        let is_young =
            |old: &Reading| self.now_ms.abs_diff(old.timestamp_ms) < READING_KEPT_MS.unsigned_abs();
        let away = before.iter().filter(|(series, old)| {
            !latest.contains_key(*series) && is_young(old) && self.last(series).is_some()
        });
        let away: Vec<_> = away.map(|(series, old)| (series.clone(), old.clone())).collect();
        for (series, reading) in latest.into_iter().chain(away) {
            if let Some(known) = readings.get_mut(&series) {
                // The rates keep a reading that they have no use for as it was.
                let is_newer = reading.timestamp_ms >= known.timestamp_ms;
                let start_ms = reading.start_ms;
                *known = if is_newer { reading } else { Reading { start_ms, ..known.clone() } };
            } else if readings.len() < READINGS_MAX {
                readings.insert(series, reading);
            } else {
                forgotten.insert(series);
            }
        }
        forgotten
    }
}

/// Also where a 32-bit counter went past its end: what is sent is lower than before.
fn has_fallen(before: &Reading, now: &Reading) -> bool {
    let integer = |reading: &Reading| {
        let number = &reading.value;
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    };
    match (integer(before), integer(now)) {
        (Some(before), Some(now)) => now < before,
        _ => now.value.as_f64() < before.value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collectors::datapoint::{DataType, Datapoint, Value};

    fn batch(values: &[(i64, i64)]) -> Batch {
        let mut batch = Batch::default();
        for (at_ms, value) in values {
            let point = Datapoint::new("bytes", Value::Int(*value), DataType::Counter64);
            batch.push(&point.expect("a datapoint"), "h", &[], *at_ms).expect("room");
        }
        batch
    }

    fn known(before: Option<&BTreeMap<String, Reading>>) -> Known<'_> {
        Known { before, since_ms: None, host: "h", same_boot: true, now_ms: 1_000 }
    }

    /// The starts of runs, each of which gets what the one before left.
    fn starts(runs: &[&[(i64, i64)]], since_ms: Option<i64>) -> Vec<Option<i64>> {
        let mut before = BTreeMap::new();
        let mut all = Vec::new();
        for run in runs {
            let mut after = BTreeMap::new();
            let known = Known { since_ms, ..known(Some(&before)) };
            all.extend(find(&batch(run), known, &mut after).iter());
            before = after;
        }
        all
    }

    #[test]
    fn a_counter_begins_where_it_was_first_seen_and_anew_where_it_falls() {
        let runs: [&[(i64, i64)]; 5] = [&[(10, 5)], &[(20, 6)], &[(30, 1)], &[], &[(50, 1)]];
        assert_eq!(starts(&runs, None), [Some(10), Some(10), Some(30), Some(30)]);
    }

    #[test]
    fn where_the_collector_knows_it_is_that_until_it_falls() {
        let runs: [&[(i64, i64)]; 3] = [&[(10, 5)], &[(20, 6)], &[(30, 1)]];
        assert_eq!(starts(&runs, Some(3)), [Some(3), Some(3), Some(30)]);
        // A clock that was wrong: nothing counts since the future.
        assert_eq!(starts(&runs[..1], Some(11)), [Some(10)]);
    }

    #[test]
    fn several_moments_are_one_sequence_and_what_is_older_is_none_of_it() {
        let runs: [&[(i64, i64)]; 2] = [&[(10, 5), (11, 6), (12, 2)], &[(9, 1), (13, 3)]];
        assert_eq!(starts(&runs, None), [Some(10), Some(10), Some(12), None, Some(12)]);
    }

    #[test]
    fn a_run_with_the_clock_ahead_costs_no_start_of_those_after_it() {
        let find_at = |now_ms, at_ms, value, before: &BTreeMap<_, _>| {
            let (mut after, known) = (BTreeMap::new(), Known { now_ms, ..known(Some(before)) });
            let starts = find(&batch(&[(at_ms, value)]), known, &mut after);
            (starts[0], after)
        };
        const AHEAD: i64 = 10 * READING_KEPT_MS;
        let (_, first) = find_at(10, 10, 5, &BTreeMap::new());
        let (_, ahead) = find_at(AHEAD, AHEAD, 6, &first);
        // What is read by a clock of its own may be a little late.
        let (start_ms, after) = find_at(30, 29, 7, &ahead);
        assert_eq!(start_ms, Some(10));
        assert_eq!(find_at(40, 39, 8, &after).0, Some(10));
        assert_eq!(find_at(30, 30, 1, &ahead).0, Some(30));
        // Seen first with the clock ahead: nothing counts since the future.
        let (start_ms, ahead) = find_at(AHEAD, AHEAD, 5, &BTreeMap::new());
        assert_eq!(start_ms, Some(AHEAD));
        assert_eq!(find_at(30, 30, 6, &ahead).0, Some(30));
        // A series that is away does not keep such a reading for years.
        let mut away = BTreeMap::new();
        find(&batch(&[]), Known { now_ms: 30, ..known(Some(&ahead)) }, &mut away);
        assert!(away.is_empty());
        // A source whose clock is always ahead is none of this.
        let (_, first) = find_at(10, 500, 5, &BTreeMap::new());
        let (start_ms, second) = find_at(20, 510, 6, &first);
        assert_eq!((start_ms, find_at(30, 520, 7, &second).0), (Some(500), Some(500)));
    }

    #[test]
    fn a_boot_begins_the_hosts_counters_anew() {
        let mut before = BTreeMap::new();
        find(&batch(&[(10, 5)]), known(Some(&BTreeMap::new())), &mut before);
        let boot = Known { same_boot: false, ..known(Some(&before)) };
        let of = |known| find(&batch(&[(20, 6)]), known, &mut BTreeMap::new()).to_vec();
        assert_eq!(of(boot), [Some(20)]);
        assert_eq!(of(Known { host: "other", ..boot }), [Some(10)]);
        assert_eq!(of(Known { since_ms: Some(15), ..boot }), [Some(15)]);
    }

    #[test]
    fn where_nothing_is_kept_only_what_the_collector_knows_is_said() {
        let of = |known| find(&batch(&[(20, 6)]), known, &mut BTreeMap::new()).to_vec();
        assert_eq!(of(known(None)), [None]);
        assert_eq!(of(Known { since_ms: Some(15), ..known(None) }), [Some(15)]);
    }

    #[test]
    fn what_finds_no_room_has_no_start_that_the_next_run_would_not_say_again() {
        let reading = Reading { value: 5.into(), timestamp_ms: 10, start_ms: None };
        let others = (1..READINGS_MAX).map(|number| (number.to_string(), reading.clone()));
        let others: BTreeMap<_, _> = others.collect();
        let mut two = batch(&[(10, 5)]);
        let point = Datapoint::new("other", Value::Int(5), DataType::Counter64);
        two.push(&point.expect("a datapoint"), "h", &[], 10).expect("room");
        for (since_ms, expected) in
            [(None, [Some(10), None]), (Some(3), [Some(3), Some(3)]), (Some(11), [Some(10), None])]
        {
            let mut before = BTreeMap::new();
            for _ in 0..2 {
                let mut after = others.clone();
                let known = Known { since_ms, ..known(Some(&before)) };
                assert_eq!(find(&two, known, &mut after).as_ref(), expected, "{since_ms:?}");
                assert_eq!(after.len(), READINGS_MAX);
                before = after;
            }
        }
    }

    #[test]
    fn readings_of_rates_keep_their_values() {
        let mut readings = BTreeMap::new();
        let batch = batch(&[(10, 5)]);
        let name = series(&batch, &batch.points()[0]);
        let reading = Reading { value: 5.into(), timestamp_ms: 10, start_ms: None };
        readings.insert(name.clone(), reading);
        find(&batch, known(Some(&BTreeMap::new())), &mut readings);
        assert_eq!(readings[&name].start_ms, Some(10));
    }

    #[test]
    fn a_fall_is_seen_where_the_rates_kept_an_older_reading() {
        let mut before = BTreeMap::new();
        let start_of = |value: i64, at: i64, before: &mut BTreeMap<String, Reading>| {
            let batch = batch(&[(at, value)]);
            // As the rates of another key leave it.
            let mut readings = before.clone();
            let starts = find(&batch, known(Some(before)), &mut readings);
            *before = readings;
            starts[0]
        };
        assert_eq!(start_of(5, 10, &mut before), Some(10));
        assert_eq!(start_of(1_000, 20, &mut before), Some(10));
        assert_eq!(start_of(10, 30, &mut before), Some(30));
    }
}
