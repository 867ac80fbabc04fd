//! The configuration as written: YAML files → sections, jobs and outputs, or every mistake in them.
//!
//! Reading is lenient in one thing only: a `pattoo.yaml` may hold sections of pattoo's other programs. What the
//! configuration means for a run (defaults, clocks, deadlines) is [`crate::plan`]'s business.

mod entry;
mod files;
mod locate;
mod origin;
mod problems;
pub mod schema;
pub mod sections;
mod tree;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use collectors::decode::{Problem, Segment, Side};
use collectors::{Collector, period::Period};
use serde_json::Value;

pub use files::DEMONSTRATION;
pub use origin::{Environment, Origin, SYSTEM_DIRECTORY};
pub use problems::{Mistake, Mistakes, Source};

use crate::outputs::{self, Output};
use entry::{Shape, split};
use files::File;
use sections::{Agent, JobSettings, Main, OutputSettings, Pattoo, PattooAgentApi, Polling};

/// Everything that was configured.
pub struct Config {
    /// `main`, with pattoo's newer names taken in.
    pub main: Main,
    /// `polling`, with pattoo's newer names taken in.
    pub polling: Polling,
    /// `agent`.
    pub agent: Agent,
    /// `outputs`, with those that are implied.
    pub outputs: Vec<OutputEntry>,
    /// `jobs`.
    pub jobs: Vec<JobEntry>,
    /// Where relative paths start.
    pub directory: PathBuf,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// A configured use of a collector.
pub struct JobEntry {
    /// What all jobs have.
    pub settings: JobSettings,
    /// The collector's name.
    pub kind: &'static str,
    /// The collector with its options.
    pub collector: Box<dyn Collector>,
    options: Value,
}

/// A configured use of an output.
pub struct OutputEntry {
    /// Its name.
    pub id: String,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// The output's kind.
    pub kind: &'static str,
    /// The output with its options.
    pub output: Box<dyn Output>,
    options: Value,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Every mistake that can be found.
    pub fn load(origin: &Origin) -> Result<Self, Mistakes> {
        let (files, mistakes) = files::read(origin);
        let mut reader = Reader { mistakes, ..Reader::default() };
        for file in &files {
            reader.take(file);
        }
        reader.check_ids();
        let directory = match origin {
            Origin::File(path) => path.parent().map(PathBuf::from).unwrap_or_default(),
            Origin::Directory(path) => path.clone(),
            Origin::Demonstration => PathBuf::from("."),
        };
        reader.finish(directory, files.iter().map(|file| file.source.path.clone()).collect())
    }

    /// The configuration with defaults filled in and secrets redacted.
    pub fn effective(&self) -> Value {
        let entry = |settings: Value, kind: &str, options: &Value, effective: Effective| {
            let options = effective(options).unwrap_or_default();
            let mut map = settings;
            map[kind] = options;
            map
        };
        let jobs = self.jobs.iter().filter_map(|job| {
            let settings = serde_json::to_value(&job.settings).ok()?;
            Some(entry(settings, job.kind, &job.options, collectors::find(job.kind)?.effective))
        });
        let outputs = self.outputs.iter().filter_map(|output| {
            let settings = serde_json::json!({"id": output.id, "enabled": output.enabled});
            let definition = outputs::find(output.kind)?;
            Some(entry(settings, output.kind, &output.options, definition.effective))
        });
        serde_json::json!({
            "main": self.main,
            "polling": self.polling,
            "agent": self.agent,
            "outputs": outputs.collect::<Vec<_>>(),
            "jobs": jobs.collect::<Vec<_>>(),
        })
    }
}

type Effective = fn(&Value) -> Result<Value, Vec<Problem>>;

/// A value and where it was written.
struct Written<T> {
    value: T,
    source: Arc<Source>,
    path: Vec<Segment>,
}

/// Gathers sections, jobs, outputs and mistakes over all files.
#[derive(Default)]
struct Reader {
    sections: HashMap<&'static str, Arc<Source>>,
    main: Main,
    polling: Polling,
    agent: Agent,
    pattoo: Pattoo,
    pattoo_agent_api: Option<PattooAgentApi>,
    outputs: Option<Vec<Written<OutputEntry>>>,
    jobs: Option<Vec<Written<JobEntry>>>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn take(&mut self, file: &File) {
        let Value::Object(map) = &file.tree else { return };
        for (key, value) in map {
            match key.as_str() {
                "main" => self.main = self.section(file, "main", value),
                "polling" => self.polling = self.section(file, "polling", value),
                "agent" => self.agent = self.section(file, "agent", value),
                "pattoo" => self.pattoo = self.section(file, "pattoo", value),
                "pattoo_agent_api" => {
                    self.pattoo_agent_api = Some(self.section(file, "pattoo_agent_api", value));
                }
                "include" => {}
                "jobs" => self.take_jobs(file, value),
                "outputs" => self.take_outputs(file, value),
                other if file.is_foreign() => {
                    log::debug!("{}: section `{other}` is not ours", file.source.path.display());
                }
                other => self.unknown_section(file, other),
            }
        }
    }

