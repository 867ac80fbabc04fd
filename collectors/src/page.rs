//! A collector's page: the head of its module, written once and printed by `collector show`.

/// The text of a file's leading `//!` lines, cut out at compile time so that the program does not carry its source.
#[macro_export]
macro_rules! page {
    ($file:literal) => {{
        const SOURCE: &str = include_str!($file);
        const LENGTH: usize = $crate::page::head_length(SOURCE.as_bytes());
        static HEAD: [u8; LENGTH] = $crate::page::head::<LENGTH>(SOURCE.as_bytes());
        $crate::page::Page::new(&HEAD)
    }};
}

/// A page in Markdown, still with the marks of a Rust comment.
#[derive(Debug, Clone, Copy)]
pub struct Page(&'static [u8]);

impl Page {
    /// Wraps the bytes cut out by [`page!`].
    pub const fn new(head: &'static [u8]) -> Self {
        Self(head)
    }

    /// The page as Markdown.
    pub fn markdown(self) -> String {
        let head = String::from_utf8_lossy(self.0);
        let lines = head.lines().map(|line| {
            let line = line.strip_prefix("//!").unwrap_or(line);
            line.strip_prefix(' ').unwrap_or(line)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The first sentence: what the thing is, in one line.
    pub fn summary(self) -> String {
        let markdown = self.markdown();
        let paragraph = markdown.split("\n\n").next().unwrap_or_default();
        paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The first block of YAML: a sample that works when pasted.
    pub fn sample(self) -> Option<String> {
        let markdown = self.markdown();
        let (_, after) = markdown.split_once("```yaml\n")?;
        let (sample, _) = after.split_once("```")?;
        Some(sample.to_owned())
    }
}

/// How many bytes the leading `//!` lines take.
pub const fn head_length(source: &[u8]) -> usize {
    let mut at = 0;
    while at + 2 < source.len()
        && source[at] == b'/'
        && source[at + 1] == b'/'
        && source[at + 2] == b'!'
    {
        while at < source.len() && source[at] != b'\n' {
            at += 1;
        }
        at += 1;
    }
    if at > source.len() { source.len() } else { at }
}

/// The first `LENGTH` bytes.
pub const fn head<const LENGTH: usize>(source: &[u8]) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        out[at] = source[at];
        at += 1;
    }
    out
}
