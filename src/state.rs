//! What the next run of each job gets: when it last started, what it goes on from, the counters it compares with.
//! Pure; [`crate::store`] keeps it.
//!
//! As text it is a line with the version and a checksum, and one JSON object behind it, so that what a broken disk
//! made of it is known for what it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::host::Clocks;

/// The version of the text.
const VERSION: u32 = 1;
/// So many jobs are remembered. Not so many days: a clock that was once wrong would make all of them forgotten.
const JOBS_MAX: usize = 20_000;

/// The state of all jobs, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// By job id. Jobs that this configuration has not are kept for a while: it may come back, or be another's.
    pub jobs: BTreeMap<String, JobState>,
    /// How many runs had jobs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub runs: u64,
    /// The file of the configuration that the last run had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// What the clocks showed in the last run that had something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
}

/// The state of one job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// The clock of the run in which it last started, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start_ms: Option<i64>,
    /// How many of its last runs failed, one after the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures_in_a_row: u32,
    /// What its collector left for the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Value>,
    /// The host's boot at which the counters were read: they start anew with each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The last readings of the counters, by series: what rates are made of, and since when they count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, Reading>,
}

/// A counter as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What it said.
    pub value: Number,
    /// When, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Since when it counts, in milliseconds since 1970, where an output says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
}

/// Text that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The first line is none of ours, or of a version that is not known.
    #[error("it is no state of version {VERSION}")]
    Header,
    /// The text was changed, or is not all there.
    #[error("its checksum does not fit")]
    Checksum,
    /// The checksum fits, and the content does not.
    #[error("it cannot be read: {0}")]
    Content(String),
}

#[derive(Serialize, Deserialize)]
struct Header {
    collector_state: u32,
    sha256: String,
}

impl State {
    /// Reads a state from its text.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn parse(text: &[u8]) -> Result<Self, Damage> {
        let end = memchr::memchr(b'\n', text).ok_or(Damage::Header)?;
        let (header, content) = (&text[..end], &text[end + 1..]);
        let header: Header = serde_json::from_slice(header).map_err(|_| Damage::Header)?;
        if header.collector_state != VERSION {
            return Err(Damage::Header);
        }
        if header.sha256 != checksum(content) {
            return Err(Damage::Checksum);
        }
        serde_json::from_slice(content).map_err(|error| Damage::Content(error.to_string()))
    }

    /// The text.
    ///
    /// # Errors
    /// None for what can be in it.
    pub fn to_text(&self) -> serde_json::Result<Vec<u8>> {
        let mut content = serde_json::to_vec(self)?;
        content.push(b'\n');
        let header = Header { collector_state: VERSION, sha256: checksum(&content) };
        let mut text = serde_json::to_vec(&header)?;
        text.push(b'\n');
        text.extend_from_slice(&content);
        Ok(text)
    }

    /// Without the jobs that have not run for longest, where there are too many.
    pub fn forget_old(&mut self) {
        self.forget_beyond(JOBS_MAX);
    }

    fn forget_beyond(&mut self, most: usize) {
        let Some(excess) = self.jobs.len().checked_sub(most).filter(|&excess| excess > 0) else {
            return;
        };
        let mut starts: Vec<Option<i64>> =
            self.jobs.values().map(|job| job.last_start_ms).collect();
        starts.sort_unstable();
        let oldest_kept = starts[excess];
        self.jobs.retain(|_, job| job.last_start_ms >= oldest_kept);
    }
}

impl JobState {
    /// This state after a run whose datapoints were not kept: the next goes on from where this one did.
    #[must_use]
    pub fn started_again(&self, after: &Self) -> Self {
        let Self { last_start_ms, failures_in_a_row, .. } = *after;
        Self { last_start_ms, failures_in_a_row, ..self.clone() }
    }
}

fn checksum(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let reading = Reading { value: u64::MAX.into(), timestamp_ms: -5, start_ms: Some(-9) };
        let job = JobState {
            last_start_ms: Some(7),
            failures_in_a_row: 2,
            cursor: Some(serde_json::json!({"page": "né\n"})),
            boot_id: Some("b".into()),
            counters: [("series".to_owned(), reading)].into(),
        };
        let clocks = Clocks { wall_ms: 7, up_ms: 5, boot_id: "b".into() };
        State {
            jobs: [("job".to_owned(), job)].into(),
            runs: 9,
            configuration: Some("/etc/collector.yaml".into()),
            clocks: Some(clocks),
        }
    }

    #[test]
    fn what_is_written_is_read() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(State::parse(&state().to_text()?)?, state());
        assert_eq!(State::parse(&State::default().to_text()?)?, State::default());
        Ok(())
    }

    #[test]
    fn a_text_cut_at_any_byte_or_with_any_bit_flipped_is_known_for_it()
    -> Result<(), Box<dyn std::error::Error>> {
        let text = state().to_text()?;
        for end in 0..text.len() {
            assert!(State::parse(&text[..end]).is_err(), "cut at {end}");
            for bit in 0..8 {
                let mut flipped = text.clone();
                flipped[end] ^= 1 << bit;
                // A checksum in capitals would say the same; a header that says the same is none the worse.
                if let Ok(read) = State::parse(&flipped) {
                    assert_eq!(read, state(), "bit {bit} of byte {end}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_jobs_that_ran_last_are_remembered() {
        let at = |start_ms| JobState { last_start_ms: Some(start_ms), ..JobState::default() };
        let jobs = (0..5).map(|number| (number.to_string(), at(number)));
        let mut state = State { jobs: jobs.collect(), ..State::default() };
        state.forget_beyond(5);
        assert_eq!(state.jobs.len(), 5);
        state.forget_beyond(2);
        assert_eq!(state.jobs.keys().collect::<Vec<_>>(), ["3", "4"]);
    }
}
