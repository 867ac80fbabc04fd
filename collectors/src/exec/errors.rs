//! A program's standard error: every line goes to the job's log, the last ones stand in its failure.

use std::collections::VecDeque;
use std::fmt;

use memchr::memchr;

use crate::redact::Redact;
use crate::sink::{Level, Sink};

/// How many lines stand in a failure.
const TAIL_LINES: usize = 20;

/// The last lines of standard error, as the cause of a failure.
#[derive(Debug)]
pub(super) struct Tail(VecDeque<String>);

impl std::error::Error for Tail {}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it said")?;
        let separator = if self.0.len() == 1 { " " } else { "\n  " };
        self.0.iter().try_for_each(|line| write!(f, "{separator}{line}"))
    }
}

/// Takes standard error apart into lines.
pub(super) struct Errors<'a> {
    sink: &'a Sink,
    redact: &'a Redact,
    /// The beginning of a line whose end has not come yet; the rest of a long one is left out.
    begun: Vec<u8>,
    tail: VecDeque<String>,
}

impl<'a> Errors<'a> {
    pub(super) fn new(sink: &'a Sink, redact: &'a Redact) -> Self {
        Self { sink, redact, begun: Vec::new(), tail: VecDeque::new() }
    }

    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while let Some(end) = memchr(b'\n', piece) {
            self.begin(&piece[..end]);
            self.end_line();
            piece = &piece[end + 1..];
        }
        self.begin(piece);
    }

    /// The last lines; `None` when there was nothing.
    pub(super) fn finish(mut self) -> Option<Tail> {
        self.end_line();
        (!self.tail.is_empty()).then_some(Tail(self.tail))
    }

    fn begin(&mut self, piece: &[u8]) {
        let room = self.redact.bytes_needed().saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn end_line(&mut self) {
        let line = self.redact.text(String::from_utf8_lossy(&self.begun).trim_end());
        self.begun.clear();
        if line.is_empty() {
            return;
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.clone());
        // A job that is late has no log any more, and its end is still worth telling.
        self.sink.log(Level::Info, line).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_whatever_pieces_they_come_in() {
        let sink = Sink::new("h".into(), vec![], 0);
        let redact = Redact::default();
        let mut errors = Errors::new(&sink, &redact);
        let text: String = (0..30).map(|n| format!("line {n}\r\n\n")).collect();
        text.as_bytes().chunks(7).for_each(|piece| errors.feed(piece));
        errors.feed(b"half \xff");
        errors.feed(&vec![b'x'; 1 << 20]);
        let told = errors.finish().expect("lines").to_string();
        assert_eq!(told.lines().count(), 1 + TAIL_LINES);
        assert!(told.starts_with("it said\n  line 11\n"), "{told}");
        assert!(told.contains("\n  half \u{fffd}xx") && told.ends_with('…'));
        assert_eq!(sink.seal().expect("open").log.len(), 31);
    }
}
