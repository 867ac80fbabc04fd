//! The command line as types: help, man page and completions are made from them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::Status;

/// Collects every job once, delivers what it found, and exits.
///
/// One run: read the configuration, run every job once, concurrently, make one payload, deliver it to every
/// output, exit. Without a configuration it shows and stores this machine's metrics.
#[derive(Debug, Parser)]
#[command(name = "collector", version, after_help = exit_statuses(), propagate_version = true)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// The configuration: a file, or a directory with collector.yaml or pattoo's files
    ///
    /// Or where AWS keeps it: ssm:/name, s3://bucket/key. Without it: $COLLECTOR_CONFIG, else $PATTOO_CONFIGDIR, else
    /// /etc/collector/, else a built-in demonstration.
    #[arg(long, short, global = true, value_name = "FILE|DIR")]
    pub(super) config: Option<PathBuf>,
    /// Say more; twice for timings
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Say nothing but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Collect, deliver, exit
    #[command(after_help = exit_statuses())]
    Run(Run),
    /// Find every mistake in the configuration
    Check(Check),
    /// List the collectors and outputs there are
    List,
    /// Show the page of one collector or output
    Show {
        /// Its name, as `collector list` prints it
        name: String,
    },
    /// Write an annotated configuration to start from
    Init(Init),
    /// Print the configuration as it will be used, or its schema
    Config(Print),
    /// Show whose turn it is now, and when the others' is
    Plan(PlanOptions),
    /// Read or reset what the jobs' next runs get
    State(State),
    /// Read what the embedded store holds
    #[command(subcommand)]
    Data(Data),
    /// Look at what waits to be sent; send it, or give it up
    Spool(Spool),
    /// Read or make the boards of Telemetry
    #[command(subcommand)]
    Board(BoardCommand),
    /// Show the last runs, and how long each job took
    History(History),
    /// Make what starts it by the clock: a crontab, or a systemd service and timer
    Install(Install),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Run every job now, whether it is due or not
    #[arg(long)]
    pub(super) once: bool,
    /// Run only this job; may be given several times
    #[arg(long, value_name = "ID")]
    pub(super) only: Vec<String>,
    #[command(flatten)]
    pub(super) part: Part,
    /// Show what would be sent and where; send and save nothing
    ///
    /// The exit status then speaks of the jobs alone: nothing waits and nothing is lost. What an output would refuse is
    /// told on standard error.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The run's clock: RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    pub(super) at: Option<i64>,
    /// Wait so long for another run to end; by default not at all
    #[arg(long, value_name = "DURATION", value_parser = collectors::period::Period::parse)]
    pub(super) wait: Option<collectors::period::Period>,
    /// Print the run's report on standard output
    #[arg(long, value_name = "FORMAT", conflicts_with = "dry_run")]
    pub(super) report: Option<ReportFormat>,
}

