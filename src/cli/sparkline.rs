//! A row of little bars that shows how numbers went.

use std::fmt;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The most bars there are: a line of a terminal has room for them.
const WIDTH: usize = 60;

/// What stands in place of a bar where something failed.
const FAILED: char = '×';

/// Numbers in the order in which they came, at most [`WIDTH`] bars of them: when there are more, neighbours are
/// averaged, so that any number of numbers needs the same room.
#[derive(Debug)]
pub(super) struct Sparkline {
    bars: Vec<Bar>,
    /// How many numbers a full bar stands for.
    per_bar: u64,
    least: f64,
    most: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bar {
    mean: f64,
    count: u64,
    /// Among what it stands for something failed; there may be no number then.
    has_failed: bool,
}

impl Bar {
    /// The mean of both. Weighted, and not a sum that is divided, so that large numbers do not overflow.
    fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        #[expect(clippy::cast_precision_loss, reason = "a bar needs no more than a few digits")]
        let share = other.count as f64 / count as f64;
        let mean = self.mean * (1.0 - share) + other.mean * share;
        Self { mean, count, has_failed: self.has_failed || other.has_failed }
    }
}

impl Default for Sparkline {
    fn default() -> Self {
        Self { bars: Vec::new(), per_bar: 1, least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

impl Sparkline {
    /// Adds a number.
    pub(super) fn push(&mut self, number: f64) {
        self.least = self.least.min(number);
        self.most = self.most.max(number);
        self.add(Bar { mean: number, count: 1, has_failed: false });
    }

    /// Adds a failure, which has no number.
    pub(super) fn push_failure(&mut self) {
        self.add(Bar { mean: 0.0, count: 1, has_failed: true });
    }

    fn add(&mut self, one: Bar) {
        if let Some(last) = self.bars.last_mut().filter(|last| last.count < self.per_bar) {
            *last = last.and(one);
            return;
        }
        if self.bars.len() == WIDTH {
            self.bars = self.bars.chunks(2).map(|pair| pair[0].and(pair[1])).collect();
            self.per_bar *= 2;
        }
        self.bars.push(one);
    }

    /// The smallest and the largest number; `None` without any.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        (self.least <= self.most).then_some((self.least, self.most))
    }
}

/// Scaled from the lowest bar to the highest.
impl fmt::Display for Sparkline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let means = || self.bars.iter().filter(|bar| !bar.has_failed).map(|bar| bar.mean);
        let lowest = means().fold(f64::INFINITY, f64::min);
        let highest = means().fold(f64::NEG_INFINITY, f64::max);
        // Halved, so that the difference of two numbers is one as well.
        let height = highest / 2.0 - lowest / 2.0;
        for bar in &self.bars {
            if bar.has_failed {
                write!(f, "{FAILED}")?;
                continue;
            }
            let share = if height > 0.0 { (bar.mean / 2.0 - lowest / 2.0) / height } else { 0.5 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to 8; a cast stays within `usize`"
            )]
            let step = (share * 8.0) as usize;
            write!(f, "{}", BARS[step.min(BARS.len() - 1)])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(numbers: impl IntoIterator<Item = f64>) -> String {
        let mut line = Sparkline::default();
        numbers.into_iter().for_each(|number| line.push(number));
        line.to_string()
    }

    #[test]
    fn bars_go_from_the_least_to_the_most() {
        assert_eq!(drawn((0..8).map(f64::from)), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn([1.0, 0.0, -1.0]), "█▅▁");
        assert_eq!(drawn([]), "");
    }

    #[test]
    fn what_does_not_move_is_in_the_middle() {
        assert_eq!(drawn([7.0, 7.0, 7.0]), "▅▅▅");
        assert_eq!(drawn([0.0]), "▅");
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        assert_eq!(drawn([f64::MIN, 0.0, f64::MAX]), "▁▅█");
        assert_eq!(drawn((0..240).map(|_| f64::MAX)).chars().count(), 60);
    }

    #[test]
    fn many_numbers_are_averaged_into_the_same_room() {
        assert_eq!(drawn((0..60).map(f64::from)).chars().count(), 60);
        assert_eq!(drawn((0..61).map(f64::from)).chars().count(), 31);
        let line = drawn((0..100_000).map(f64::from));
        let bars: Vec<char> = line.chars().collect();
        assert!((30..=60).contains(&bars.len()), "{line}");
        assert!(bars.is_sorted() && bars[0] == '▁' && bars[bars.len() - 1] == '█', "{line}");
    }

    #[test]
    fn a_failure_is_marked_and_moves_no_other_bar() {
        let mut line = Sparkline::default();
        line.push_failure();
        assert_eq!((line.to_string().as_str(), line.range()), ("×", None));
        for number in [5.0, 6.0] {
            line.push(number);
        }
        assert_eq!((line.to_string().as_str(), line.range()), ("×▁█", Some((5.0, 6.0))));
        (0..100).for_each(|_| line.push(5.0));
        assert_eq!(line.to_string().matches('×').count(), 1);
    }

    #[test]
    fn the_range_is_that_of_the_numbers_and_not_of_the_bars() {
        let mut line = Sparkline::default();
        assert_eq!(line.range(), None);
        (0..1_000).map(f64::from).for_each(|number| line.push(number));
        assert_eq!(line.range(), Some((0.0, 999.0)));
    }
}
