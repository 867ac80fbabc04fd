//! Real servers from Debian, on loopback, each in a folder of its own, ended when dropped.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::closed_port;

/// How long a server may take until it answers: much longer than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a server is started.
pub(crate) struct Program {
    /// The package that has it.
    pub(crate) package: &'static str,
    /// Files that it needs, with their content; `<PORT>` and `<FOLDER>` stand for what they do in its arguments.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Its arguments; `PORT` stands for its port and `FOLDER` for its folder.
    pub(crate) arguments: &'static [&'static str],
    /// A path that answers 200 as soon as it is ready; empty for a server that does not speak HTTP, which is ready when
    /// it takes connections.
    pub(crate) ready: &'static str,
}

/// What a package calls its server.
fn executable(package: &str) -> &str {
    match package {
        "graphite-carbon" => "carbon-cache",
        "influxdb" => "influxd",
        package => package,
    }
}

/// A server that runs.
pub(crate) struct Service {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Service {
    /// Starts a server and waits until it answers.
    pub(crate) fn start(program: &Program) -> Self {
        Self::start_on(program, closed_port())
    }

    /// The same on a port that was free a moment ago.
    pub(crate) fn start_on(program: &Program, port: u16) -> Self {
        Self::launch(Path::new(executable(program.package)), program, port)
    }

    /// The same with another program than the package's.
    pub(crate) fn with_program(path: &Path, program: &Program) -> Self {
        Self::launch(path, program, closed_port())
    }

    fn launch(path: &Path, program: &Program, port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().to_str().expect("a plain path").to_owned();
        let filled = |text: &str| text.replace("PORT", &port.to_string()).replace("FOLDER", &place);
        for (name, content) in program.files {
            let content = content.replace("<PORT>", &port.to_string()).replace("<FOLDER>", &place);
            fs::write(folder.path().join(name), content).expect("the file");
        }
        let log = fs::File::create(folder.path().join("log")).expect("the log");
        let started = Command::new(path)
            .args(program.arguments.iter().map(|argument| filled(argument)))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!(
                "cannot start the server: {error}; install Debian's package `{}`",
                program.package
            )
        });
        let mut service = Self { child, port, folder };
        let begin = Instant::now();
        while !service.answers(program.ready) {
            let ended = service.child.try_wait().expect("a child");
            assert!(
                ended.is_none() && begin.elapsed() < PATIENCE,
                "`{}` does not answer:\n{}",
                program.package,
                service.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
        service
    }

    fn answers(&self, path: &str) -> bool {
        match path {
            "" => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            path => ureq::get(self.url(path)).call().is_ok(),
        }
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it answers to a GET.
    pub(crate) fn get(&self, path: &str) -> String {
        let response = ureq::get(self.url(path)).call();
        let mut response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
        response.body_mut().read_to_string().expect("text")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
