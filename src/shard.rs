//! Shards: the jobs of one configuration, dealt out to several runs. Pure.
//!
//! Every job is in exactly one shard. The jobs are dealt in the order of the configuration: a job's id names two shards
//! by its hash, and it goes to the one that has fewer so far. So the shards are even (a hash alone would leave some
//! with half as much again as others), a job that is added at the end moves no other, and one that is put in or taken
//! out elsewhere moves about one in a hundred of those behind it.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The most shards that there can be.
pub const MOST_SHARDS: u32 = 10_000;
/// Set in each pod of a Kubernetes indexed Job, counted from 0.
const COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

/// One shard of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 0.
    index: u32,
    count: u32,
}

/// Why a text is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not written like one.
    #[error("`{0}` is no shard: expected `K/N`, such as `3/16`")]
    Unreadable(String),
    /// There is no such shard.
    #[error("there is no shard {number} of {count}: they are counted from 1 to {count}")]
    NoSuchShard {
        /// Counted from 1.
        number: u64,
        /// How many there are.
        count: u32,
    },
    /// Too many, or none.
    #[error("{0} shards: expected 1 to {MOST_SHARDS}")]
    Count(u64),
    /// Which of them is not said.
    #[error(
        "which of the {0} shards is not said: expected `K/{0}`, or $JOB_COMPLETION_INDEX as in a Kubernetes indexed Job"
    )]
    NoIndex(u32),
    /// The pod's number is no number.
    #[error("$JOB_COMPLETION_INDEX is `{0}`: expected a number")]
    Index(String),
}

impl Shard {
    /// Shard `number` (from 1) of `count`.
    ///
    /// # Errors
    /// [`Error::Count`] and [`Error::NoSuchShard`].
    pub fn new(number: u64, count: u64) -> Result<Self, Error> {
        let counted = u32::try_from(count).ok().filter(|count| (1..=MOST_SHARDS).contains(count));
        let count = counted.ok_or(Error::Count(count))?;
        let index = number.checked_sub(1).and_then(|index| u32::try_from(index).ok());
        match index.filter(|&index| index < count) {
            Some(index) => Ok(Self { index, count }),
            None => Err(Error::NoSuchShard { number, count }),
        }
    }

    /// Which it is, counted from 1.
    pub fn number(self) -> u32 {
        self.index + 1
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Reads `3/16`.
    ///
    /// # Errors
    /// [`Error`] when it is no shard.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreadable = || Error::Unreadable(text.chars().take(100).collect());
        let (number, count) = text.split_once('/').ok_or_else(unreadable)?;
        let read = |part: &str| part.trim().parse::<u64>().map_err(|_| unreadable());
        Self::new(read(number)?, read(count)?)
    }

    /// Reads `3/16`, or `16` where the environment says which of them, as in a Kubernetes indexed Job.
    ///
    /// # Errors
    /// [`Error`] when it is no shard.
    pub fn of_pod(text: &str, environment: crate::config::Environment<'_>) -> Result<Self, Error> {
        let Ok(count) = text.trim().parse::<u64>() else { return Self::parse(text) };
        let Self { count, .. } = Self::new(1, count)?;
        let index = environment(COMPLETION_INDEX).ok_or(Error::NoIndex(count))?;
        let index = index.to_string_lossy();
        let index: u64 = index.parse().map_err(|_| Error::Index(index.into_owned()))?;
        Self::new(index.saturating_add(1), count.into())
    }

    /// Which of these jobs (id, and how often it is due) are in this shard, in their order.
    pub fn takes<'a>(self, jobs: impl Iterator<Item = (&'a str, Duration)>) -> Vec<bool> {
        deal(jobs, self.count).into_iter().map(|shard| shard == self.index).collect()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

/// The shard of each job, counted from 0. Jobs that are due equally often are dealt by themselves: so the shards are even
/// for each kind, and what is dealt of one kind moves nothing of another.
fn deal<'a>(jobs: impl Iterator<Item = (&'a str, Duration)>, count: u32) -> Vec<u32> {
    let mut dealt: HashMap<(Duration, u32), u32> = HashMap::new();
    let place = |(id, every): (&str, Duration)| {
        let [first, second] = choices(id, count);
        let has = |shard| dealt.get(&(every, shard)).copied().unwrap_or_default();
        let shard = if has(second) < has(first) { second } else { first };
        *dealt.entry((every, shard)).or_default() += 1;
        shard
    };
    jobs.map(place).collect()
}

