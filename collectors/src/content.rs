//! What a file, or what a program prints, is made of: lines that bring their own keys, or something that is mapped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::Problem;
use crate::mapping::{Format, Mapping};

/// What it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Content {
    /// One datapoint per line, each a JSON object; a program may also say log lines and errors.
    Jsonl,
    /// One JSON document.
    Json,
    /// Comma-separated values with a header row.
    Csv,
    /// One number or text.
    Value,
    /// Text in which a pattern finds values.
    Regex,
}

impl Content {
    pub(crate) const fn jsonl() -> Self {
        Self::Jsonl
    }

    pub(crate) const fn json() -> Self {
        Self::Json
    }

    /// The mapping's word for it; `None`: it brings its own keys.
    pub(crate) fn mapped(self) -> Option<Format> {
        match self {
            Self::Jsonl => None,
            Self::Json => Some(Format::Json),
            Self::Csv => Some(Format::Csv),
            Self::Value => Some(Format::Value),
            Self::Regex => Some(Format::Regex),
        }
    }

    /// What of the option `mapping` does not go with it.
    pub(crate) fn conflicts(self, mapping: &Mapping) -> Vec<Problem> {
        let problem = |message| Problem::at(&["mapping"], message);
        match self.mapped() {
            None if mapping.is_empty() => Vec::new(),
            None => {
                vec![problem("`format: jsonl` brings its own keys: `mapping` has nothing to map")]
            }
            Some(format) => {
                let mut problems = mapping.conflicts(format, &["mapping"]);
                if mapping.is_empty() && format != Format::Value {
                    problems.push(problem("nothing would be collected: `mapping` needs `values`"));
                }
                problems
            }
        }
    }
}

/// The most that is read where the options do not say.
pub(crate) const fn default_max_bytes() -> u64 {
    64 * 1024 * 1024
}
