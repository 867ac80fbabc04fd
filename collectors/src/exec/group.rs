//! Process groups of programs that are running, so that none is left behind when the run ends.
//!
//! A group is named by its leader's process id, which the kernel gives to nobody else until the leader has been
//! waited for. So a group is taken off the list before its leader is waited for, and signals are sent to what
//! is on the list while the list is locked: a signal never meets a stranger.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long killed processes may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// The groups of this process.
pub(super) static GROUPS: Groups = Groups::new();

/// Every group that has been started and not been waited for.
pub(super) struct Groups {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    running: Vec<Pid>,
    /// Programs that are being started: they will be on the list, and are not there yet.
    starting: usize,
    /// Nothing new is started, and what was about to start is ended at once.
    is_ending: bool,
}

/// Why no program was started.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// All are being ended.
    Ending,
    /// The kernel refused.
    Io(io::Error),
}

/// A program in a process group of its own.
pub(super) struct Group<'a> {
    pub(super) child: Child,
    pid: Pid,
    groups: &'a Groups,
    is_listed: bool,
}

impl Groups {
    pub(super) const fn new() -> Self {
        let state = State { running: Vec::new(), starting: 0, is_ending: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Starts `command` as the leader of a new group.
    ///
    /// `pre_exec` must not have been used on it: std would copy the whole process with `fork`.
    pub(super) fn start(&self, command: &mut Command) -> Result<Group<'_>, NotStarted> {
        use std::os::unix::process::CommandExt;

        let mut state = self.lock();
        if state.is_ending {
            return Err(NotStarted::Ending);
        }
        state.starting += 1;
        drop(state);
        let spawned = command.process_group(0).spawn();
        let mut state = self.lock();
        state.starting -= 1;
        let started = spawned.map_err(NotStarted::Io).map(|child| {
            let pid = Pid::from_child(&child);
            state.running.push(pid);
            if state.is_ending {
                send(pid, Signal::TERM);
            }
            Group { child, pid, groups: self, is_listed: true }
        });
        drop(state);
        self.changed.notify_all();
        started
    }

    /// Ends all groups: TERM now, KILL after `grace`.
    pub(super) fn end(&self, grace: Duration) {
        let mut state = self.lock();
        state.is_ending = true;
        state.running.iter().for_each(|&pid| send(pid, Signal::TERM));
        state = self.wait_until_empty(state, grace);
        state.running.iter().for_each(|&pid| send(pid, Signal::KILL));
        state = self.wait_until_empty(state, KILLED_WITHIN);
        // One process may see several runs.
        state.is_ending = false;
    }

    fn wait_until_empty<'g>(
        &self,
        mut state: MutexGuard<'g, State>,
        timeout: Duration,
    ) -> MutexGuard<'g, State> {
        let end = Instant::now() + timeout;
        while !(state.running.is_empty() && state.starting == 0) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group<'_> {
    /// The leader's process id.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to every process of the group.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_listed {
            send(self.pid, signal);
        }
    }

    /// Whether the leader has ended; it stays a zombie, and the group its own.
    pub(super) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(ended) => ended.is_some(),
            // Somebody else has waited for it.
            Err(_) => true,
        }
    }

    /// The exit status of a leader that has ended; `None` when it has not.
    pub(super) fn leave(mut self) -> io::Result<Option<ExitStatus>> {
        self.unlist();
        self.child.try_wait()
    }

    fn unlist(&mut self) {
        if std::mem::take(&mut self.is_listed) {
            let mut state = self.groups.lock();
            state.running.retain(|&pid| pid != self.pid);
            drop(state);
            self.groups.changed.notify_all();
        }
    }
}

/// Whoever panics leaves no program behind.
impl Drop for Group<'_> {
    fn drop(&mut self) {
        if self.is_listed {
            self.signal(Signal::KILL);
            self.unlist();
            // It is killed, so this is short, and how it ended is of no interest.
            drop(self.child.wait());
        }
    }
}

fn send(pid: Pid, signal: Signal) {
    // The only failure is a group that has no process left, which is what the signal is for.
    kill_process_group(pid, signal).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started<'a>(groups: &'a Groups, script: &str) -> Group<'a> {
        let mut command = Command::new("/bin/sh");
        groups.start(command.args(["-c", script])).expect("sh starts")
    }

    fn wait_until_ended(group: &Group<'_>) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(group.pid()), options).expect("it ends");
    }

    #[test]
    fn ending_all_ends_what_asks_for_it_and_what_does_not() {
        use std::io::Read;

        let groups = Groups::new();
        let polite = started(&groups, "exec sleep 1000");
        let mut command = Command::new("/bin/sh");
        // What it says tells that the trap is set.
        command.args(["-c", "trap '' TERM; echo; exec sleep 1000"]);
        let mut stubborn =
            groups.start(command.stdout(std::process::Stdio::piped())).expect("sh starts");
        let mut said = [0; 1];
        stubborn.child.stdout.as_mut().expect("piped").read_exact(&mut said).expect("a line");
        let (polite, stubborn) = std::thread::scope(|scope| {
            // As the threads of their jobs do.
            let wait = |group: Group<'_>| {
                wait_until_ended(&group);
                group.leave().expect("waited for").expect("ended").to_string()
            };
            let polite = scope.spawn(move || wait(polite));
            let stubborn = scope.spawn(move || wait(stubborn));
            groups.end(Duration::from_millis(50));
            (polite.join().expect("no panic"), stubborn.join().expect("no panic"))
        });
        assert!(polite.contains("SIGTERM"), "{polite}");
        assert!(stubborn.contains("SIGKILL"), "{stubborn}");
        // And the next run may start programs again.
        let next = started(&groups, "exit 0");
        wait_until_ended(&next);
        assert!(next.leave().expect("waited for").expect("ended").success());
    }

    #[test]
    fn a_group_that_is_dropped_is_killed() {
        let groups = Groups::new();
        let pid = started(&groups, "exec sleep 1000").pid();
        assert_eq!(kill_process_group(pid, Signal::TERM), Err(rustix::io::Errno::SRCH));
        assert!(groups.lock().running.is_empty());
    }
}