    fn section<T>(&mut self, file: &File, name: &'static str, value: &Value) -> T
    where
        T: Default + serde::de::DeserializeOwned + schemars::JsonSchema,
    {
        let at = [Segment::Key(name.to_owned())];
        if let Some(first) = self.sections.get(name) {
            let message =
                format!("the section `{name}` stands in `{}` already", first.path.display());
            self.tell(file, Problem { side: Side::Key, ..Problem::at(&[name], message) });
            return T::default();
        }
        self.sections.insert(name, Arc::clone(&file.source));
        if value.is_null() {
            return T::default();
        }
        collectors::decode::decode(value).unwrap_or_else(|problems| {
            for problem in problems {
                self.tell(file, problem.below(&at));
            }
            T::default()
        })
    }

    fn take_jobs(&mut self, file: &File, value: &Value) {
        let shape = Shape {
            what: "job",
            settings: JobSettings::NAMES,
            kinds: collectors::COLLECTORS.iter().map(|definition| definition.name).collect(),
        };
        let mut jobs = self.jobs.take().unwrap_or_default();
        for (path, tree) in self.elements(file, "jobs", value) {
            let entry = split::<JobSettings>(tree, &shape);
            let definition = entry.kind.as_deref().and_then(collectors::find);
            let collector = definition.map(|definition| (definition.decode)(&entry.options));
            let (settings, options) = (entry.settings, entry.options);
            let mut problems = entry.problems;
            problems.extend(settings.iter().flat_map(JobSettings::conflicts));
            let name = definition.map(|definition| definition.name);
            if let Some(collector) = self.decoded(file, &path, name.zip(collector), problems)
                && let Some(settings) = settings
            {
                let (kind, collector) = collector;
                let value = JobEntry { settings, kind, collector, options };
                jobs.push(Written { value, source: Arc::clone(&file.source), path });
            }
        }
        self.jobs = Some(jobs);
    }

    fn take_outputs(&mut self, file: &File, value: &Value) {
        let shape = Shape {
            what: "output",
            settings: OutputSettings::NAMES,
            kinds: outputs::OUTPUTS.iter().map(|definition| definition.name).collect(),
        };
        let mut outputs = self.outputs.take().unwrap_or_default();
        for (path, tree) in self.elements(file, "outputs", value) {
            let entry = split::<OutputSettings>(tree, &shape);
            let definition = entry.kind.as_deref().and_then(outputs::find);
            let output = definition.map(|definition| (definition.decode)(&entry.options));
            let (settings, options) = (entry.settings, entry.options);
            let name = definition.map(|definition| definition.name);
            if let Some((kind, output)) =
                self.decoded(file, &path, name.zip(output), entry.problems)
                && let Some(OutputSettings { id, enabled }) = settings
            {
                let id = id.unwrap_or_else(|| kind.to_owned());
                let value = OutputEntry { id, enabled, kind, output, options };
                outputs.push(Written { value, source: Arc::clone(&file.source), path });
            }
        }
        self.outputs = Some(outputs);
    }

    /// The elements of a list section with their paths.
    fn elements<'a>(
        &mut self,
        file: &File,
        name: &str,
        value: &'a Value,
    ) -> Vec<(Vec<Segment>, &'a Value)> {
        match value {
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(i, tree)| (vec![Segment::Key(name.to_owned()), Segment::Index(i)], tree))
                .collect(),
            Value::Null => Vec::new(),
            _ => {
                self.tell(
                    file,
                    Problem::at(&[name], format!("`{name}` is no list"))
                        .hint("each element starts with `- `"),
                );
                Vec::new()
            }
        }
    }

