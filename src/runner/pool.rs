//! The pool: workers that take jobs, and one supervisor that knows who is late.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use collectors::{Context, Error};

use super::panics;
use super::{Ending, Event, Limits, Outcome, Task};

/// The name of every thread that runs jobs.
pub(super) const THREAD_NAME: &str = "job";
/// A job's stack, in bytes: JSON may nest 128 deep, TLS wants some.
const STACK_BYTES: usize = 1024 * 1024;

enum Message {
    Started { index: usize, times: Times },
    Ended { index: usize, ending: Ending },
}

#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    deadline: Instant,
}

struct Shared {
    tasks: Vec<Task>,
    next: AtomicUsize,
    closed: AtomicBool,
    deadline: Instant,
    context: Context,
}

/// Runs every task once and gives an outcome for each, in the tasks' order. Returns when all have ended or the
/// deadline has passed, whichever is first.
pub fn run(tasks: Vec<Task>, limits: Limits, watch: &mut dyn FnMut(Event)) -> Vec<Outcome> {
    let workers = limits.threads.min(tasks.len());
    let shared = Arc::new(Shared {
        tasks,
        next: AtomicUsize::new(0),
        closed: AtomicBool::new(false),
        deadline: limits.deadline,
        context: limits.context,
    });
    let (sender, receiver) = channel();
    let mut supervisor = Supervisor {
        started: vec![None; shared.tasks.len()],
        outcomes: shared.tasks.iter().map(|_| None).collect(),
        running: BTreeSet::new(),
        open: shared.tasks.len(),
        workers: 0,
        shared,
        sender,
    };
    for _ in 0..workers {
        supervisor.hire();
    }
    supervisor.watch(&receiver, watch);
    supervisor.finish()
}

struct Supervisor {
    shared: Arc<Shared>,
    sender: Sender<Message>,
    started: Vec<Option<Times>>,
    outcomes: Vec<Option<Outcome>>,
    /// Jobs that run now, by their deadline.
    running: BTreeSet<(Instant, usize)>,
    /// Jobs without an outcome.
    open: usize,
    /// Threads that are not stuck in a job that is late.
    workers: usize,
}

