//! The exit statuses. They are an interface: scripts and schedulers depend on them.

use serde::{Serialize, Serializer};

/// What the process says when it exits. The gravest that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything due was collected and accepted, or nothing was due.
    Success,
    /// A bug in the program.
    Bug,
    /// Wrong usage, or a mistake in the configuration.
    Usage,
    /// Accepted, but some job failed, was late, or panicked.
    JobFailed,
    /// Not accepted yet: it waits in the spool.
    Waiting,
    /// Data was lost or put in quarantine.
    Lost,
    /// Another run holds the lock.
    Locked,
}

impl Status {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Bug,
        Self::Usage,
        Self::JobFailed,
        Self::Waiting,
        Self::Lost,
        Self::Locked,
    ];

    /// The number that the process exits with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::JobFailed => 3,
            Self::Waiting => 4,
            Self::Lost => 5,
            Self::Locked => 6,
        }
    }

    /// What it means, in one sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "everything due was collected and accepted, or nothing was due",
            Self::Bug => "a bug in collector",
            Self::Usage => "wrong usage, or a mistake in the configuration",
            Self::JobFailed => "accepted, but some job failed, was late, or panicked",
            Self::Waiting => "not accepted yet: it waits in the spool",
            Self::Lost => "data was lost or put in quarantine",
            Self::Locked => "another run holds the lock",
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}