#[derive(Debug, Args)]
pub(super) struct Part {
    /// Only the jobs of one shard, and what is kept for it: 3/16 is the third of 16
    ///
    /// Every job is in exactly one shard. With the number of shards alone (16), the shard is the one of this pod of a
    /// Kubernetes indexed Job ($JOB_COMPLETION_INDEX). Runs at the same time need a daemon directory each; in a bucket
    /// (`store`) each shard has a part of its own.
    #[arg(long, value_name = "K/N", global = true)]
    pub(super) shard: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Also try each job and each output; sends no data
    #[arg(long)]
    pub(super) connect: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    #[command(flatten)]
    pub(super) part: Part,
    /// Print a JSON array, an object for each job
    #[arg(long)]
    pub(super) json: bool,
    /// As if it were then: RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    pub(super) at: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct State {
    #[command(flatten)]
    pub(super) part: Part,
    #[command(subcommand)]
    pub(super) command: StateCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum StateCommand {
    /// List the jobs that have run
    List,
    /// Print the state of a job as JSON
    Show {
        /// The job's id
        job: String,
    },
    /// Forget the state of jobs: their next run is as their first
    Reset {
        /// The jobs' ids
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where to write it; `-` for standard output
    #[arg(default_value = "collector.yaml", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Print {
    /// With defaults filled in and secrets redacted
    #[arg(long)]
    pub(super) effective: bool,
    /// The JSON Schema of configuration files
    #[arg(long)]
    pub(super) schema: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Data {
    /// List the series in the store
    List(DataList),
    /// Print the datapoints of a series
    Get(DataGet),
}

#[derive(Debug, Args)]
pub(super) struct DataList {
    /// Only series whose key or target contains this
    pub(super) filter: Option<String>,
    /// How to print them
    #[arg(long, default_value = "table")]
    pub(super) format: DataFormat,
}

#[derive(Debug, Args)]
pub(super) struct DataGet {
    /// The series: its number in `collector data list`, or its key
    pub(super) series: String,
    /// How far back: 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = collectors::period::Period::parse)]
    pub(super) since: Option<collectors::period::Period>,
    /// How to print them
    #[arg(long, default_value = "table")]
    pub(super) format: DataFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DataFormat {
    /// For people
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header
    Csv,
}

#[derive(Debug, Args)]
pub(super) struct Spool {
    #[command(flatten)]
    pub(super) part: Part,
    #[command(subcommand)]
    pub(super) command: SpoolCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SpoolCommand {
    /// List the bodies that wait, and those in quarantine
    List(SpoolList),
    /// Print a body as it is sent
    Show(SpoolShow),
    /// Deliver what waits now, without collecting
    #[command(after_help = exit_statuses())]
    Send(SpoolSend),
    /// Give up bodies for good; it does not ask
    Drop(SpoolDrop),
}

#[derive(Debug, Args)]
pub(super) struct SpoolList {
    /// How to print them
    #[arg(long, default_value = "table")]
    pub(super) format: ListFormat,
}

#[derive(Debug, Args)]
pub(super) struct SpoolShow {
    /// The body: its id in `collector spool list`, its file's name, or how either begins
    pub(super) body: String,
}

#[derive(Debug, Args)]
pub(super) struct SpoolSend {
    /// Only to this output; may be given several times
    #[arg(long, value_name = "ID")]
    pub(super) output: Vec<String>,
    /// Put what is in quarantine back first
    #[arg(long)]
    pub(super) quarantined: bool,
    /// Wait so long for a run to end; by default not at all
    #[arg(long, value_name = "DURATION", value_parser = collectors::period::Period::parse)]
    pub(super) wait: Option<collectors::period::Period>,
}

#[derive(Debug, Args)]
pub(super) struct SpoolDrop {
    #[command(flatten)]
    pub(super) selection: SpoolSelection,
    /// Wait so long for a run to end; by default not at all
    #[arg(long, value_name = "DURATION", value_parser = collectors::period::Period::parse)]
    pub(super) wait: Option<collectors::period::Period>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct SpoolSelection {
    /// These: ids in `collector spool list`, file names, or how either begins
    #[arg(value_name = "BODY", conflicts_with_all = ["output", "quarantined"])]
    pub(super) bodies: Vec<String>,
    /// All that wait for this output
    #[arg(long, value_name = "ID")]
    pub(super) output: Option<String>,
    /// All in quarantine; with `--output`, only those of that output
    #[arg(long)]
    pub(super) quarantined: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum BoardCommand {
    /// Print a board as a template for others
    Dump(BoardDump),
    /// Make or mend the boards of the configuration now
    Apply(BoardApply),
}

#[derive(Debug, Args)]
pub(super) struct BoardDump {
    /// The board's name
    pub(super) name: String,
    /// What to leave out at the beginning of its flows' tags; by default the prefix in the configuration, if it has the board
    #[arg(long, value_name = "TEXT")]
    pub(super) prefix: Option<String>,
    /// The output whose account has the board; needed where several are of the kind `telemetry`
    #[arg(long, value_name = "ID")]
    pub(super) output: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct BoardApply {
    /// Only these boards
    #[arg(value_name = "BOARD")]
    pub(super) names: Vec<String>,
    /// Only those of this output
    #[arg(long, value_name = "ID")]
    pub(super) output: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    pub(super) part: Part,
    /// How many runs, counted from the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) last: usize,
    /// How to print them
    #[arg(long, default_value = "table")]
    pub(super) format: ListFormat,
    /// Only what became of this job
    #[arg(long, value_name = "ID")]
    pub(super) job: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people
    Table,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// By what it is to be started
    pub(super) by: Starter,
    #[command(flatten)]
    pub(super) action: InstallAction,
    /// Where the root of the system is; paths below it are written without it
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// The program that is started; by default this one
    #[arg(long, value_name = "PATH")]
    pub(super) binary: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Starter {
    /// /etc/cron.d/collector
    Cron,
    /// collector.service and collector.timer in /etc/systemd/system
    Systemd,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct InstallAction {
    /// Print the files
    #[arg(long)]
    pub(super) print: bool,
    /// Show what is different, and put the files in place
    #[arg(long)]
    pub(super) apply: bool,
}

fn exit_statuses() -> String {
    let lines =
        Status::ALL.iter().map(|status| format!("  {}  {}", status.code(), status.meaning()));
    format!("Exit status (the highest that applies):\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn parse_time(text: &str) -> Result<i64, String> {
    let time = match text.parse() {
        // No clock shows a year beyond 9999: more digits are no milliseconds.
        Ok(milliseconds) => jiff::Timestamp::from_millisecond(milliseconds),
        Err(_) => text.parse(),
    };
    time.map(jiff::Timestamp::as_millisecond)
        .map_err(|_| "expected RFC 3339 such as 2026-01-31T12:00:00Z, or milliseconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_types_are_a_sound_command_line() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(parse_time("1700000000456"), Ok(1_700_000_000_456));
        assert_eq!(parse_time("2023-11-14T22:13:20.456Z"), Ok(1_700_000_000_456));
        assert!(parse_time("yesterday").is_err());
        assert!(parse_time("1700000000456000000").is_err(), "nanoseconds");
    }
}
