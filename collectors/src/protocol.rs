//! JSON Lines, the way in for programs and files that bring datapoints of their own.
//!
//! One JSON object a line; blank lines are passed over. `type` says what it is, and is `datapoint` by default:
//!
//! | type | members |
//! |---|---|
//! | `datapoint` | `key` and `value` (text or number each), and optional `target`, `data_type`, `unit`, `timestamp` (milliseconds since 1970, truncated), `labels`, `info` (objects) |
//! | `log` | `message`, optional `level` (`error`, `warn`, `info`, `debug`) |
//! | `error` | `message`: the job counts as failed, what was printed is kept |
//!
//! A line that is not so is refused, with its number and its key if it has one; reading goes on, and the job
//! fails in the end. A label whose name is empty or whose value is neither text nor number is left off.
//!
//! **Order of labels.** Outputs send labels in the order in which their members stand in the line, `labels` and
//! `info` alike: `info` comes first where it stands first. Both may stand in a line more than once, and then go
//! on where the line left off, so that identity and info can be interleaved at will. Of two labels of one name
//! the first wins. Every other member may stand there once.

mod cursor;
mod fault;
mod line;
mod message;
mod scalar;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead};

use memchr::memchr;

use crate::collector::Error;
use crate::datapoint::Datapoint;
use crate::redact::Redact;
use crate::sink::{REFUSALS_KEPT, Sealed, Sink};

pub(crate) use fault::Fault;
use line::{Line, Member};
use message::{Measurement, Message};

/// The longest line; a longer one is refused as a whole.
pub(crate) const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Lines that were refused.
#[derive(Debug, thiserror::Error)]
#[error("{count} of {lines} lines refused, the first one is line {first}: {reason}")]
pub(crate) struct BadLines {
    count: u64,
    lines: u64,
    first: u64,
    reason: String,
}

/// Reading failed between two lines, or within one.
#[derive(Debug, thiserror::Error)]
#[error("reading failed after line {line}")]
struct Interrupted {
    line: u64,
    source: io::Error,
}

/// Pushes every datapoint of `reader`, line by line; `origin` names it in errors.
///
/// # Errors
/// [`Error::Target`] when a line was refused (the others were pushed) or reading failed, [`Error::Sealed`]
/// when the job's time is over.
pub(crate) fn read_datapoints(
    reader: &mut dyn BufRead,
    origin: &str,
    sink: &Sink,
) -> Result<(), Error> {
    let redact = Redact::default();
    let mut lines = Lines::new(sink, &redact);
    loop {
        let chunk = match reader.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(Error::at(origin, Interrupted { line: lines.number, source }));
            }
        };
        let length = chunk.len();
        if length == 0 {
            return lines.finish()?.map_err(|bad| Error::at(origin, bad));
        }
        lines.feed(chunk)?;
        reader.consume(length);
    }
}

/// The same for whoever is given the bytes in pieces.
pub(crate) struct Lines<'a> {
    sink: &'a Sink,
    redact: &'a Redact,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    /// The line that has begun is too long, and is passed over.
    is_skipping: bool,
    /// How many lines there were.
    number: u64,
    bad: Option<BadLines>,
}

impl<'a> Lines<'a> {
    /// No line yet. What goes into errors and logs goes through `redact`.
    pub(crate) fn new(sink: &'a Sink, redact: &'a Redact) -> Self {
        Self { sink, redact, begun: Vec::new(), is_skipping: false, number: 0, bad: None }
    }

    /// Takes the next piece, and pushes what is complete.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Sealed> {
        while let Some(end) = memchr(b'\n', piece) {
            self.end_line(&piece[..end])?;
            piece = &piece[end + 1..];
        }
        self.begin(piece);
        Ok(())
    }

    /// The end of the input, which also ends the last line.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over; within, what was refused.
    pub(crate) fn finish(mut self) -> Result<Result<(), BadLines>, Sealed> {
        if self.is_skipping || !self.begun.is_empty() {
            self.end_line(&[])?;
        }
        Ok(self.into_refused())
    }

    /// The input was cut off: what has no end is no line.
    pub(crate) fn into_refused(self) -> Result<(), BadLines> {
        match self.bad {
            None => Ok(()),
            Some(bad) => Err(BadLines { lines: self.number, ..bad }),
        }
    }

    fn begin(&mut self, piece: &[u8]) {
        if self.is_skipping {
            return;
        }
        if self.begun.len() + piece.len() > MAX_LINE_BYTES {
            self.is_skipping = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self, rest: &[u8]) -> Result<(), Sealed> {
        if self.begun.is_empty() && !self.is_skipping && rest.len() <= MAX_LINE_BYTES {
            return self.take_line(rest);
        }
        self.begin(rest);
        if std::mem::take(&mut self.is_skipping) {
            self.number += 1;
            return self.refuse(None, &Fault::TooLong);
        }
        let mut begun = std::mem::take(&mut self.begun);
        let taken = self.take_line(&begun);
        begun.clear();
        self.begun = begun;
        taken
    }

    fn take_line(&mut self, bytes: &[u8]) -> Result<(), Sealed> {
        self.number += 1;
        let bytes = if self.number == 1 { without_mark(bytes) } else { bytes };
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Ok(());
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return self.refuse(None, &Fault::NotUtf8(error.valid_up_to() + 1)),
        };
        let mut line = Line::default();
        if let Err(fault) = line.parse(text) {
            return self.refuse(None, &fault);
        }
        let taken = match Message::of(&mut line) {
            Ok(Message::Datapoint(measurement)) => self.push(measurement)?,
            Ok(Message::Log(level, message)) => {
                return self.sink.log(level, self.redact.text(&message));
            }
            Ok(Message::Error(message)) => return self.sink.error(self.redact.text(&message)),
            Err(fault) => Err(fault),
        };
        taken.or_else(|fault| {
            let key = line.get(Member::Key).and_then(|raw| raw.text_or_number().ok());
            self.refuse(key.as_deref(), &fault)
        })
    }

    fn push(&self, measurement: Measurement<'_>) -> Result<Result<(), Fault>, Sealed> {
        let Measurement { key, value, data_type, target, unit, timestamp_ms, labels, dropped } =
            measurement;
        let datapoint = match Datapoint::new(&key, value, data_type) {
            Ok(datapoint) => datapoint,
            Err(flaw) => return Ok(Err(flaw.into())),
        };
        for (name, fault) in dropped {
            self.sink.drop_label(&self.redact.text(&name), fault)?;
        }
        self.sink.push(&Datapoint {
            target: target.as_deref(),
            unit: unit.as_deref(),
            timestamp_ms,
            labels: &labels,
            ..datapoint
        })?;
        Ok(Ok(()))
    }

    fn refuse(&mut self, key: Option<&str>, fault: &Fault) -> Result<(), Sealed> {
        let number = self.number;
        let refused = self.bad.as_ref().map_or(0, |bad| bad.count);
        if refused >= REFUSALS_KEPT as u64 {
            // The sink only counts it, so that a flood of bad lines need not be put into words.
            self.sink.refuse("", "")?;
        } else {
            let reason = self.redact.text(&fault.to_string());
            match key {
                Some(key) => {
                    self.sink.refuse(&self.redact.text(key), format!("line {number}: {reason}"))?;
                }
                None => self.sink.refuse(&format!("line {number}"), &reason)?,
            }
            if self.bad.is_none() {
                self.bad = Some(BadLines { count: 0, lines: 0, first: number, reason });
            }
        }
        if let Some(bad) = &mut self.bad {
            bad.count += 1;
        }
        Ok(())
    }
}

/// Some programs begin their output with a byte order mark, which is no part of the text.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}