    /// Tells every problem of an entry; what was decoded is given back only when there is none.
    fn decoded<T>(
        &mut self,
        file: &File,
        path: &[Segment],
        decoded: Option<(&'static str, Result<T, Vec<Problem>>)>,
        mut problems: Vec<Problem>,
    ) -> Option<(&'static str, T)> {
        let value = match decoded {
            Some((kind, Ok(value))) => Some((kind, value)),
            Some((kind, Err(found))) => {
                let inner = [Segment::Key(kind.to_owned())];
                problems.extend(found.into_iter().map(|problem| problem.below(&inner)));
                None
            }
            None => None,
        };
        let is_good = problems.is_empty();
        for problem in problems {
            self.tell(file, problem.below(path));
        }
        value.filter(|_| is_good)
    }

    fn unknown_section(&mut self, file: &File, name: &str) {
        const KNOWN: [&str; 8] = [
            "main",
            "polling",
            "agent",
            "outputs",
            "jobs",
            "include",
            "pattoo",
            "pattoo_agent_api",
        ];
        let known = KNOWN.map(str::to_owned);
        let problem = Problem {
            path: vec![Segment::Key(name.to_owned())],
            side: Side::Key,
            message: format!("unknown section `{name}`"),
            hint: collectors::decode::hint_among(name, &known),
        };
        self.tell(file, problem);
    }

    /// Ids that are there twice, and outputs that are named but not there.
    fn check_ids(&mut self) {
        let mut found = Vec::new();
        let jobs = self.jobs.as_deref().unwrap_or_default();
        let outputs = self.outputs.as_deref().unwrap_or_default();
        let job_ids =
            jobs.iter().map(|job| (job.value.settings.id.as_str(), &job.source, &job.path));
        twice("job", job_ids, &mut found);
        let ids =
            outputs.iter().map(|output| (output.value.id.as_str(), &output.source, &output.path));
        twice("output", ids, &mut found);
        let mut known: Vec<String> = outputs.iter().map(|output| output.value.id.clone()).collect();
        if self.implies_pattoo() {
            known.push("pattoo".into());
        }
        if known.is_empty() {
            known.push("sqlite".into());
        }
        for job in jobs {
            for (index, name) in job.value.settings.outputs.iter().flatten().enumerate() {
                if !known.contains(name) {
                    let below = [Segment::Key("outputs".into()), Segment::Index(index)];
                    let problem = Problem {
                        path: [job.path.as_slice(), below.as_slice()].concat(),
                        side: Side::Value,
                        message: format!("there is no output `{name}`"),
                        hint: collectors::decode::hint_among(name, &known),
                    };
                    found.push(Mistake::new(&job.source, problem));
                }
            }
        }
        self.mistakes.extend(found);
    }

    fn implies_pattoo(&self) -> bool {
        let listed = self.outputs.iter().flatten().any(|output| output.value.kind == "pattoo");
        !listed && (self.polling.ip_address.is_some() || self.pattoo_agent_api.is_some())
    }

    fn tell(&mut self, file: &File, problem: Problem) {
        self.mistakes.push(Mistake::new(&file.source, problem));
    }

    fn finish(mut self, directory: PathBuf, files: Vec<PathBuf>) -> Result<Config, Mistakes> {
        for problem in self.agent.conflicts(&self.polling) {
            if let Some(Segment::Key(section)) = problem.path.first()
                && let Some(source) = self.sections.get(section.as_str())
            {
                self.mistakes.push(Mistake::new(source, problem));
            }
        }
        if !self.mistakes.is_empty() {
            return Err(Mistakes(self.mistakes));
        }
        let implies_pattoo = self.implies_pattoo();
        let mut outputs: Vec<OutputEntry> =
            self.outputs.into_iter().flatten().map(|output| output.value).collect();
        if implies_pattoo {
            let api = self.pattoo_agent_api.unwrap_or_default();
            let address = self.polling.ip_address.clone().or(api.ip_address);
            let options = serde_json::json!({
                "ip_address": address.as_deref().unwrap_or("localhost"),
                "ip_bind_port": self.polling.ip_bind_port.or(api.ip_bind_port)
                    .unwrap_or(outputs::pattoo::DEFAULT_PORT),
            });
            outputs.extend(implied("pattoo", options));
        }
        if outputs.is_empty() {
            outputs.extend(implied("sqlite", serde_json::json!({})));
        }
        // A pattoo.yaml alone says where to send, not what: this machine is what its agents collect.
        let jobs = match self.jobs {
            Some(jobs) => jobs.into_iter().map(|job| job.value).collect(),
            None => implied_job().into_iter().collect(),
        };
        let main = Main {
            log_directory: self.main.log_directory.or(self.pattoo.log_directory),
            daemon_directory: self.main.daemon_directory.or(self.pattoo.daemon_directory),
        };
        let Self { polling, agent, .. } = self;
        Ok(Config { main, polling, agent, outputs, jobs, directory, files })
    }
}

fn implied(kind: &str, options: Value) -> Option<OutputEntry> {
    let definition = outputs::find(kind)?;
    let output = (definition.decode)(&options).ok()?;
    let kind = definition.name;
    Some(OutputEntry { id: kind.to_owned(), enabled: true, kind, output, options })
}

fn implied_job() -> Option<JobEntry> {
    let definition = collectors::find("system")?;
    let options = serde_json::json!({});
    let collector = (definition.decode)(&options).ok()?;
    let settings = JobSettings::named(definition.name);
    Some(JobEntry { settings, kind: definition.name, collector, options })
}

fn twice<'a>(
    what: &str,
    ids: impl Iterator<Item = (&'a str, &'a Arc<Source>, &'a Vec<Segment>)>,
    found: &mut Vec<Mistake>,
) {
    let mut seen: HashMap<&str, (&Source, &Vec<Segment>)> = HashMap::new();
    for (id, source, path) in ids {
        if let Some((first_source, first)) = seen.get(id) {
            let at = collectors::decode::Path(first);
            let file = first_source.path.display();
            let path = [path.as_slice(), &[Segment::Key("id".into())]].concat();
            let problem = Problem {
                path,
                side: Side::Value,
                message: format!("the {what} id `{id}` is taken"),
                hint: Some(format!("{at} in `{file}` has it; ids are unique")),
            };
            found.push(Mistake::new(source, problem));
        } else {
            seen.insert(id, (source, path));
        }
    }
}

/// How often runs happen when the configuration does not say.
pub const DEFAULT_POLLING_INTERVAL: Period = Period::from_secs(300);
