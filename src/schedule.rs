//! When a job's turn is: by its interval and by when it last started. Pure.

use std::time::Duration;

/// A start may come early by this share of the interval, so that a scheduler's jitter skips no run.
const TOLERANCE_SHARE: u32 = 10;
/// And by this at most.
const TOLERANCE_MAX: Duration = Duration::from_secs(30);

/// Whether a job's turn is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is.
    Due {
        /// How many runs there should have been since the last one.
        missed: u64,
    },
    /// It comes later.
    Later {
        /// When, in milliseconds since 1970.
        next_ms: i64,
    },
}

impl Turn {
    /// The turn of a job that is meant to start every `interval`, and last started at `last_start_ms`.
    ///
    /// A start that lies in the future says that the clock went back: the job is due, so that no clock stops it.
    pub fn of(last_start_ms: Option<i64>, interval: Duration, now_ms: i64) -> Self {
        let Some(last_ms) = last_start_ms else { return Self::Due { missed: 0 } };
        let early = (interval / TOLERANCE_SHARE).min(TOLERANCE_MAX);
        let from_ms = last_ms.saturating_add(milliseconds(interval - early));
        if last_ms <= now_ms && now_ms < from_ms {
            return Self::Later { next_ms: last_ms.saturating_add(milliseconds(interval)) };
        }
        Self::Due { missed: missed(now_ms.saturating_sub(last_ms), milliseconds(interval)) }
    }
}

/// How many runs are missing in a gap between two. Up to half an interval is a scheduler's coarseness.
fn missed(gap_ms: i64, interval_ms: i64) -> u64 {
    let halves = (i128::from(gap_ms) * 2) / i128::from(interval_ms.max(1));
    u64::try_from((halves + 1) / 2 - 1).unwrap_or(0)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const MINUTE: Duration = Duration::from_secs(60);

    /// The minutes of a day in which a job runs that a crontab wakes each minute, late by up to 999 ms.
    fn starts(interval: Duration) -> Vec<i64> {
        let mut last = None;
        let mut starts = Vec::new();
        for minute in 0..1_440 {
            let jitter_ms = (minute * 7_919) % 1_000;
            let now_ms = minute * MINUTE_MS + jitter_ms;
            if let Turn::Due { missed } = Turn::of(last, interval, now_ms) {
                assert_eq!(missed, 0);
                last = Some(now_ms);
                starts.push(minute);
            }
        }
        starts
    }

    #[test]
    fn a_crontab_each_minute_drives_jobs_of_any_interval() {
        for minutes in [1, 5, 60] {
            let expected: Vec<i64> = (0..1_440).step_by(minutes as usize).collect();
            assert_eq!(starts(MINUTE * minutes), expected, "every {minutes} minutes");
        }
    }

    #[test]
    fn a_clock_that_goes_back_or_far_ahead_stops_no_job() {
        let year_ms = 366 * 86_400_000;
        assert_eq!(Turn::of(Some(year_ms), MINUTE, 0), Turn::Due { missed: 0 });
        assert_eq!(Turn::of(Some(0), MINUTE, i64::MAX), Turn::Due { missed: 153_722_867_280_912 });
        assert_eq!(
            Turn::of(Some(i64::MIN), MINUTE, i64::MAX),
            Turn::Due { missed: 153_722_867_280_912 }
        );
        assert_eq!(Turn::of(Some(i64::MAX), MINUTE, i64::MAX), Turn::Due { missed: 0 });
    }

    #[test]
    fn missed_runs_are_counted_and_half_an_interval_is_none() {
        let turn = |gap_ms| Turn::of(Some(0), 5 * MINUTE, gap_ms);
        assert_eq!(turn(5 * MINUTE_MS - 30_001), Turn::Later { next_ms: 300_000 });
        assert_eq!(turn(5 * MINUTE_MS - 30_000), Turn::Due { missed: 0 });
        assert_eq!(turn(7 * MINUTE_MS), Turn::Due { missed: 0 });
        assert_eq!(turn(10 * MINUTE_MS), Turn::Due { missed: 1 });
        assert_eq!(turn(60 * MINUTE_MS), Turn::Due { missed: 11 });
    }
}
