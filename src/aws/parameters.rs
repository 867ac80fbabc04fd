//! Parameter Store: the parameters that a run needs, asked for together, ten at a time, and remembered for a while.
//!
//! A run says at its beginning which ones it wants; a thread of their own fetches them while the jobs begin, and a job
//! waits only for its own, and only within its own time. A value that has grown old is fetched again, and is used on
//! when Parameter Store cannot say what the new one is. A parameter that is gone, or no longer ours to read, has no value.

mod fetch;

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use collectors::secret::Secret;

use crate::report::table;

/// Asks for some parameters at once, at most [`BATCH`] and each of another name.
type Fetch = dyn Fn(&[String]) -> Vec<Result<Secret, Error>> + Send + Sync;

/// Where Parameter Store passes on the secrets of Secrets Manager.
pub const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";
/// How long whoever has an old value waits for the new one, from when it was asked for; and the share of its own time.
const PATIENCE: Duration = Duration::from_secs(2);
const SHARE: u32 = 3;
/// As many as one request may ask for.
const BATCH: usize = 10;

/// Why a parameter has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such parameter, or not that version.
    #[error("there is no such parameter in `{region}`, or no such version of it")]
    Missing {
        /// Where it was looked for.
        region: String,
    },
    /// It may not be read, or its name cannot be one.
    #[error("Parameter Store refuses it: {0}")]
    Refused(String),
    /// Nobody can tell now.
    #[error("Parameter Store cannot be asked: {0}")]
    Failed(String),
    /// The answer took too long.
    #[error("Parameter Store did not answer in time")]
    Late,
}

/// Parameters and their values. All clones are one.
#[derive(Clone)]
pub struct Parameters(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    settled: Condvar,
    fetch: Box<Fetch>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, Known>,
    queue: VecDeque<String>,
    is_fetching: bool,
    warnings: Vec<String>,
}

/// What is known of one parameter.
#[derive(Default)]
struct Known {
    value: Option<(Secret, Instant)>,
    /// What came of asking last, where that was no value.
    error: Option<Error>,
    /// Since when it is being asked for.
    asked: Option<Instant>,
}

impl Known {
    /// How long the new value is waited for where there is an old one.
    fn patience(&self, left: Duration) -> Duration {
        let asked = self.asked.map(|asked| asked.elapsed()).unwrap_or_default();
        PATIENCE.saturating_sub(asked).min(left / SHARE)
    }
}

/// The parameters of this process's account.
pub fn of_account() -> Parameters {
    static PARAMETERS: Mutex<Option<Parameters>> = Mutex::new(None);
    let mut parameters = PARAMETERS.lock().unwrap_or_else(PoisonError::into_inner);
    parameters.get_or_insert_with(|| Parameters::fetched_by(fetch::fetch)).clone()
}

/// What those who use the values should know, since this was asked for last. Asks for nothing itself.
pub fn take_warnings() -> Vec<String> {
    of_account().take_warnings()
}

