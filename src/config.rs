//! The configuration as written: YAML files → sections, jobs and outputs, or every mistake in them.
//!
//! Reading is lenient in one thing only: a `pattoo.yaml` may hold sections of pattoo's other programs. What the
//! configuration means for a run (defaults, clocks, deadlines) is [`crate::plan`]'s business.

mod claims;
mod entry;
mod files;
mod locate;
mod origin;
mod problems;
mod remote;
pub mod schema;
pub mod sections;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use collectors::Collector;
use collectors::decode::{Problem, Segment, Side};
use serde_json::Value;

pub use files::DEMONSTRATION;
pub use origin::{Environment, Origin, SYSTEM_DIRECTORY};
pub use problems::{Mistake, Mistakes, Source};
pub use remote::Remote;

use crate::outputs::{self, Output};
use claims::{Claim, Rhythms, taken_twice};
use entry::{Shape, split};
use files::File;
use sections::{
    Agent, Heartbeat, JobSettings, Main, OutputSettings, Pattoo, PattooAgentApi, Polling,
    SpoolCaps, Store,
};

/// Everything that was configured.
pub struct Config {
    /// `main`, with pattoo's newer names taken in.
    pub main: Main,
    /// `polling`, with pattoo's newer names taken in.
    pub polling: Polling,
    /// `agent`.
    pub agent: Agent,
    /// `heartbeat`, where it is wanted.
    pub heartbeat: Option<Heartbeat>,
    /// `store`, where what lasts is not kept in the daemon directory.
    pub store: Option<Store>,
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
    /// How much may wait for it.
    pub spool: SpoolCaps,
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
        Self::load_by(origin, None)
    }

    /// The same for somebody who has no time after `ends_by`: what is in AWS is waited for until then.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_by(origin: &Origin, ends_by: Option<Instant>) -> Result<Self, Mistakes> {
        let origin = &origin.absolute();
        let (files, mistakes) = files::read(origin, ends_by);
        let mut reader = Reader { mistakes, ..Reader::default() };
        for file in &files {
            reader.take(file);
        }
        let directory = match origin {
            Origin::File(path) => path.parent().map(PathBuf::from).unwrap_or_default(),
            Origin::Directory(path) => path.clone(),
            Origin::Remote(_) | Origin::Demonstration => PathBuf::from("."),
        };
        reader.finish(directory, files.iter().map(|file| file.source.path.clone()).collect())
    }

    /// The configuration with defaults filled in and secrets redacted. `surroundings` are what the configuration
    /// leaves to the machine: the host's name and the daemon directory.
    pub fn effective(&self, hostname: &str, daemon_directory: Option<&Path>) -> Value {
        let jobs = self.jobs.iter().filter_map(|job| {
            let mut entry = serde_json::to_value(&job.settings).ok()?;
            let every = job.settings.every.unwrap_or_else(|| self.polling.interval());
            let timeout = job.settings.timeout.unwrap_or(crate::plan::DEFAULT_JOB_TIMEOUT);
            let target = job.settings.target.clone().or_else(|| job.collector.default_target());
            entry["every"] = every.to_string().into();
            entry["timeout"] = timeout.to_string().into();
            entry["target"] = target.unwrap_or_else(|| hostname.to_owned()).into();
            if job.settings.outputs.is_none() {
                let ids = self.outputs.iter().map(|output| output.id.as_str());
                entry["outputs"] = ids.collect::<Vec<_>>().into();
            }
            entry[job.kind] = (collectors::find(job.kind)?.effective)(&job.options).ok()?;
            Some(entry)
        });
        let outputs = self.outputs.iter().filter_map(|output| {
            let mut entry = serde_json::json!({
                "id": output.id,
                "enabled": output.enabled,
                "spool": output.spool,
            });
            entry[output.kind] = (outputs::find(output.kind)?.effective)(&output.options).ok()?;
            Some(entry)
        });
        let agent = Agent {
            hostname: Some(hostname.to_owned()),
            timeout: Some(self.agent.timeout(&self.polling)),
            delivery_reserve: Some(self.agent.delivery_reserve(&self.polling)),
            ..self.agent.clone()
        };
        serde_json::json!({
            "main": {
                "log_directory": self.main.log_directory,
                "daemon_directory": daemon_directory,
            },
            // The server stands among the outputs.
            "polling": {"polling_interval": self.polling.interval()},
            "agent": agent,
            "heartbeat": self.heartbeat,
            "store": self.store,
            "outputs": outputs.collect::<Vec<_>>(),
            "jobs": jobs.collect::<Vec<_>>(),
        })
    }
}

