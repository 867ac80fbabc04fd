//! Mistakes in the configuration, shown with the line they stand in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use collectors::decode::{self, Problem, Side};

use super::locate::{Place, locate};

/// How many mistakes are shown; of the others only the number.
const SHOWN: usize = 100;

/// A configuration file's name and text.
#[derive(Debug)]
pub struct Source {
    /// Where it was read.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// The file.
    pub source: Arc<Source>,
    /// Line and column, where there are any.
    pub place: Option<Place>,
    /// Where in the tree, such as `jobs[2].http.url`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What was meant, or what would be right.
    pub hint: Option<String>,
}

impl Mistake {
    /// A decoder's problem, placed in its file.
    pub(super) fn new(source: &Arc<Source>, problem: Problem) -> Self {
        let Problem { path, side, message, hint } = problem;
        let earlier = usize::from(side == Side::Key && message.ends_with("twice"));
        Self {
            place: locate(&source.text, &path, side, earlier),
            source: Arc::clone(source),
            path: decode::Path(&path).to_string(),
            message,
            hint,
        }
    }

    /// A mistake of a file as a whole.
    pub(super) fn of_file(path: &Path, message: impl Into<String>) -> Self {
        let source = Arc::new(Source { path: path.to_owned(), text: String::new() });
        Self { source, place: None, path: String::new(), message: message.into(), hint: None }
    }
}

/// ```text
/// error: unknown key `timout`
///   --> /etc/collector/collector.yaml:7:5 (jobs[0].timout)
///    |
///  7 |     timout: 5s
///    |     ^
///   hint: did you mean `timeout`?
/// ```
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  --> {}", self.message, self.source.path.display())?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        if let Some(place) = self.place
            && let Some(text) = self.source.text.lines().nth(place.line.saturating_sub(1))
        {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            let (text, column) = window(text, place.column);
            let caret = " ".repeat(column.saturating_sub(1));
            write!(f, "\n {margin} |\n {number} | {text}\n {margin} | {caret}^")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// A long line is cut to the part around its column; control characters are shown as blanks.
fn window(text: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 160;
    let skip = column.saturating_sub(WIDTH / 2);
    let shown = text.chars().skip(skip).take(WIDTH);
    let shown = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
    (shown, column - skip)
}

/// Every mistake that could be found.
#[derive(Debug)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in self.0.iter().take(SHOWN) {
            writeln!(f, "{mistake}\n")?;
        }
        if self.0.len() > SHOWN {
            writeln!(f, "… and {} more\n", self.0.len() - SHOWN)?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration"),
            many => write!(f, "{many} mistakes in the configuration"),
        }
    }
}
