//! A legal set of labels.

use super::names;

/// Labels sorted by name, each name legal and there once, no value empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::outputs) struct Labels(Vec<(String, String)>);

impl Labels {
    /// Makes `labels` legal. Those whose names are `taken` are called `exported_…`; `own` is the output's.
    pub(super) fn new<'a>(
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        taken: &[&str],
        own: Option<(&str, &str)>,
    ) -> Self {
        let named = labels.filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
            let legal = names::label(name);
            let is_taken = taken.contains(&legal.as_str()) || own.is_some_and(|own| own.0 == legal);
            (if is_taken { format!("exported_{legal}") } else { legal }, name, value)
        });
        let own = own.filter(|(_, value)| !value.is_empty());
        let own = own.map(|(name, value)| (name.to_owned(), name, value));
        let mut named: Vec<_> = named.chain(own).collect();
        // The order of the given names decides in which order values are joined: it is the same in every run.
        named.sort_unstable();
        let mut labels: Vec<(String, String)> = Vec::with_capacity(named.len());
        for (legal, _, value) in named {
            match labels.last_mut().filter(|last| last.0 == legal) {
                Some((_, joined)) => {
                    joined.push(';');
                    joined.push_str(value);
                }
                None => labels.push((legal, value.to_owned())),
            }
        }
        Self(labels)
    }

    /// The labels by name.
    pub(in crate::outputs) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(given: &[(&'static str, &'static str)], own: Option<(&str, &str)>) -> String {
        let labels = Labels::new(given.iter().copied(), &["job", "instance"], own);
        labels.iter().map(|(name, value)| format!("{name}={value} ")).collect()
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_left_out() {
        assert_eq!(labels(&[("b", "2"), ("a", "1"), ("c", "")], None), "a=1 b=2 ");
    }

    #[test]
    fn names_that_become_the_same_have_their_values_joined() {
        assert_eq!(labels(&[("a.b", "1"), ("a-b", "2"), ("a_b", "3")], None), "a_b=2;1;3 ");
    }

    #[test]
    fn a_name_that_is_taken_goes_out_as_exported() {
        let given = [("job", "x"), ("value", "y"), ("exported_job", "z")];
        assert_eq!(labels(&given, None), "exported_job=z;x value=y ");
        let own = Some(("value", "text"));
        assert_eq!(labels(&given, own), "exported_job=z;x exported_value=y value=text ");
        assert_eq!(labels(&[("value", "y")], Some(("value", ""))), "exported_value=y ");
    }
}
