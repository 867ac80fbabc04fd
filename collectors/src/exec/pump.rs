//! One thread moves everything that goes into and comes out of a running program, until it has ended.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::group::Group;
use crate::sink::Sealed;

/// How much is read at a time.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a program that has ended may leave its output open in other hands, when nothing comes out of it.
const LINGER: Duration = Duration::from_secs(1);
/// How often to look whether a program has ended, where the kernel does not tell.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a killed program may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// What a program may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// When its group gets TERM.
    pub(super) deadline: Instant,
    /// How long after TERM it gets KILL.
    pub(super) kill_after: Duration,
    /// How much it may print, to standard output and to standard error each.
    pub(super) max_bytes: u64,
}

/// Who is told what the program prints.
pub(super) trait Listener {
    /// The next piece of standard output.
    fn output(&mut self, piece: &[u8]) -> Result<(), Sealed>;
    /// The next piece of standard error.
    fn errors(&mut self, piece: &[u8]);
}

/// Why a program did not run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its time was over.
    Deadline,
    /// Nobody listens any more.
    Sealed,
    /// It printed more than it may.
    TooLong(&'static str),
    /// Another process held its standard output open when it had ended.
    Held,
}

/// How it went.
#[derive(Debug)]
pub(super) struct Ending {
    /// How the program ended; `None`: it could not even be killed.
    pub(super) status: Option<ExitStatus>,
    pub(super) stop: Option<Stop>,
}

/// A running program with its pipes.
pub(super) struct Pump<'a> {
    group: Group<'a>,
    input: Option<(ChildStdin, Vec<u8>)>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    output_left: u64,
    errors_left: u64,
    /// Becomes readable when the program ends; `None` where the kernel has no such thing.
    end: Option<OwnedFd>,
    /// Since when the program has ended and nothing came out.
    quiet_since: Option<Instant>,
    stop: Option<Stop>,
    /// When KILL is sent, and after that, when even that has not helped.
    next_step: Option<Instant>,
    is_killed: bool,
    limits: Limits,
}

#[derive(Default)]
struct Ready {
    input: bool,
    output: bool,
    errors: bool,
    end: bool,
}

impl<'a> Pump<'a> {
    /// Takes a program that was just started; `input` is written to its standard input.
    pub(super) fn new(mut group: Group<'a>, input: Vec<u8>, limits: Limits) -> io::Result<Self> {
        let stdin = group.child.stdin.take();
        if let Some(stdin) = &stdin {
            // A program may read nothing of an input that is larger than the pipe.
            rustix::io::ioctl_fionbio(stdin, true)?;
        }
        Ok(Self {
            input: stdin.map(|stdin| (stdin, input)),
            output: group.child.stdout.take(),
            errors: group.child.stderr.take(),
            output_left: limits.max_bytes,
            errors_left: limits.max_bytes,
            end: end_of(&group),
            quiet_since: None,
            stop: None,
            next_step: None,
            is_killed: false,
            limits,
            group,
        })
    }

    /// Runs the program to its end, or to the end of what it may.
    pub(super) fn run(mut self, listener: &mut dyn Listener) -> io::Result<Ending> {
        let mut buffer = vec![0; PIECE_BYTES];
        self.write();
        loop {
            let has_ended = self.quiet_since.is_some();
            if has_ended && self.output.is_none() && self.errors.is_none() {
                break;
            }
            let now = Instant::now();
            if self.is_hopeless(now) {
                break;
            }
            let ready = self.wait(now)?;
            if ready.input {
                self.write();
            }
            if ready.output {
                self.read_output(&mut buffer, listener);
            }
            if ready.errors {
                self.read_errors(&mut buffer, listener);
            }
            if !has_ended && (ready.end || self.end.is_none() && self.group.has_ended()) {
                self.quiet_since = Some(Instant::now());
                self.end = None;
                self.input = None;
            }
        }
        // What the program leaves behind in its group is not waited for.
        self.group.signal(if self.stop.is_some() { Signal::KILL } else { Signal::TERM });
        Ok(Ending { status: self.group.leave()?, stop: self.stop })
    }

    /// Does what is due by now; says whether there is nothing left to wait for.
    fn is_hopeless(&mut self, now: Instant) -> bool {
        if let Some(step) = self.next_step {
            if now < step {
                return false;
            }
            if self.is_killed {
                return true;
            }
            self.group.signal(Signal::KILL);
            self.is_killed = true;
            self.next_step = Some(now + KILLED_WITHIN);
        } else if now >= self.limits.deadline {
            self.stop(Stop::Deadline);
        } else if self.quiet_since.is_some_and(|since| now >= since + LINGER) {
            // Standard error in foreign hands costs nothing but the wait.
            if self.output.is_some() {
                self.stop = Some(Stop::Held);
            }
            return true;
        }
        false
    }

