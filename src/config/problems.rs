//! Mistakes in the configuration, shown with the line they stand in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use collectors::decode::{self, Problem, Segment, Side};

use super::locate::{Place, locate};

/// How many mistakes are shown; of the others only the number.
const SHOWN: usize = 100;
/// Parts of names behind which secrets stand: what follows such a key is not shown.
const SECRET_NAMES: [&str; 8] =
    ["pass", "secret", "token", "bearer", "key", "auth", "header", "credential"];

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
    source: Arc<Source>,
    at: At,
    message: String,
    hint: Option<String>,
}

/// Where in a file a mistake is.
#[derive(Debug, Clone)]
enum At {
    /// The file as a whole.
    File,
    /// A place that the parser told.
    Place(Option<Place>),
    /// A path of the tree. Its place is looked for only when it is shown: that means parsing the text again.
    Path { path: Vec<Segment>, side: Side, is_repeated: bool },
}

impl Mistake {
    /// A decoder's problem in its file.
    pub(super) fn new(source: &Arc<Source>, problem: Problem) -> Self {
        let Problem { path, side, message, hint } = problem;
        let is_repeated = side == Side::Key && message.ends_with("twice");
        let at = At::Path { path, side, is_repeated };
        Self { source: Arc::clone(source), at, message, hint }
    }

    /// A text that is no YAML, and where the parser noticed.
    pub(super) fn of_text(source: &Arc<Source>, place: Option<Place>, message: String) -> Self {
        Self { source: Arc::clone(source), at: At::Place(place), message, hint: None }
    }

    /// A mistake of a file as a whole.
    pub(super) fn of_file(path: &Path, message: impl Into<String>) -> Self {
        let source = Arc::new(Source { path: path.to_owned(), text: String::new() });
        Self { source, at: At::File, message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn place(&self) -> Option<Place> {
        match &self.at {
            At::File => None,
            At::Place(place) => *place,
            At::Path { path, side, is_repeated } => {
                locate(&self.source.text, path, *side, usize::from(*is_repeated))
            }
        }
    }

    /// The line at `place`, and the column in what is shown of it. Of a key that is unknown only the key is shown, and
    /// nothing behind a key that sounds like a secret's.
    fn line(&self, place: Place) -> Option<(String, usize)> {
        let text = self.source.text.lines().nth(place.line.saturating_sub(1))?;
        let hides = match &self.at {
            At::Path { path, side, .. } => *side == Side::Key || path.iter().any(sounds_secret),
            _ => text.split(':').next().is_some_and(is_secret_name),
        };
        if !hides {
            return Some(window(text, place.column));
        }
        let start: String = text.chars().take(place.column.saturating_sub(1)).collect();
        let rest: String = text.chars().skip(place.column.saturating_sub(1)).collect();
        let key = match self.at {
            At::Path { side: Side::Key, .. } => rest.split(':').next().unwrap_or_default(),
            _ => "",
        };
        if is_secret_name(&start) {
            return Some((format!("…{key}…"), 2));
        }
        Some(window(&format!("{start}{key}…"), place.column))
    }
}

fn sounds_secret(segment: &Segment) -> bool {
    matches!(segment, Segment::Key(name) if is_secret_name(name))
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// ```text
/// error: unknown key `timout`
///   --> /etc/collector/collector.yaml:7:5 (jobs[0].timout)
///    |
///  7 |     timout…
///    |     ^
///   hint: did you mean `timeout`?
/// ```
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  --> {}", self.message, self.source.path.display())?;
        let place = self.place();
        if let Some(Place { line, column }) = place {
            write!(f, ":{line}:{column}")?;
        }
        if let At::Path { path, .. } = &self.at
            && !path.is_empty()
        {
            write!(f, " ({})", decode::Path(path))?;
        }
        if let Some(place) = place
            && let Some((text, column)) = self.line(place)
        {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
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
