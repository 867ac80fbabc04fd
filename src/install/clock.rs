//! How often a run must be started, so that every job has its turns.
//!
//! A run collects what is due, and costs milliseconds when nothing is. So it may be started more often than any job
//! runs, at moments that cron and systemd can express, and never less often than hourly: hours of local time are not
//! equally long.

use std::time::Duration;

use collectors::period::Period;

/// Seconds that divide a minute, minutes that divide an hour, and the hour.
const TICKS: [u64; 23] = [
    1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 300, 360, 600, 720, 900, 1_200, 1_800,
    3_600,
];
const MINUTE: u64 = 60;

/// When runs are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// How often, in seconds: one of [`TICKS`].
    tick: u64,
    /// Jobs that cannot have their interval, and what they have instead.
    pub notes: Vec<String>,
}

impl Clock {
    /// The clock of cron, which knows no less than a minute.
    pub fn cron(jobs: &[(String, Duration)]) -> Self {
        Self::of(jobs, MINUTE, "cron")
    }

    /// The clock of systemd.
    pub fn systemd(jobs: &[(String, Duration)]) -> Self {
        Self::of(jobs, 1, "the timer")
    }

    fn of(jobs: &[(String, Duration)], least: u64, who: &str) -> Self {
        let seconds = || jobs.iter().map(|(_, every)| every.as_secs().max(1));
        let shortest = seconds().min().unwrap_or(MINUTE);
        // Intervals that have little in common must not make a run of each second.
        let common = seconds().fold(0, greatest_common_divisor).max(shortest.min(MINUTE));
        let is_exact =
            |tick: &u64| common.is_multiple_of(*tick) && (*tick >= MINUTE || tick * 10 >= common);
        let usable = || TICKS.into_iter().rev().filter(|tick| *tick >= least);
        let exact = usable().filter(|tick| *tick <= common).find(is_exact);
        let tick = exact.or_else(|| usable().find(|tick| *tick <= common)).unwrap_or(least);
        let notes = jobs.iter().filter_map(|(job, every)| note(job, *every, tick, who));
        Self { tick, notes: notes.collect() }
    }

    /// The five fields of a crontab.
    pub fn crontab(&self) -> String {
        match self.tick / MINUTE {
            0 | 1 => "* * * * *".to_owned(),
            60.. => "0 * * * *".to_owned(),
            minutes => format!("*/{minutes} * * * *"),
        }
    }

    /// The calendar event of a timer.
    pub fn on_calendar(&self) -> String {
        match self.tick {
            3_600.. => "*:00".to_owned(),
            MINUTE.. => format!("*:0/{}", self.tick / MINUTE),
            seconds => format!("*:*:0/{seconds}"),
        }
    }
}

/// What is to be said of a job that will not run as often as it is meant to. A run by a tenth too early, and by half a
/// minute at most, is on time.
fn note(job: &str, every: Duration, tick: u64, who: &str) -> Option<String> {
    let tick = Duration::from_secs(tick);
    let tolerance = (every / 10).min(Duration::from_secs(30));
    let early = every.saturating_sub(tolerance);
    let ticks = early.as_nanos().div_ceil(tick.as_nanos()).max(1);
    let real = tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
    let (every, real) = (Period::of(every), Period::of(real));
    (real.get() > every.get() + tolerance).then(|| {
        format!("job `{job}` is meant to run every {every}; {who} can start it every {real} only")
    })
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(seconds: &[u64]) -> Vec<(String, Duration)> {
        seconds.iter().map(|s| (format!("j{s}"), Duration::from_secs(*s))).collect()
    }

    #[test]
    fn every_job_has_its_turns() {
        for (seconds, crontab, calendar) in [
            (vec![300], "*/5 * * * *", "*:0/5"),
            (vec![60, 300, 3_600], "* * * * *", "*:0/1"),
            (vec![300, 420], "* * * * *", "*:0/1"),
            (vec![600, 900], "*/5 * * * *", "*:0/5"),
            (vec![5_400], "*/30 * * * *", "*:0/30"),
            (vec![660], "* * * * *", "*:0/1"),
            (vec![3_600], "0 * * * *", "*:00"),
            (vec![86_400], "0 * * * *", "*:00"),
            (vec![], "* * * * *", "*:0/1"),
        ] {
            let (cron, systemd) = (Clock::cron(&jobs(&seconds)), Clock::systemd(&jobs(&seconds)));
            assert_eq!(cron.crontab(), crontab, "{seconds:?}");
            assert_eq!(systemd.on_calendar(), calendar, "{seconds:?}");
            assert_eq!(cron.notes.len() + systemd.notes.len(), 0, "{seconds:?} {cron:?}");
        }
    }

    #[test]
    fn what_cannot_be_expressed_is_said() {
        let short = jobs(&[30, 90]);
        let cron = Clock::cron(&short);
        assert_eq!(cron.crontab(), "* * * * *");
        assert_eq!(
            cron.notes,
            [
                "job `j30` is meant to run every 30s; cron can start it every 1m only",
                "job `j90` is meant to run every 90s; cron can start it every 2m only",
            ]
        );
        let systemd = Clock::systemd(&short);
        assert_eq!((systemd.on_calendar().as_str(), systemd.notes.len()), ("*:*:0/30", 0));
        // Neither starts a run each second for two jobs that have no more in common.
        let odd = Clock::systemd(&jobs(&[61, 59]));
        assert_eq!(odd.on_calendar(), "*:*:0/30");
        assert_eq!(odd.notes, Vec::<String>::new());
    }
}
