//! What an event asks for. Any JSON is an event: what is not known of it asks for nothing.
//!
//! | key | what it asks for |
//! |---|---|
//! | `time` | the run's clock, RFC 3339; EventBridge sets it |
//! | `only` | the ids of the jobs to run |
//! | `once` | `true`: also jobs whose turn is later |
//! | `shard` | `"3/16"`: only the jobs of that shard |
//! | `dry_run` | `true`: what would be sent is answered, and nothing is sent or saved |

use std::time::Duration;

use serde_json::Value;

use super::failure::Failure;
use crate::shard::Shard;

/// What an event asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) time_ms: Option<i64>,
    pub(super) only: Vec<String>,
    pub(super) is_once: bool,
    pub(super) shard: Option<Shard>,
    pub(super) is_dry_run: bool,
}

impl Asked {
    /// Reads an event. What is asked for wrongly is an error: running all jobs instead would be worse than none.
    pub(super) fn of(event: &Value) -> Result<Self, Failure> {
        let wrong = |key: &str, expected: &str, value: &Value| {
            let given: String = value.to_string().chars().take(100).collect();
            Failure::Event(format!("`{key}` is {given}, expected {expected}"))
        };
        let given = |key: &str| event.get(key).filter(|value| !value.is_null());
        let flag = |key: &str| match given(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(wrong(key, "true or false", value)),
        };
        let only = match given("only") {
            None => Vec::new(),
            Some(value) => {
                let ids = value.as_array().and_then(|ids| {
                    ids.iter().map(|id| id.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
                });
                // No id at all would mean every job.
                let ids = ids.filter(|ids| !ids.is_empty());
                ids.ok_or_else(|| wrong("only", "a list of job ids", value))?
            }
        };
        let shard = match given("shard") {
            None => None,
            Some(Value::String(text)) => {
                Some(Shard::parse(text).map_err(|error| Failure::Event(error.to_string()))?)
            }
            Some(value) => return Err(wrong("shard", "a text such as \"3/16\"", value)),
        };
        Ok(Self {
            time_ms: given("time").and_then(time_ms),
            only,
            is_once: flag("once")?,
            shard,
            is_dry_run: flag("dry_run")?,
        })
    }
}

/// A time that is none is somebody else's, as in an event made by hand.
fn time_ms(value: &Value) -> Option<i64> {
    let time: Result<jiff::Timestamp, _> = value.as_str()?.parse();
    let time = time.inspect_err(|_| log::warn!("the event's `time` is no time, and not used"));
    Some(time.ok()?.as_millisecond())
}

/// The run's clock: the event's time, so that an event that is delivered twice gives the same timestamps. An event that
/// is further from now than the runs are from each other says nothing about now, nor does one that a younger one has
/// overtaken: by `starts`, when the jobs last started, which no clock goes back behind. Then a warning says so.
pub(super) fn clock(
    event_ms: Option<i64>,
    wall_ms: i64,
    interval: Duration,
    starts: &[i64],
) -> (i64, Option<String>) {
    let Some(event_ms) = event_ms else { return (wall_ms, None) };
    let apart = Duration::from_millis(wall_ms.abs_diff(event_ms));
    if apart <= interval {
        // A start that is still to come is of a clock that was wrong.
        let is_overtaken = starts.iter().any(|start| (event_ms + 1..=wall_ms).contains(start));
        let warning = "the event comes after a younger one: the run's clock is the present";
        return match is_overtaken {
            true => (wall_ms, Some(warning.to_owned())),
            false => (event_ms, None),
        };
    }
    let when = if event_ms < wall_ms { "old" } else { "ahead" };
    let apart = Duration::from_secs(apart.as_secs());
    let apart = jiff::SignedDuration::try_from(apart).unwrap_or(jiff::SignedDuration::MAX);
    let warning = format!("the event is {apart:#} {when}: the run's clock is the present");
    (wall_ms, Some(warning))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_of_any_shape_ask_for_a_plain_run() {
        let hello = json!({"key1": "value1", "key2": "value2"});
        let records = json!({"Records": [{"body": "x"}]});
        for event in [json!({}), json!(null), json!([1, 2]), json!("x"), json!(1), hello, records] {
            assert_eq!(Asked::of(&event).expect("a plain run"), Asked::default(), "{event}");
        }
    }

    #[test]
    fn what_eventbridge_sends_sets_the_clock() {
        let scheduler = json!({
            "version": "0", "id": "6f2b", "detail-type": "Scheduled Event",
            "source": "aws.scheduler", "account": "123456789012", "time": "2023-11-14T22:13:20Z",
            "region": "eu-central-1", "resources": ["arn:aws:scheduler:…"], "detail": "{}",
        });
        let asked = Asked::of(&scheduler).expect("an event");
        assert_eq!(asked, Asked { time_ms: Some(1_700_000_000_000), ..Asked::default() });
        let unfilled = json!({"time": "<aws.scheduler.scheduled-time>"});
        assert_eq!(Asked::of(&unfilled).expect("an event"), Asked::default());
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let event = json!({"only": ["a", "b"], "once": true, "shard": "3/16", "dry_run": true});
        let asked = Asked::of(&event).expect("an event");
        assert_eq!((asked.only.len(), asked.is_once, asked.is_dry_run), (2, true, true));
        assert_eq!(asked.shard, Shard::parse("3/16").ok());
    }

    #[test]
    fn what_is_asked_for_wrongly_is_not_guessed() {
        for event in [
            json!({"only": "a"}),
            json!({"only": []}),
            json!({"only": [1]}),
            json!({"once": "yes"}),
            json!({"shard": "17/16"}),
            json!({"shard": 3}),
            json!({"dry_run": 1}),
        ] {
            assert!(matches!(Asked::of(&event), Err(Failure::Event(_))), "{event}");
        }
    }

    #[test]
    fn an_event_that_is_hours_old_does_not_set_the_clock() {
        const MINUTE_MS: i64 = 60_000;
        let now = 1_700_000_000_000;
        let clock = |event| clock(event, now, Duration::from_secs(300), &[]);
        assert_eq!(clock(None), (now, None));
        assert_eq!(clock(Some(now - 5 * MINUTE_MS)), (now - 5 * MINUTE_MS, None));
        let (at, warning) = clock(Some(now - 180 * MINUTE_MS));
        assert_eq!(at, now);
        assert!(warning.is_some_and(|warning| warning.contains("3h old")));
        assert_eq!(clock(Some(now + 6 * MINUTE_MS)).0, now);
    }

    #[test]
    fn an_event_that_was_overtaken_does_not_set_the_clock_back() {
        let now = 1_700_000_000_000;
        let clock =
            |starts: &[i64]| clock(Some(now - 60_000), now, Duration::from_secs(300), starts);
        for overtaken in [now - 59_999, now] {
            let (at, warning) = clock(&[0, overtaken]);
            assert_eq!(at, now);
            assert!(warning.is_some_and(|warning| warning.contains("younger")));
        }
        // The same event again, and a start that a wrong clock has left.
        for other in [now - 60_000, now + 1] {
            assert_eq!(clock(&[0, other]), (now - 60_000, None));
        }
    }
}
