//! The jobs, concurrently, each fenced and bounded → outcomes.
//!
//! Threads are detached: one that hangs in a system call cannot be stopped, only left behind. A job that is late
//! has its sink sealed, so that what it had pushed counts and what it pushes afterwards does not; another
//! thread takes the late one's place. A panic is caught at the job's border.

mod panics;
mod pool;
mod stop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use collectors::sink::Collected;
use collectors::{Collector, Context, Sink};

pub(crate) use panics::describe as describe_panic;
pub use panics::quiet_job_panics;
pub use pool::run;
pub use stop::Stop;

/// What must be done before a job can start, until the instant that it is given; an error fails the job.
pub type Prepare = Arc<dyn Fn(Instant) -> Result<(), String> + Send + Sync>;

/// One job, ready to run.
#[derive(Clone)]
pub struct Task {
    /// The job's id.
    pub id: Arc<str>,
    /// The collector.
    pub collector: Arc<dyn Collector>,
    /// Where it pushes.
    pub sink: Sink,
    /// How long it may take.
    pub timeout: Duration,
    /// What must be done before.
    pub prepare: Option<Prepare>,
    /// What its last run left for it.
    pub cursor: Option<Arc<serde_json::Value>>,
}

/// What all jobs share.
#[derive(Clone)]
pub struct Limits {
    /// How many run at once, at most.
    pub threads: usize,
    /// When collecting ends.
    pub deadline: Instant,
    /// What each job's context is made from; its `job`, `deadline` and `cursor` are replaced.
    pub context: Context,
    /// Ends collecting before the deadline.
    pub stop: Stop,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It collected everything.
    Done,
    /// There is no such thing on this host; no failure.
    Absent(String),
    /// It failed.
    Failed(String),
    /// It was not done in time: how long it ran, and what it said when it was told so in time to answer.
    Late(Duration, Option<String>),
    /// It panicked: a bug in its collector.
    Panicked(String),
    /// It had no turn, and why.
    NotStarted(String),
}

/// What became of one job.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What it had pushed.
    pub collected: Collected,
    /// How long it ran.
    pub duration: Duration,
}

/// Something that happens while jobs run, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The job of that index has begun.
    Started(usize),
    /// The job of that index has ended.
    Ended(usize),
}
