//! A walk through one line of JSON that copies nothing and keeps the digits of numbers.
//!
//! serde_json would turn an integer above `u64::MAX` into a float and round other floats by one in the last
//! place, unless each value were read twice, and half of a run's time is spent here. What is rare is still left
//! to it: escapes, and values with a structure.

use serde::de::IgnoredAny;

use super::Fault;

/// A JSON value as it stands in the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Raw<'a> {
    /// Text without an escape.
    Plain(&'a str),
    /// Text with escapes and its quotes.
    Escaped(&'a str),
    /// A number that is written without fraction and exponent.
    Integer(&'a str),
    /// Any other number.
    Fraction(&'a str),
    Null,
    /// What is neither text nor number, in words.
    Other(&'static str),
}

/// The bytes at which a text ends, or something else than text begins: quote, backslash, control characters.
const ENDS_TEXT: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

/// A place in a line.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte behind white space; 0, which no JSON has, at the end.
    pub(super) fn peek(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        self.byte()
    }

    /// Steps over `byte` if it is what comes next.
    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// A member's name, up to its value.
    pub(super) fn name(&mut self) -> Result<Raw<'a>, Fault> {
        if !self.skip(b'"') {
            return Err(self.expected("a name in quotes"));
        }
        let name = self.text_after_quote()?;
        if !self.skip(b':') {
            return Err(self.expected("`:`"));
        }
        Ok(name)
    }

    /// Whether another member follows the one that was read; otherwise the object is at its end.
    pub(super) fn goes_on(&mut self) -> Result<bool, Fault> {
        if self.skip(b',') {
            return Ok(true);
        }
        if self.skip(b'}') { Ok(false) } else { Err(self.expected("`,` or `}`")) }
    }

    /// The line must be over.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    pub(super) fn value(&mut self) -> Result<Raw<'a>, Fault> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                self.text_after_quote()
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.word("null", Raw::Null),
            b't' => self.word("true", Raw::Other("a boolean")),
            b'f' => self.word("false", Raw::Other("a boolean")),
            b'[' => self.structure("a list"),
            b'{' => self.structure("an object"),
            _ => Err(self.expected("a value")),
        }
    }

    /// What was expected here.
    pub(super) fn expected(&self, what: &'static str) -> Fault {
        if self.at >= self.text.len() {
            return Fault::Short { expected: what };
        }
        Fault::Syntax { expected: what, column: self.at + 1 }
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn text_after_quote(&mut self) -> Result<Raw<'a>, Fault> {
        let start = self.at;
        let mut is_plain = true;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let stop = rest.iter().position(|&byte| ENDS_TEXT[usize::from(byte)]);
            self.at += stop.unwrap_or(rest.len());
            match self.byte() {
                b'"' => break,
                b'\\' => {
                    is_plain = false;
                    self.escape()?;
                }
                _ => return Err(self.expected("the end of a text")),
            }
        }
        let end = self.at;
        self.at += 1;
        if is_plain {
            return Ok(Raw::Plain(&self.text[start..end]));
        }
        Ok(Raw::Escaped(&self.text[start - 1..=end]))
    }

    /// Steps over an escape; what it stands for is seen where the text is used.
    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_ascii_hexdigit() {
                        return Err(self.expected("a hexadecimal digit"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Raw<'a>, Fault> {
        let start = self.at;
        self.at += usize::from(self.byte() == b'-');
        if self.byte() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let is_integer = !matches!(self.byte(), b'.' | b'e' | b'E');
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.digits()?;
        }
        let digits = &self.text[start..self.at];
        Ok(if is_integer { Raw::Integer(digits) } else { Raw::Fraction(digits) })
    }

    /// At least one.
    fn digits(&mut self) -> Result<(), Fault> {
        if !self.byte().is_ascii_digit() {
            return Err(self.expected("a digit"));
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str, raw: Raw<'a>) -> Result<Raw<'a>, Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(raw)
    }

    fn structure(&mut self, what: &'static str) -> Result<Raw<'a>, Fault> {
        let rest = serde_json::Deserializer::from_str(&self.text[self.at..]);
        let mut values = rest.into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(IgnoredAny)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(self.expected("a value")),
        }
        self.at += values.byte_offset();
        Ok(Raw::Other(what))
    }
}