    /// Asks the program to end.
    fn stop(&mut self, why: Stop) {
        if self.stop.is_none() {
            self.stop = Some(why);
            self.group.signal(Signal::TERM);
            self.next_step = Some(Instant::now() + self.limits.kill_after);
        }
    }

    fn wait(&self, now: Instant) -> io::Result<Ready> {
        let wake = self.next_step.unwrap_or_else(|| {
            let linger = self.quiet_since.map(|since| since + LINGER);
            linger.map_or(self.limits.deadline, |linger| linger.min(self.limits.deadline))
        });
        let mut timeout = wake.saturating_duration_since(now);
        if self.quiet_since.is_none() && self.end.is_none() {
            timeout = timeout.min(LOOK_EVERY);
        }
        let mut waits: Vec<PollFd<'_>> = Vec::with_capacity(4);
        let input = self.input.as_ref().map(|(pipe, _)| pipe.as_fd());
        let input = watch(&mut waits, input, PollFlags::OUT);
        let output = watch(&mut waits, self.output.as_ref().map(AsFd::as_fd), PollFlags::IN);
        let errors = watch(&mut waits, self.errors.as_ref().map(AsFd::as_fd), PollFlags::IN);
        let end = watch(&mut waits, self.end.as_ref().map(AsFd::as_fd), PollFlags::IN);
        // Rounded up, or the last fraction of a millisecond would be spent in a busy loop.
        let timeout = timeout + Duration::from_micros(999);
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut waits, Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let is_ready = |place: Option<usize>| {
            place.and_then(|at| waits.get(at)).is_some_and(|wait| !wait.revents().is_empty())
        };
        Ok(Ready {
            input: is_ready(input),
            output: is_ready(output),
            errors: is_ready(errors),
            end: is_ready(end),
        })
    }

    /// Writes what the pipe takes. A program need not read its input: that it closes it is no failure.
    fn write(&mut self) {
        let Some((pipe, rest)) = &mut self.input else { return };
        while !rest.is_empty() {
            match pipe.write(rest) {
                Ok(written) => drop(rest.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.input = None;
    }

    fn read_output(&mut self, buffer: &mut [u8], listener: &mut dyn Listener) {
        let (piece, is_open) = read(self.output.as_mut(), buffer, &mut self.output_left);
        let is_heard = piece.is_empty() || listener.output(piece).is_ok();
        self.note(!piece.is_empty());
        let why = match is_open {
            Open::Yes if is_heard => return,
            Open::Yes => Some(Stop::Sealed),
            Open::No => None,
            Open::TooLong => Some(Stop::TooLong("standard output")),
        };
        self.output = None;
        if let Some(why) = why {
            self.stop(why);
        }
    }

    fn read_errors(&mut self, buffer: &mut [u8], listener: &mut dyn Listener) {
        let (piece, is_open) = read(self.errors.as_mut(), buffer, &mut self.errors_left);
        listener.errors(piece);
        self.note(!piece.is_empty());
        if is_open != Open::Yes {
            self.errors = None;
        }
        if is_open == Open::TooLong {
            self.stop(Stop::TooLong("standard error"));
        }
    }

    /// Something came out, so whoever has the program's output is still at work.
    fn note(&mut self, is_output: bool) {
        if is_output && let Some(since) = &mut self.quiet_since {
            *since = Instant::now();
        }
    }
}

/// Adds what is there, and says where it stands.
fn watch<'f>(
    waits: &mut Vec<PollFd<'f>>,
    fd: Option<BorrowedFd<'f>>,
    flags: PollFlags,
) -> Option<usize> {
    waits.push(PollFd::from_borrowed_fd(fd?, flags));
    Some(waits.len() - 1)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Yes,
    No,
    /// There is more than may be read.
    TooLong,
}

fn read<'b>(
    pipe: Option<&mut impl Read>,
    buffer: &'b mut [u8],
    left: &mut u64,
) -> (&'b [u8], Open) {
    let Some(pipe) = pipe else { return (&[], Open::No) };
    let length = match pipe.read(buffer) {
        Ok(0) => return (&[], Open::No),
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return (&[], Open::Yes),
        Err(_) => return (&[], Open::No),
    };
    let allowed = usize::try_from(*left).unwrap_or(usize::MAX).min(length);
    *left -= allowed as u64;
    let is_open = if allowed < length { Open::TooLong } else { Open::Yes };
    (&buffer[..allowed], is_open)
}

#[cfg(target_os = "linux")]
fn end_of(group: &Group<'_>) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    // Kernels before 5.3 and some sandboxes have none.
    pidfd_open(group.pid(), PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn end_of(_: &Group<'_>) -> Option<OwnedFd> {
    None
}
