//! The pool: workers that take jobs, and one supervisor that knows who is late.
//!
//! A job has ended for whoever seals its sink first: the worker, which then tells of it, or the supervisor, which
//! then counts the worker as stuck.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use collectors::sink::Collected;
use collectors::{Context, Error};

use super::panics;
use super::{Ending, Event, Limits, Outcome, Task};

/// The name of every thread that runs jobs.
pub(super) const THREAD_NAME: &str = "job";
/// A job's stack, in bytes: JSON may nest 128 deep, TLS wants some.
const STACK_BYTES: usize = 1024 * 1024;
/// How long past its deadline a job is waited for, so that it can say itself what it was waiting for.
const GRACE: Duration = Duration::from_millis(250);
/// How many threads may be stuck, beside those that work: for each of these four, and some.
const STUCK_PER_WORKER: usize = 3;
const STUCK_ANYWAY: usize = 16;

enum Message {
    Started {
        index: usize,
        times: Times,
    },
    Ended {
        index: usize,
        outcome: Box<Outcome>,
    },
    /// A thread that was stuck is free, and gone.
    Freed,
    /// The run is to stop.
    Stop,
}

#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    /// When the job must have ended.
    deadline: Instant,
    /// Until when it is waited for.
    fence: Instant,
}

impl Times {
    /// The fence is the run's end at the latest, and then the job's own deadline is before it.
    fn new(began: Instant, timeout: Duration, end: Instant) -> Self {
        let fence = (began + timeout + GRACE).min(end);
        let grace = GRACE.min((fence - began) / 5);
        Self { began, deadline: (began + timeout).min(fence - grace), fence }
    }
}

struct Shared {
    tasks: Vec<Task>,
    next: AtomicUsize,
    closed: AtomicBool,
    deadline: Instant,
    context: Context,
}

/// Runs every task once and gives an outcome for each, in the tasks' order. Returns when all have ended, the
/// deadline has passed or the run was told to stop, whichever is first.
pub fn run(tasks: Vec<Task>, limits: Limits, watch: &mut dyn FnMut(Event)) -> Vec<Outcome> {
    let wanted = limits.threads.min(tasks.len());
    let shared = Arc::new(Shared {
        tasks,
        next: AtomicUsize::new(0),
        closed: AtomicBool::new(limits.stop.is_asked()),
        deadline: limits.deadline,
        context: limits.context,
    });
    let (sender, receiver) = channel();
    let stop = sender.clone();
    // Nobody listens any more when the jobs have ended.
    limits.stop.when_asked(move || drop(stop.send(Message::Stop)));
    let mut supervisor = Supervisor {
        started: vec![None; shared.tasks.len()],
        outcomes: shared.tasks.iter().map(|_| None).collect(),
        running: BTreeSet::new(),
        open: shared.tasks.len(),
        wanted,
        working: 0,
        stuck: 0,
        no_thread: None,
        is_stopped: false,
        shared,
        sender,
    };
    supervisor.hire();
    supervisor.watch(&receiver, watch);
    supervisor.finish(&receiver, watch)
}

struct Supervisor {
    shared: Arc<Shared>,
    sender: Sender<Message>,
    started: Vec<Option<Times>>,
    outcomes: Vec<Option<Outcome>>,
    /// Jobs that run now, by their fence.
    running: BTreeSet<(Instant, usize)>,
    /// Jobs without an outcome.
    open: usize,
    /// How many threads should work.
    wanted: usize,
    /// Threads that are not stuck in a job that is late.
    working: usize,
    /// Threads that are.
    stuck: usize,
    /// Why a thread could not be started.
    no_thread: Option<String>,
    is_stopped: bool,
}

impl Supervisor {
    /// Starts threads until enough work, as long as there is something for them to do.
    fn hire(&mut self) {
        let most_stuck = STUCK_PER_WORKER * self.wanted + STUCK_ANYWAY;
        while self.working < self.wanted
            && !self.is_stopped
            && self.stuck <= most_stuck
            && self.shared.next.load(Ordering::Relaxed) < self.shared.tasks.len()
            && Instant::now() < self.shared.deadline
        {
            let shared = Arc::clone(&self.shared);
            let sender = self.sender.clone();
            let thread = thread::Builder::new()
                .name(THREAD_NAME.to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || work(&shared, &sender));
            match thread {
                Ok(_) => self.working += 1,
                // With fewer threads the run is slower, not wrong.
                Err(error) => {
                    self.no_thread = Some(format!("cannot start a thread: {error}"));
                    return;
                }
            }
        }
    }

