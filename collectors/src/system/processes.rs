//! Group `processes`: how many there are, and what they do.

use std::fs;
use std::path::PathBuf;

use super::host::{Host, at, try_read_text};
use super::points::Points;
use super::stat::Stat;
use crate::collector::Error;
use crate::sink::{Sealed, Sink};

/// Whether each process is asked for its state, which costs a file each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum States {
    Skip,
    Count,
}

/// The letters of `/proc/<pid>/stat`, and what they stand for. Told even when none is in that state, so that
/// a series does not end with the last zombie.
const STATES: [(char, &str); 6] = [
    ('R', "running"),
    ('S', "sleeping"),
    ('D', "blocked"),
    ('Z', "zombie"),
    ('T', "stopped"),
    ('I', "idle"),
];

/// Pushes the number of processes, of tasks that run or are blocked, and, when asked, of processes by state.
pub(super) fn processes(
    host: &Host,
    stat: Option<&Stat>,
    states: States,
    sink: &Sink,
) -> Result<(), Error> {
    let points = Points::new(sink);
    if let Some(stat) = stat {
        for (key, count) in
            [("processes_running", stat.running), ("processes_blocked", stat.blocked)]
        {
            if let Some(count) = count {
                points.int(key, count, "tasks")?;
            }
        }
        if let Some(forks) = stat.forks {
            points.counter("processes_started_total", forks, "processes")?;
        }
    }
    let directories = process_directories(host)?;
    points.int("processes_count", directories.len() as u64, "processes")?;
    if states == States::Skip {
        return Ok(());
    }
    for (name, count) in count_states(&directories, sink)? {
        Points::labelled(sink, &[("state", name)])?.int(
            "processes_state_count",
            count,
            "processes",
        )?;
    }
    Ok(())
}

/// A directory of `/proc` whose name is a number is a process.
fn process_directories(host: &Host) -> Result<Vec<PathBuf>, Error> {
    let root = host.proc_root();
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(|error| at(root, error))? {
        let entry = entry.map_err(|error| at(root, error))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn count_states(
    directories: &[PathBuf],
    sink: &Sink,
) -> Result<[(&'static str, u64); STATES.len()], Error> {
    let mut counts = STATES.map(|(_, name)| (name, 0));
    for directory in directories {
        if sink.is_sealed() {
            return Err(Sealed.into());
        }
        // A process that ended since the directory was read is none any more.
        let Ok(text) = try_read_text(&directory.join("stat")) else { continue };
        let state = state(&text);
        if let Some(index) = STATES.iter().position(|(letter, _)| Some(*letter) == state) {
            counts[index].1 += 1;
        }
    }
    Ok(counts)
}

/// The letter behind the name, which stands in brackets and may hold anything, brackets and spaces too.
fn state(stat: &str) -> Option<char> {
    let (_, after) = stat.rsplit_once(')')?;
    match after.trim_start().chars().next() {
        // Stopped by a debugger.
        Some('t') => Some('T'),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_brackets_may_hold_anything() {
        assert_eq!(state("1 (init) S 0 1"), Some('S'));
        assert_eq!(state("7 (a) R (b) Z 0 1"), Some('Z'));
        assert_eq!(state("7 (gdb) t 0 1"), Some('T'));
        for damaged in ["", "7 (a", "7 (a)", "7 (a) "] {
            assert_eq!(state(damaged), None, "{damaged:?}");
        }
    }
}
