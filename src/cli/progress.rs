//! Progress while jobs run, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::runner::Event;

/// How often the bar is drawn, so that even a job that hangs is seen to.
const TICK: Duration = Duration::from_millis(120);
/// How many running jobs are named.
const NAMED: usize = 3;

/// A bar that counts jobs and names those that run.
pub(super) struct Progress {
    bar: ProgressBar,
    ids: Vec<String>,
    running: Vec<usize>,
}

impl Progress {
    /// A bar for jobs of these ids; hidden when nobody watches.
    pub(super) fn new(ids: Vec<String>, is_shown: bool) -> Self {
        let target =
            if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(ids.len() as u64), target);
        if is_shown {
            let style = ProgressStyle::with_template("{spinner} {pos}/{len} jobs  {wide_msg}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
        }
        Self { bar, ids, running: Vec::new() }
    }

    /// Takes in what happened.
    pub(super) fn show(&mut self, event: Event) {
        if self.bar.is_hidden() {
            return;
        }
        match event {
            Event::Started(index) => self.running.push(index),
            Event::Ended(index) => {
                self.running.retain(|&running| running != index);
                self.bar.inc(1);
            }
        }
        let named = self.running.iter().take(NAMED).filter_map(|&index| self.ids.get(index));
        let mut message = named.cloned().collect::<Vec<_>>().join(", ");
        if self.running.len() > NAMED {
            message.push_str(&format!(" and {} more", self.running.len() - NAMED));
        }
        self.bar.set_message(message);
    }

    /// Takes the bar off the terminal.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