impl Parameters {
    fn fetched_by(
        fetch: impl Fn(&[String]) -> Vec<Result<Secret, Error>> + Send + Sync + 'static,
    ) -> Self {
        let (state, settled) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { state, settled, fetch: Box::new(fetch) }))
    }

    /// Begins to fetch those of these parameters whose value is missing or as old as `ttl`. Does not wait.
    pub fn want(&self, names: impl IntoIterator<Item = String>, ttl: Duration) {
        let mut state = self.0.lock();
        for name in names {
            let known = state.known.entry(name.clone()).or_default();
            let is_fresh = known.error.is_none()
                && known.value.as_ref().is_some_and(|(_, fetched)| fetched.elapsed() < ttl);
            if !is_fresh && known.asked.is_none() {
                known.asked = Some(Instant::now());
                known.error = None;
                state.queue.push_back(name);
            }
        }
        if state.queue.is_empty() || state.is_fetching {
            return;
        }
        state.is_fetching = true;
        drop(state);
        let shared = Arc::clone(&self.0);
        let started = thread::Builder::new().name("ssm".into()).spawn(move || shared.work());
        if let Err(error) = started {
            self.0.lock().give_up(&format!("cannot start a thread: {error}"));
            self.0.settled.notify_all();
        }
    }

    /// A parameter's value: waits for it until `deadline` where it is being fetched, and a part of that time where an old
    /// one can be used instead.
    ///
    /// # Errors
    /// Why it has none.
    pub fn get(&self, name: &str, deadline: Instant) -> Result<Secret, Error> {
        self.want_if_unknown(name);
        let mut state = self.0.lock();
        let began = Instant::now();
        let Some(known) = state.known.get(name) else { return Err(Error::Late) };
        let all = deadline.saturating_duration_since(began);
        let patience = known.value.as_ref().map_or(all, |_| known.patience(all));
        loop {
            let Some(known) = state.known.get(name) else { return Err(Error::Late) };
            let left = patience.saturating_sub(began.elapsed());
            match (&known.value, &known.error) {
                (Some((value, _)), None) if known.asked.is_none() => return Ok(value.clone()),
                (Some((value, fetched)), None) if left.is_zero() => {
                    let (value, age) = (value.clone(), fetched.elapsed());
                    state.warn(stale(name, age, &Error::Late));
                    return Ok(value);
                }
                (_, Some(error)) => return Err(error.clone()),
                (_, None) if left.is_zero() => return Err(Error::Late),
                (_, None) => {
                    let waited = self.0.settled.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn want_if_unknown(&self, name: &str) {
        let is_known = self.0.lock().known.contains_key(name);
        if !is_known {
            self.want([name.to_owned()], Duration::MAX);
        }
    }

    fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().warnings)
    }
}

impl Shared {
    /// Fetches until nothing is wanted.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let batch = next_batch(&mut state.queue);
            if batch.is_empty() {
                state.is_fetching = false;
                return;
            }
            drop(state);
            // It holds nothing of ours.
            let fetched = catch_unwind(AssertUnwindSafe(|| (self.fetch)(&batch)));
            let fetched = fetched.unwrap_or_else(|_| {
                let error = Error::Failed("the client panicked, which is a bug".to_owned());
                vec![Err(error); batch.len()]
            });
            let failed = match fetched.as_slice() {
                [Err(Error::Failed(why)), ..] => Some(why.clone()),
                _ => None,
            };
            let mut state = self.lock();
            for (name, result) in batch.iter().zip(fetched) {
                state.settle(name, result);
            }
            if let Some(why) = &failed {
                // It has been tried more than once: the others would wait for the same answer.
                state.give_up(why);
            }
            drop(state);
            self.settled.notify_all();
            if failed.is_some() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is still wanted cannot be asked for.
    fn give_up(&mut self, why: &str) {
        self.is_fetching = false;
        while let Some(name) = self.queue.pop_front() {
            self.settle(&name, Err(Error::Failed(why.to_owned())));
        }
    }

    /// Several jobs may use one value: it is told once.
    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn settle(&mut self, name: &str, result: Result<Secret, Error>) {
        let Some(known) = self.known.get_mut(name) else { return };
        known.asked = None;
        match (result, &known.value) {
            (Ok(value), _) => {
                known.value = Some((value, Instant::now()));
                known.error = None;
            }
            (Err(error @ (Error::Failed(_) | Error::Late)), Some((_, fetched))) => {
                let warning = stale(name, fetched.elapsed(), &error);
                self.warn(warning);
            }
            (Err(error), _) => {
                known.value = None;
                known.error = Some(error);
            }
        }
    }
}

fn stale(name: &str, age: Duration, error: &Error) -> String {
    format!("parameter `{name}`: {error}; its value of {} ago is used", table::short(age))
}

/// What the next request asks for: no parameter in two versions, so that answers can be told apart by their names.
fn next_batch(queue: &mut VecDeque<String>) -> Vec<String> {
    let mut batch: Vec<String> = Vec::new();
    let mut later = VecDeque::new();
    while let Some(name) = queue.pop_front() {
        let is_twice = batch.iter().any(|known| fetch::are_of_one(known, &name));
        if batch.len() == BATCH || is_twice {
            later.push_back(name);
        } else {
            batch.push(name);
        }
    }
    *queue = later;
    batch
}

#[cfg(test)]
mod tests;
