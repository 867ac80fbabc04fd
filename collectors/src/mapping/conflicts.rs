//! What a mapping asks of a format that it cannot have.

use super::pick::Pick;
use super::{Format, Mapping, csv};
use crate::datapoint::{Key, Label};
use crate::decode::Problem;

impl Mapping {
    /// What the mapping asks of an answer of this format that it cannot have; `path` is the mapping's own.
    pub(crate) fn conflicts(&self, format: Format, path: &[&str]) -> Vec<Problem> {
        let at = |keys: &[&str], message: String| Problem::at(&[path, keys].concat(), message);
        let mut problems = Vec::new();
        for (key, is_given, belongs_to) in [
            ("each", self.each.is_some(), Format::Json),
            ("delimiter", self.delimiter != csv::Delimiter::default(), Format::Csv),
            ("pattern", self.pattern.is_some(), Format::Regex),
        ] {
            if is_given && format != belongs_to {
                let word = belongs_to.as_str();
                problems.push(at(&[key], format!("`{key}` belongs to `format: {word}`")));
            }
        }
        if format == Format::Regex && self.pattern.is_none() {
            problems.push(at(&[], "`format: regex` needs a `pattern`".into()));
        }
        for (key, rule) in &self.values {
            if let Err(flaw) = Key::new(key) {
                problems.push(at(&["values", key], flaw.to_string()));
            }
            problems.extend(self.pick_problem(format, &rule.from).map(|m| at(&["values", key], m)));
        }
        for (kind, labels) in [("labels", &self.labels), ("info", &self.info)] {
            for (name, rule) in labels {
                if let Err(flaw) = Label::new(name, "") {
                    problems.push(at(&[kind, name], flaw.to_string()));
                }
                let problem = rule.pick().and_then(|pick| self.pick_problem(format, pick));
                problems.extend(problem.map(|message| at(&[kind, name], message)));
            }
        }
        let places = [("target", &self.target), ("timestamp", &self.timestamp_pick())];
        for (key, pick) in places {
            let problem = pick.as_ref().and_then(|pick| self.pick_problem(format, pick));
            problems.extend(problem.map(|message| at(&[key], message)));
        }
        problems
    }

    fn timestamp_pick(&self) -> Option<Pick> {
        self.timestamp.as_ref().map(|rule| rule.from.clone())
    }

    fn pick_problem(&self, format: Format, pick: &Pick) -> Option<String> {
        match format {
            Format::Json => None,
            Format::Csv if pick.is_whole() => Some("`from` must name a column".into()),
            Format::Csv => None,
            Format::Value if pick.is_whole() => None,
            Format::Value => Some("a plain value has no parts to pick from".into()),
            Format::Regex => {
                let pattern = self.pattern.as_ref()?;
                let known = pick.is_whole() || pattern.has_group(pick.as_str());
                (!known).then(|| format!("the pattern has no group `{}`", pick.as_str()))
            }
        }
    }
}