impl Supervisor {
    fn hire(&mut self) {
        let shared = Arc::clone(&self.shared);
        let sender = self.sender.clone();
        let thread = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&shared, &sender));
        match thread {
            Ok(_) => self.workers += 1,
            // With fewer threads the run is slower, not wrong.
            Err(error) => log::debug!("cannot start a thread: {error}"),
        }
    }

    fn watch(&mut self, receiver: &Receiver<Message>, watch: &mut dyn FnMut(Event)) {
        while self.open > 0 && self.workers > 0 {
            let next = self.running.first().map_or(self.shared.deadline, |&(at, _)| at);
            let next = next.min(self.shared.deadline);
            match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(message) => self.handle(message, watch),
                Err(RecvTimeoutError::Timeout) => {
                    // What waits in the channel was sent in time.
                    while let Ok(message) = receiver.try_recv() {
                        self.handle(message, watch);
                    }
                    let now = Instant::now();
                    self.expire(now, watch);
                    if now >= self.shared.deadline {
                        break;
                    }
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
                self.running.insert((times.deadline, index));
                watch(Event::Started(index));
            }
            Message::Ended { index, ending } => {
                if let Some(times) = self.started[index]
                    && self.running.remove(&(times.deadline, index))
                {
                    self.close(index, ending, times.began.elapsed());
                    watch(Event::Ended(index));
                }
            }
        }
    }

    /// Gives up on every job whose time is over; another thread takes the place of the one that is stuck.
    fn expire(&mut self, now: Instant, watch: &mut dyn FnMut(Event)) {
        while let Some(&(deadline, index)) = self.running.first() {
            if deadline > now {
                break;
            }
            self.running.pop_first();
            self.late(index, now);
            watch(Event::Ended(index));
            self.workers -= 1;
            if self.shared.next.load(Ordering::Relaxed) < self.shared.tasks.len() {
                self.hire();
            }
        }
    }

    fn late(&mut self, index: usize, now: Instant) {
        match self.started[index] {
            Some(Times { began, .. }) => self.close(index, Ending::Late(now - began), now - began),
            None => self.close(index, Ending::NotStarted, Duration::ZERO),
        }
    }

    fn close(&mut self, index: usize, ending: Ending, duration: Duration) {
        let collected = self.shared.tasks[index].sink.seal().unwrap_or_default();
        self.outcomes[index] = Some(Outcome { ending, collected, duration });
        self.open -= 1;
    }

    fn finish(mut self) -> Vec<Outcome> {
        let now = Instant::now();
        for index in 0..self.outcomes.len() {
            if self.outcomes[index].is_none() {
                self.late(index, now);
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
        let deadline = (began + task.timeout).min(shared.deadline);
        if sender.send(Message::Started { index, times: Times { began, deadline } }).is_err() {
            return;
        }
        let context = Context { job: Arc::clone(&task.id), deadline, ..shared.context.clone() };
        let ending = fenced(task, &context);
        // Given up on: another thread has this one's place.
        let is_replaced = task.sink.is_sealed();
        if is_replaced || sender.send(Message::Ended { index, ending }).is_err() {
            return;
        }
    }
}

fn fenced(task: &Task, context: &Context) -> Ending {
    if let Some(reason) = &task.unready {
        return Ending::Failed(reason.clone());
    }
    // The collector's options are only read, and its sink is sound after a panic.
    match catch_unwind(AssertUnwindSafe(|| task.collector.collect(context, &task.sink))) {
        Ok(Ok(())) => Ending::Done,
        Ok(Err(Error::Absent { what })) => Ending::Absent(what),
        Ok(Err(error)) => Ending::Failed(crate::report::chain(&error)),
        Err(payload) => Ending::Panicked(panics::describe(payload.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collectors::datapoint::{DataType, Datapoint, Value};
    use collectors::{Collector, Sink};

    /// Pushes one datapoint and then does as told.
    enum Behaviour {
        Ends,
        Fails,
        Panics,
        Hangs,
    }

    impl Collector for Behaviour {
        fn collect(&self, _: &Context, sink: &Sink) -> Result<(), Error> {
            let point = Datapoint::new("k", Value::Int(1), DataType::Int).expect("a datapoint");
            sink.push(&point)?;
            match self {
                Self::Ends => Ok(()),
                Self::Fails => Err(Error::at("place", "cause")),
                Self::Panics => panic!("on purpose"),
                Self::Hangs => loop {
                    thread::park();
                },
            }
        }
    }

    fn task(behaviour: Behaviour, timeout: Duration) -> Task {
        Task {
            id: "job".into(),
            collector: Arc::new(behaviour),
            sink: Sink::new("h".into(), vec![], 0),
            timeout,
            unready: None,
        }
    }

    fn limits(threads: usize, time: Duration) -> Limits {
        let deadline = Instant::now() + time;
        let context = Context {
            job: "".into(),
            now_ms: 0,
            deadline,
            directory: std::path::Path::new(".").into(),
            environment: Vec::new().into(),
        };
        Limits { threads, deadline, context }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn each_job_keeps_what_it_had_pushed_however_it_ends() {
        let tasks = vec![
            task(Behaviour::Ends, LONG),
            task(Behaviour::Fails, LONG),
            task(Behaviour::Panics, LONG),
            task(Behaviour::Hangs, Duration::from_millis(50)),
        ];
        let outcomes = run(tasks, limits(4, LONG), &mut |_| {});
        assert!(outcomes.iter().all(|outcome| outcome.collected.batch.len() == 1));
        assert_eq!(outcomes[0].ending, Ending::Done);
        assert_eq!(outcomes[1].ending, Ending::Failed("`place`: cause".into()));
        assert!(
            matches!(&outcomes[2].ending, Ending::Panicked(text) if text.contains("on purpose"))
        );
        assert!(matches!(outcomes[3].ending, Ending::Late(_)));
    }

    #[test]
    fn jobs_that_hang_do_not_hold_up_those_behind_them() {
        let hanging = (0..8).map(|_| task(Behaviour::Hangs, Duration::from_millis(20)));
        let tasks = hanging.chain((0..100).map(|_| task(Behaviour::Ends, LONG))).collect();
        let outcomes = run(tasks, limits(2, LONG), &mut |_| {});
        let done = outcomes.iter().filter(|outcome| outcome.ending == Ending::Done).count();
        assert_eq!(done, 100);
    }

    #[test]
    fn what_has_no_turn_before_the_deadline_is_told() {
        let tasks = (0..3).map(|_| task(Behaviour::Hangs, LONG)).collect();
        let outcomes = run(tasks, limits(1, Duration::from_millis(100)), &mut |_| {});
        assert!(matches!(outcomes[0].ending, Ending::Late(_)));
        assert_eq!(outcomes[1].ending, Ending::NotStarted);
        assert_eq!(outcomes[2].ending, Ending::NotStarted);
    }

    #[test]
    fn thousands_of_jobs_run_once_each() {
        let tasks = (0..5_000).map(|_| task(Behaviour::Ends, LONG)).collect();
        let mut ended = 0;
        let outcomes = run(tasks, limits(16, LONG), &mut |event| {
            ended += usize::from(matches!(event, Event::Ended(_)));
        });
        assert_eq!((outcomes.len(), ended), (5_000, 5_000));
        assert!(outcomes.iter().all(|o| o.ending == Ending::Done && o.collected.batch.len() == 1));
    }
}