    fn watch(&mut self, receiver: &Receiver<Message>, watch: &mut dyn FnMut(Event)) {
        // Without a thread there is nothing to wait for.
        while self.open > 0 && !self.is_stopped && self.working + self.stuck > 0 {
            let next = self.running.first().map_or(self.shared.deadline, |&(at, _)| at);
            let next = next.min(self.shared.deadline);
            match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(message) => self.handle(message, watch),
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    if now >= self.shared.deadline {
                        break;
                    }
                    self.expire(now, watch);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.shared.closed.store(true, Ordering::Relaxed);
    }

    fn handle(&mut self, message: Message, watch: &mut dyn FnMut(Event)) {
        match message {
            Message::Started { index, times } => {
                self.started[index] = Some(times);
                self.running.insert((times.fence, index));
                watch(Event::Started(index));
            }
            Message::Ended { index, outcome } => {
                if let Some(times) = self.started[index] {
                    self.running.remove(&(times.fence, index));
                }
                self.close(index, *outcome, watch);
            }
            Message::Freed => {
                self.stuck -= 1;
                self.hire();
            }
            Message::Stop => self.is_stopped = true,
        }
    }

    /// Gives up on every job whose time is over; another thread takes the place of the one that is stuck.
    fn expire(&mut self, now: Instant, watch: &mut dyn FnMut(Event)) {
        while let Some(&(fence, index)) = self.running.first() {
            if fence > now {
                break;
            }
            self.running.pop_first();
            // Otherwise its worker was faster, and its message is on the way.
            if let Some(collected) = self.shared.tasks[index].sink.seal() {
                self.give_up(index, collected, watch);
                self.working -= 1;
                self.stuck += 1;
                self.hire();
            }
        }
    }

    fn give_up(&mut self, index: usize, collected: Collected, watch: &mut dyn FnMut(Event)) {
        let (ending, duration) = match self.started[index] {
            Some(Times { began, .. }) => {
                let ran = began.elapsed();
                let ending = match self.is_stopped {
                    true => Ending::Failed("the run was told to stop".to_owned()),
                    false => Ending::Late(ran, None),
                };
                (ending, ran)
            }
            None => (Ending::NotStarted(self.no_turn()), Duration::ZERO),
        };
        self.close(index, Outcome { ending, collected, duration }, watch);
    }

    /// Why a job had no turn.
    fn no_turn(&self) -> String {
        if self.is_stopped {
            return "the run was told to stop".to_owned();
        }
        let why = "the run's time was over before its turn came";
        match (&self.no_thread, self.working, self.stuck) {
            (Some(reason), 0, 0) => reason.clone(),
            (Some(reason), ..) => format!("{why}; {reason}"),
            (None, 0, stuck) => format!("{why}; {stuck} threads hang in jobs that are late"),
            (None, ..) => why.to_owned(),
        }
    }

    fn close(&mut self, index: usize, outcome: Outcome, watch: &mut dyn FnMut(Event)) {
        self.outcomes[index] = Some(outcome);
        self.open -= 1;
        watch(Event::Ended(index));
    }

    /// Gives up on all that have not ended.
    fn finish(
        mut self,
        receiver: &Receiver<Message>,
        watch: &mut dyn FnMut(Event),
    ) -> Vec<Outcome> {
        while let Ok(message) = receiver.try_recv() {
            self.handle(message, watch);
        }
        for index in 0..self.outcomes.len() {
            if self.outcomes[index].is_none()
                && let Some(collected) = self.shared.tasks[index].sink.seal()
            {
                self.give_up(index, collected, watch);
            }
        }
        // Those that were sealed by their worker just now: it tells of them next. Nothing else matters any more.
        while self.open > 0
            && let Ok(message) = receiver.recv()
        {
            if let Message::Ended { index, outcome } = message {
                self.close(index, *outcome, watch);
            }
        }
        self.outcomes.into_iter().flatten().collect()
    }
}

fn work(shared: &Shared, sender: &Sender<Message>) {
    while !shared.closed.load(Ordering::Relaxed) {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(task) = shared.tasks.get(index) else { return };
        let began = Instant::now();
        if began >= shared.deadline {
            return;
        }
        let times = Times::new(began, task.timeout, shared.deadline);
        if sender.send(Message::Started { index, times }).is_err() {
            return;
        }
        let context = Context {
            job: Arc::clone(&task.id),
            deadline: times.deadline,
            cursor: task.cursor.clone(),
            ..shared.context.clone()
        };
        let ending = fenced(task, &context);
        let duration = began.elapsed();
        let message = match task.sink.seal() {
            Some(collected) => {
                let outcome = Box::new(Outcome { ending, collected, duration });
                Message::Ended { index, outcome }
            }
            None => Message::Freed,
        };
        let is_replaced = matches!(message, Message::Freed);
        if sender.send(message).is_err() || is_replaced {
            return;
        }
    }
}

fn fenced(task: &Task, context: &Context) -> Ending {
    let began = Instant::now();
    let collect = || {
        if let Some(prepare) = &task.prepare {
            prepare(context.deadline).map_err(Ending::Failed)?;
        }
        task.collector.collect(context, &task.sink).map_err(|error| match error {
            Error::Absent { what } => Ending::Absent(what),
            // Whatever it says, it says so because its time is over.
            error if context.remaining().is_zero() => {
                Ending::Late(began.elapsed(), Some(crate::report::chain(&error)))
            }
            error => Ending::Failed(crate::report::chain(&error)),
        })
    };
    // The collector's options are only read, and its sink is sound after a panic.
    match catch_unwind(AssertUnwindSafe(collect)) {
        Ok(Ok(())) => Ending::Done,
        Ok(Err(ending)) => ending,
        Err(payload) => Ending::Panicked(panics::describe(payload.as_ref())),
    }
}

#[cfg(test)]
mod tests;
