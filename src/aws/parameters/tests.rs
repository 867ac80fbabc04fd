use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const LONG: Duration = Duration::from_secs(3600);

type Answer = Result<&'static str, Error>;

/// Parameters whose store gives each request to the test, which answers it.
fn by_hand() -> (Parameters, Receiver<Vec<String>>, Sender<Answer>) {
    let (ask, asked) = channel();
    let (answer, answers) = channel::<Answer>();
    let (ask, answers) = (Mutex::new(ask), Mutex::new(answers));
    let parameters = Parameters::fetched_by(move |names| {
        ask.lock().expect("no panic").send(names.to_vec()).expect("the test waits");
        let answer = answers.lock().expect("no panic").recv().expect("the test answers");
        names.iter().map(|_| answer.clone().map(Secret::plain)).collect()
    });
    (parameters, asked, answer)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn value(parameters: &Parameters, name: &str) -> Result<String, Error> {
    parameters.get(name, soon()).map(|secret| secret.expose().expect("a value").to_owned())
}

#[test]
fn many_are_asked_for_ten_at_a_time_and_once() {
    let (parameters, asked, answer) = by_hand();
    let names = || (0..23).map(|i| format!("/p/{i}"));
    parameters.want(names().chain(names()), LONG);
    let batches: Vec<usize> = (0..3)
        .map(|_| {
            let batch = asked.recv().expect("a request");
            answer.send(Ok("v")).expect("it waits");
            batch.len()
        })
        .collect();
    assert_eq!(batches, [10, 10, 3]);
    for name in names() {
        assert_eq!(value(&parameters, &name), Ok("v".to_owned()));
    }
    parameters.want(names(), LONG);
    assert!(asked.try_recv().is_err(), "they are remembered");
}

#[test]
fn two_versions_of_one_parameter_are_asked_for_apart() {
    let mut queue = ["/a:1", "/b", "/a:2"].map(str::to_owned).into();
    assert_eq!(next_batch(&mut queue), ["/a:1", "/b"]);
    assert_eq!(next_batch(&mut queue), ["/a:2"]);
    let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/a";
    let mut queue = ["/a:2", arn].map(str::to_owned).into();
    assert_eq!(next_batch(&mut queue), ["/a:2"]);
    assert_eq!(next_batch(&mut queue), [arn]);
}

#[test]
fn an_old_value_is_used_when_the_store_fails_and_not_when_it_refuses() {
    let (parameters, asked, answer) = by_hand();
    let ask_again = |result| {
        parameters.want(["/p".to_owned()], Duration::ZERO);
        asked.recv().expect("a request");
        answer.send(result).expect("it waits");
        value(&parameters, "/p")
    };
    assert_eq!(ask_again(Ok("one")), Ok("one".to_owned()));
    let failed = Error::Failed("ThrottlingException: slow down".to_owned());
    assert_eq!(ask_again(Err(failed.clone())), Ok("one".to_owned()));
    let warnings = parameters.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("slow down"), "{warnings:?}");
    assert!(warnings[0].contains("`/p`") && !warnings[0].contains("one"), "{warnings:?}");
    assert_eq!(ask_again(Ok("two")), Ok("two".to_owned()));
    let gone = Error::Missing { region: "eu-central-1".to_owned() };
    assert_eq!(ask_again(Err(gone.clone())), Err(gone));
    assert_eq!(ask_again(Err(failed.clone())), Err(failed), "there is no old value any more");
}

#[test]
fn whoever_waits_does_so_until_its_deadline() {
    let (parameters, asked, answer) = by_hand();
    assert_eq!(parameters.get("/p", Instant::now()).err(), Some(Error::Late));
    asked.recv().expect("a request");
    answer.send(Ok("v")).expect("it waits");
    assert_eq!(value(&parameters, "/p"), Ok("v".to_owned()));
    // It has grown old, and the store does not answer: the old value serves.
    parameters.want(["/p".to_owned()], Duration::ZERO);
    asked.recv().expect("a request");
    assert!(parameters.get("/p", Instant::now()).is_ok());
    assert_eq!(parameters.take_warnings().len(), 1);
    // And while there is time left to use it.
    let deadline = soon();
    for _ in 0..2 {
        assert!(parameters.get("/p", deadline).is_ok());
    }
    assert!(Instant::now() + Duration::from_secs(30) < deadline, "it has not waited to the end");
    assert_eq!(parameters.take_warnings().len(), 1);
    answer.send(Ok("v")).expect("it waits");
}

#[test]
fn when_the_store_cannot_be_asked_it_is_not_asked_for_the_others() {
    let (parameters, asked, answer) = by_hand();
    parameters.want((0..25).map(|i| format!("/p/{i}")), LONG);
    asked.recv().expect("a request");
    let failed = Error::Failed("away".to_owned());
    answer.send(Err(failed.clone())).expect("it waits");
    assert_eq!(value(&parameters, "/p/24"), Err(failed));
    assert!(asked.try_recv().is_err());
}

#[test]
fn a_client_that_panics_leaves_nobody_waiting() {
    let parameters = Parameters::fetched_by(|_| panic!("on purpose"));
    assert!(matches!(value(&parameters, "/p"), Err(Error::Failed(why)) if why.contains("bug")));
}