/// Gathers sections, jobs, outputs and mistakes over all files.
#[derive(Default)]
struct Reader {
    sections: HashMap<&'static str, Arc<Source>>,
    main: Main,
    polling: Polling,
    agent: Agent,
    heartbeat: Option<Heartbeat>,
    store: Option<Store>,
    pattoo: Pattoo,
    pattoo_agent_api: Option<PattooAgentApi>,
    outputs: Option<Vec<OutputEntry>>,
    jobs: Option<Vec<JobEntry>>,
    jobs_source: Option<Arc<Source>>,
    /// What every job and output says of itself, also where something else is wrong with it.
    job_claims: Vec<Claim>,
    output_claims: Vec<Claim>,
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
                "heartbeat" => self.heartbeat = self.section(file, "heartbeat", value),
                "store" => self.store = self.section(file, "store", value),
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
        self.jobs_source = Some(Arc::clone(&file.source));
        let mut jobs = self.jobs.take().unwrap_or_default();
        for (path, tree) in self.elements(file, "jobs", value) {
            self.job_claims.extend(Claim::of(tree, None, &file.source, &path));
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
                jobs.push(JobEntry { settings, kind, collector, options });
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
            let kind = entry.kind.as_deref();
            self.output_claims.extend(Claim::of(tree, kind, &file.source, &path));
            let definition = entry.kind.as_deref().and_then(outputs::find);
            let output = definition.map(|definition| (definition.decode)(&entry.options));
            let (settings, options) = (entry.settings, entry.options);
            let name = definition.map(|definition| definition.name);
            if let Some((kind, output)) =
                self.decoded(file, &path, name.zip(output), entry.problems)
                && let Some(OutputSettings { id, enabled, spool }) = settings
            {
                let id = id.unwrap_or_else(|| kind.to_owned());
                outputs.push(OutputEntry { id, enabled, spool, kind, output, options });
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
        const KNOWN: [&str; 10] = [
            "main",
            "polling",
            "agent",
            "heartbeat",
            "store",
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

    /// Ids that are there twice, outputs that are named but not there, and data that would go nowhere.
    fn check_claims(&mut self, implied: &[OutputEntry]) {
        let mut found = Vec::new();
        taken_twice("job", &self.job_claims, &[], &mut found);
        let implied: Vec<&str> = implied.iter().map(|output| output.id.as_str()).collect();
        taken_twice("output", &self.output_claims, &implied, &mut found);
        let listed = self.output_claims.iter();
        let known: Vec<String> = listed
            .map(|claim| claim.id.clone())
            .chain(implied.iter().map(|id| (*id).to_owned()))
            .collect();
        let is_enabled = |id: &str| {
            implied.contains(&id)
                || self.output_claims.iter().any(|claim| claim.id == id && claim.is_enabled)
        };
        for job in self.job_claims.iter().filter(|job| job.is_enabled) {
            let feeds = job.feeds.as_deref().unwrap_or(&known);
            for (index, name) in feeds.iter().enumerate().filter(|(_, name)| !known.contains(name))
            {
                let below = [Segment::Key("outputs".into()), Segment::Index(index)];
                let hint = collectors::decode::hint_among(name, &known);
                found.push(job.mistake(&below, format!("there is no output `{name}`"), hint));
            }
            let are_known = feeds.iter().all(|name| known.contains(name));
            if are_known && !feeds.is_empty() && !feeds.iter().any(|name| is_enabled(name)) {
                let message = format!("no output that job `{}` feeds is enabled", job.id);
                found.push(job.mistake(&[], message, None));
            }
        }
        let (jobs, outputs) = (self.jobs.iter().flatten(), self.outputs.iter().flatten());
        let rhythms = Rhythms { interval: self.polling.interval(), jobs: jobs.collect() };
        outputs.for_each(|output| rhythms.check(output, &self.job_claims, &mut found));
        if self.jobs.as_ref().is_some_and(Vec::is_empty)
            && self.job_claims.is_empty()
            && self.mistakes.is_empty()
            && let Some(source) = &self.jobs_source
        {
            let problem = Problem::at(&["jobs"], "there is no job").hint(
                "leave `jobs` out for this machine's metrics; `collector list` names what else there is",
            );
            found.push(Mistake::new(source, problem));
        }
        self.mistakes.extend(found);
    }

    /// Outputs that need not be listed: pattoo's server where its address is given, else the embedded store.
    fn implied_outputs(&self) -> Vec<OutputEntry> {
        let is_pattoo_listed = self.outputs.iter().flatten().any(|output| output.kind == "pattoo");
        let api = self.pattoo_agent_api.clone();
        if !is_pattoo_listed && (self.polling.ip_address.is_some() || api.is_some()) {
            let api = api.unwrap_or_default();
            let address = self.polling.ip_address.clone().or(api.ip_address);
            let options = serde_json::json!({
                "ip_address": address.as_deref().unwrap_or("localhost"),
                "ip_bind_port": self.polling.ip_bind_port.or(api.ip_bind_port)
                    .unwrap_or(outputs::pattoo::DEFAULT_PORT),
            });
            return implied("pattoo", options).into_iter().collect();
        }
        if self.outputs.is_none() {
            return implied("sqlite", serde_json::json!({})).into_iter().collect();
        }
        Vec::new()
    }

    fn tell(&mut self, file: &File, problem: Problem) {
        self.mistakes.push(Mistake::new(&file.source, problem));
    }

    fn finish(mut self, directory: PathBuf, files: Vec<PathBuf>) -> Result<Config, Mistakes> {
        let mut problems = self.agent.conflicts(&self.polling);
        problems.extend(self.polling.conflicts());
        problems.extend(self.heartbeat.iter().flat_map(Heartbeat::conflicts));
        problems.extend(self.store.iter().flat_map(Store::conflicts));
        for problem in problems {
            if let Some(Segment::Key(section)) = problem.path.first()
                && let Some(source) = self.sections.get(section.as_str())
            {
                self.mistakes.push(Mistake::new(source, problem));
            }
        }
        let implied = self.implied_outputs();
        self.check_claims(&implied);
        if !self.mistakes.is_empty() {
            return Err(Mistakes(self.mistakes));
        }
        let mut outputs = self.outputs.unwrap_or_default();
        outputs.extend(implied);
        // A pattoo.yaml alone says where to send, not what: this machine is what its agents collect.
        let jobs = self.jobs.unwrap_or_else(|| implied_job().into_iter().collect());
        let main = Main {
            log_directory: self.main.log_directory.or(self.pattoo.log_directory),
            daemon_directory: self.main.daemon_directory.or(self.pattoo.daemon_directory),
        };
        let Self { polling, agent, heartbeat, store, .. } = self;
        Ok(Config { main, polling, agent, heartbeat, store, outputs, jobs, directory, files })
    }
}

fn implied(kind: &str, options: Value) -> Option<OutputEntry> {
    let definition = outputs::find(kind)?;
    let output = (definition.decode)(&options).ok()?;
    let kind = definition.name;
    let spool = SpoolCaps::default();
    Some(OutputEntry { id: kind.to_owned(), enabled: true, spool, kind, output, options })
}

fn implied_job() -> Option<JobEntry> {
    let definition = collectors::find("system")?;
    let options = serde_json::json!({});
    let collector = (definition.decode)(&options).ok()?;
    let settings = JobSettings::named(definition.name);
    Some(JobEntry { settings, kind: definition.name, collector, options })
}