/// The two shards that a job may go to.
fn choices(id: &str, count: u32) -> [u32; 2] {
    let hash = Sha256::digest(id.as_bytes());
    let mut words = hash.chunks_exact(8).map(|word| {
        let word = word.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
        // Less than `count`.
        u32::try_from(word % u64::from(count)).unwrap_or_default()
    });
    [words.next().unwrap_or_default(), words.next().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u32 = 64;

    /// Ten thousand jobs: most every five minutes, some every minute, some once an hour.
    fn jobs() -> Vec<(String, Duration)> {
        let every = |i| match i % 10 {
            0 | 1 => 60,
            2 => 3600,
            _ => 300,
        };
        (0..10_000).map(|i| (format!("host-{i}"), Duration::from_secs(every(i)))).collect()
    }

    fn dealt(jobs: &[(String, Duration)]) -> HashMap<&str, u32> {
        let shards = deal(jobs.iter().map(|(id, every)| (id.as_str(), *every)), COUNT);
        jobs.iter().map(|(id, _)| id.as_str()).zip(shards).collect()
    }

    fn moved(before: &[(String, Duration)], after: &[(String, Duration)]) -> usize {
        let (before, after) = (dealt(before), dealt(after));
        before.iter().filter(|(id, shard)| after.get(*id).is_some_and(|now| now != *shard)).count()
    }

    #[test]
    fn ten_thousand_jobs_are_each_in_one_of_64_shards_of_about_the_same_weight() {
        let jobs = jobs();
        let mut taken = vec![0; jobs.len()];
        let mut weights = Vec::new();
        for number in 1..=u64::from(COUNT) {
            let shard = Shard::new(number, COUNT.into()).expect("a shard");
            let takes = shard.takes(jobs.iter().map(|(id, every)| (id.as_str(), *every)));
            // Runs an hour.
            let mine = takes.iter().zip(&jobs).filter(|(takes, _)| **takes);
            weights.push(mine.map(|(_, (_, every))| 3600 / every.as_secs()).sum::<u64>());
            taken.iter_mut().zip(takes).for_each(|(taken, takes)| *taken += u32::from(takes));
        }
        assert!(taken.iter().all(|&taken| taken == 1));
        let (least, most) = (weights.iter().min(), weights.iter().max());
        let (least, most) = least.zip(most).expect("64 shards");
        assert!(most * 100 <= least * 120, "from {least} to {most}");
    }

    #[test]
    fn jobs_that_are_added_leave_the_others_where_they_are() {
        let before = jobs();
        let more = |n| (0..n).map(|i| (format!("new-{i}"), Duration::from_secs(300)));
        let after: Vec<_> = before.iter().cloned().chain(more(1_000)).collect();
        assert_eq!(moved(&before, &after), 0, "added at the end");
        for place in [0, 2_500, 9_000] {
            let mut after = before.clone();
            after.splice(place..place, more(1));
            let moved = moved(&before, &after);
            assert!(moved <= before.len() / 50, "{moved} moved by one put in at {place}");
        }
    }

    #[test]
    fn a_job_that_is_taken_out_moves_few() {
        let before = jobs();
        let mut after = before.clone();
        after.remove(0);
        let moved = moved(&before, &after);
        assert!(moved <= before.len() / 50, "{moved} moved");
    }

    #[test]
    fn shards_are_counted_from_one_and_pods_from_zero() {
        assert_eq!(Shard::parse("3/16"), Ok(Shard { index: 2, count: 16 }));
        assert_eq!(Shard::parse("3/16").map(|shard| shard.to_string()), Ok("3/16".into()));
        for wrong in ["0/16", "17/16", "1/0", "1/10001", "", "3", "a/b", "-1/4", "1/2/3"] {
            assert!(Shard::parse(wrong).is_err(), "{wrong}");
        }
        let pod = |index: &'static str| {
            move |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| index.into())
        };
        assert_eq!(Shard::of_pod("16", &pod("0")), Ok(Shard { index: 0, count: 16 }));
        assert_eq!(Shard::of_pod("16", &pod("15")), Ok(Shard { index: 15, count: 16 }));
        assert_eq!(Shard::of_pod("3/16", &pod("7")), Ok(Shard { index: 2, count: 16 }));
        assert!(Shard::of_pod("16", &pod("16")).is_err());
        assert_eq!(Shard::of_pod("16", &pod("x")), Err(Error::Index("x".into())));
        assert_eq!(Shard::of_pod("16", &|_| None), Err(Error::NoIndex(16)));
    }
}
