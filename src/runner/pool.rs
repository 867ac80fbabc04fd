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
        closed: AtomicBool::new(false),
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
            prepare().map_err(Ending::Failed)?;
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
mod tests {
    use super::*;
    use collectors::datapoint::{DataType, Datapoint, Value};
    use collectors::{Collector, Sink};

    use crate::runner::Stop;

    /// Pushes one datapoint and then does as told.
    enum Behaviour {
        Ends,
        Fails,
        Panics,
        Hangs,
        Takes(Duration),
        FailsAtItsDeadline,
    }

    impl Collector for Behaviour {
        fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
            let point = Datapoint::new("k", Value::Int(1), DataType::Int).expect("a datapoint");
            sink.push(&point)?;
            match self {
                Self::Ends => Ok(()),
                Self::Fails => Err(Error::at("place", "cause")),
                Self::Panics => panic!("on purpose"),
                Self::Hangs => loop {
                    thread::park();
                },
                Self::Takes(time) => {
                    thread::sleep(*time);
                    Ok(())
                }
                Self::FailsAtItsDeadline => {
                    thread::sleep(context.remaining());
                    Err(Error::at("place", "no answer"))
                }
            }
        }
    }

    fn task(behaviour: Behaviour, timeout: Duration) -> Task {
        Task {
            id: "job".into(),
            collector: Arc::new(behaviour),
            sink: Sink::new("h".into(), vec![], 0),
            timeout,
            prepare: None,
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
        Limits { threads, deadline, context, stop: Stop::default() }
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
        assert!(matches!(outcomes[3].ending, Ending::Late(..)));
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
        assert!(matches!(outcomes[0].ending, Ending::Late(..)));
        assert!(matches!(outcomes[1].ending, Ending::NotStarted(_)));
        assert!(matches!(outcomes[2].ending, Ending::NotStarted(_)));
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

    #[test]
    fn a_job_that_ends_as_its_time_does_is_counted_once_and_keeps_what_it_pushed() {
        // Around the fence: some are in time, some late, and for some both sides try to seal.
        let jobs = (0..300).map(|number| {
            let time = GRACE + Duration::from_millis(1) + Duration::from_micros(5 * number);
            task(Behaviour::Takes(time), Duration::from_millis(1))
        });
        let tasks: Vec<_> = jobs.chain((0..200).map(|_| task(Behaviour::Ends, LONG))).collect();
        let mut ended = vec![0; tasks.len()];
        let outcomes = run(tasks, limits(100, LONG), &mut |event| {
            if let Event::Ended(index) = event {
                ended[index] += 1;
            }
        });
        assert!(ended.iter().all(|&times| times == 1));
        assert!(outcomes.iter().all(|outcome| outcome.collected.batch.len() == 1));
        assert!(outcomes[300..].iter().all(|outcome| outcome.ending == Ending::Done));
    }

    #[test]
    fn jobs_that_end_as_the_run_does_have_one_outcome_each() {
        for _ in 0..5 {
            let jobs = (0..200).map(|number| {
                let time = Duration::from_millis(50) + Duration::from_micros(100 * number);
                task(Behaviour::Takes(time), LONG)
            });
            let outcomes = run(jobs.collect(), limits(200, Duration::from_millis(60)), &mut |_| {});
            let kept = |o: &Outcome| match o.ending {
                Ending::NotStarted(_) => true,
                _ => o.collected.batch.len() == 1,
            };
            assert!(outcomes.len() == 200 && outcomes.iter().all(kept));
        }
    }

    #[test]
    fn a_job_that_fails_because_its_time_is_over_is_late_and_says_why() {
        for (timeout, run_time) in [(20, 60_000), (60_000, 100)] {
            let job = task(Behaviour::FailsAtItsDeadline, Duration::from_millis(timeout));
            let outcomes = run(vec![job], limits(1, Duration::from_millis(run_time)), &mut |_| {});
            let Ending::Late(_, Some(why)) = &outcomes[0].ending else {
                panic!("{:?}", outcomes[0].ending)
            };
            assert_eq!(why, "`place`: no answer");
        }
    }

    #[test]
    fn what_cannot_be_prepared_fails_and_what_hangs_in_it_is_late() {
        let mut unprepared = task(Behaviour::Ends, LONG);
        unprepared.prepare = Some(Arc::new(|| Err("no key".to_owned())));
        let mut hanging = task(Behaviour::Ends, Duration::from_millis(20));
        hanging.prepare = Some(Arc::new(|| {
            loop {
                thread::park();
            }
        }));
        let outcomes = run(vec![unprepared, hanging], limits(2, LONG), &mut |_| {});
        assert_eq!(outcomes[0].ending, Ending::Failed("no key".into()));
        assert!(matches!(outcomes[1].ending, Ending::Late(_, None)));
    }

    #[test]
    fn a_run_that_is_told_to_stop_keeps_what_there_is() {
        let tasks = vec![task(Behaviour::Hangs, LONG), task(Behaviour::Ends, LONG)];
        let limits = limits(1, LONG);
        let stop = limits.stop.clone();
        let outcomes = run(tasks, limits, &mut |event| {
            if event == Event::Started(0) {
                stop.ask();
            }
        });
        assert!(matches!(&outcomes[0].ending, Ending::Failed(why) if why.contains("told to stop")));
        assert!(matches!(&outcomes[1].ending, Ending::NotStarted(why) if why.contains("stop")));
    }

    #[test]
    fn threads_that_hang_are_replaced_within_a_bound_and_the_rest_is_told() {
        let tasks = (0..100).map(|_| task(Behaviour::Hangs, Duration::from_millis(1))).collect();
        let outcomes = run(tasks, limits(4, Duration::from_secs(4)), &mut |_| {});
        let late = outcomes.iter().filter(|o| matches!(o.ending, Ending::Late(..))).count();
        assert!(late <= 4 * 4 + STUCK_ANYWAY + 1, "{late}");
        let Ending::NotStarted(why) = &outcomes[99].ending else { panic!("it was started") };
        assert!(why.contains("threads hang"), "{why}");
    }
}
