//! A request to stop, from any thread to the run.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Asks the jobs of a run to come to an end. All clones are one.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_asked: bool,
    wake: Option<Box<dyn Fn() + Send>>,
}

impl Stop {
    /// Asks. Jobs that run are given up on, and the others are not started.
    pub fn ask(&self) {
        let mut state = self.lock();
        state.is_asked = true;
        if let Some(wake) = &state.wake {
            wake();
        }
    }

    /// Whether it was asked.
    pub(super) fn is_asked(&self) -> bool {
        self.lock().is_asked
    }

    /// Waits for so long, or until it is asked.
    pub fn sleep(&self, duration: Duration) {
        let (sender, receiver) = channel();
        // Nobody listens any more when the time was over before.
        self.when_asked(move || sender.send(()).unwrap_or_default());
        receiver.recv_timeout(duration).unwrap_or_default();
    }

    /// Calls `wake` when it is asked, which may have been before.
    pub(super) fn when_asked(&self, wake: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        if state.is_asked {
            wake();
        }
        state.wake = Some(Box::new(wake));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
