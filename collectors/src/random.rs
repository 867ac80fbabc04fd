//! Random numbers, for demonstrations and tests.
//!
//! Pushes `count` datapoints with keys `<key>_0`, `<key>_1`, …; with a `seed` every run gives the same
//! numbers. Nothing can go wrong.
//!
//! ```yaml
//! jobs:
//!   - id: dice
//!     random:
//!       key: dice
//!       count: 2
//!       min: 1
//!       max: 6
//!       seed: 42
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Context, Error};
use crate::datapoint::{DataType, Datapoint, Key, Value};
use crate::decode::Problem;
use crate::sink::Sink;

/// The options of `random`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Random {
    /// The keys' common beginning.
    key: String,
    /// How many datapoints a run gives.
    count: u32,
    /// The smallest number.
    min: f64,
    /// The largest number.
    max: f64,
    /// Where the numbers start; without it every run starts elsewhere.
    seed: Option<u64>,
}

impl Default for Random {
    fn default() -> Self {
        Self { key: "random".into(), count: 1, min: 0.0, max: 1.0, seed: None }
    }
}

impl Collector for Random {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        let mut state = self.seed.unwrap_or_else(|| fresh_seed(context.now_ms));
        for number in 0..self.count {
            let share = unit_interval(next(&mut state));
            let value = self.min + (self.max - self.min) * share;
            let key = format!("{}_{number}", self.key);
            match Value::float(value).and_then(|v| Datapoint::new(&key, v, DataType::Float)) {
                Ok(datapoint) => sink.push(&datapoint)?,
                Err(flaw) => sink.refuse(&key, flaw)?,
            }
        }
        Ok(())
    }

    fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(flaw) = Key::new(&self.key) {
            problems.push(Problem::at(&["key"], flaw.to_string()));
        }
        if self.min > self.max {
            let message = format!("`min` {} is above `max` {}", self.min, self.max);
            problems.push(Problem::at(&["min"], message));
        }
        problems
    }
}

fn fresh_seed(now_ms: i64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(now_ms)
}

/// SplitMix64 (Steele, Lea, Flood 2014): seedable, and good enough for a demonstration.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The upper 53 bits as a float in `[0, 1)`.
fn unit_interval(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds exactly")]
    let share = (bits >> 11) as f64;
    share / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_is_a_conflict() {
        let random = |key: &str| Random { key: key.into(), ..Random::default() };
        assert_eq!(random("").conflicts().len(), 1);
        assert_eq!(random("dice").conflicts(), []);
    }

    #[test]
    fn a_seed_gives_the_published_sequence() {
        // The first outputs of SplitMix64 for seed 1234567, as published with its reference implementation.
        let mut state = 1_234_567;
        assert_eq!(next(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(next(&mut state), 3_203_168_211_198_807_973);
    }
}
