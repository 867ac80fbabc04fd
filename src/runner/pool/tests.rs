//! Jobs that end, fail, panic and hang, and who gives up on whom.

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
        cursor: None,
    }
}

fn limits(threads: usize, time: Duration) -> Limits {
    let deadline = Instant::now() + time;
    let context = Context {
        job: "".into(),
        now_ms: 0,
        deadline,
        cursor: None,
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
    assert!(matches!(&outcomes[2].ending, Ending::Panicked(text) if text.contains("on purpose")));
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
    unprepared.prepare = Some(Arc::new(|_| Err("no key".to_owned())));
    let mut hanging = task(Behaviour::Ends, Duration::from_millis(20));
    hanging.prepare = Some(Arc::new(|_| {
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
