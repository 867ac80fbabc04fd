//! Whether a series has several datapoints. Mostly none has, and then no place can be filled twice: a bit for each
//! series costs a small part of a table of places.

use super::names::Id;

/// A bit for each name and set of tags.
pub(super) struct Series {
    /// By set of tags, and then by name.
    rows: Vec<Vec<u64>>,
    /// How many words there may be more; beyond that it is not worth it.
    room_words: usize,
    may_repeat: bool,
}

impl Series {
    /// For so many datapoints.
    pub(super) fn with_room_for(datapoints: usize) -> Self {
        Self { rows: Vec::new(), room_words: 2 * datapoints, may_repeat: false }
    }

    /// Notes a datapoint.
    pub(super) fn note(&mut self, name: u32, tags: Id) {
        if self.may_repeat {
            return;
        }
        let (row, word, bit) = (tags as usize, name as usize / 64, 1 << (name % 64));
        if row >= self.rows.len() {
            self.rows.resize_with(row + 1, Vec::new);
        }
        let row = &mut self.rows[row];
        if word >= row.len() {
            let more = word + 1 - row.len();
            match self.room_words.checked_sub(more) {
                Some(left) => self.room_words = left,
                None => {
                    self.may_repeat = true;
                    return;
                }
            }
            row.resize(word + 1, 0);
        }
        self.may_repeat |= row[word] & bit != 0;
        row[word] |= bit;
    }

    /// Whether one was noted twice, or that is not known.
    pub(super) fn may_repeat(&self) -> bool {
        self.may_repeat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_repeat(datapoints: &[(u32, Id)]) -> bool {
        let mut series = Series::with_room_for(datapoints.len());
        datapoints.iter().for_each(|(name, tags)| series.note(*name, *tags));
        series.may_repeat()
    }

    #[test]
    fn a_series_that_comes_twice_is_noticed() {
        assert!(!may_repeat(&[(0, 0), (1, 0), (0, 1), (64, 1), (65, 1), (1, 1)]));
        assert!(may_repeat(&[(0, 0), (1, 0), (0, 1), (65, 1), (65, 1)]));
        assert!(may_repeat(&[(3, 7), (3, 7)]));
    }

    #[test]
    fn what_would_take_too_much_room_counts_as_repeated() {
        assert!(may_repeat(&[(1_000_000, 0), (1_000_001, 1)]));
    }
}
