//! A temporary folder with a configuration, and the program run in it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long something is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with `collector.yaml` and a daemon directory, gone when dropped.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    /// A workspace whose configuration is `yaml`; its `main` section is added, so that nothing leaves the folder.
    pub(crate) fn new(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let workspace = Self { folder };
        let daemon = workspace.path("daemon");
        let main = format!("main: {{daemon_directory: {}}}\n", daemon.display());
        workspace.write("collector.yaml", format!("{main}{yaml}"));
        workspace
    }

    /// A workspace without a configuration.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in the workspace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the workspace.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, text).expect("the file");
    }

    /// Gives the agent a known id.
    pub(crate) fn agent_id(&self, program: &str, id: &str) {
        self.write(&format!("daemon/agent_id/{program}.agent_id"), id);
    }

    /// The program with these arguments and this workspace's configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let config = self.path("collector.yaml");
        self.command(arguments).env("COLLECTOR_CONFIG", config).finish()
    }

    /// The same, with its standard output going there.
    pub(crate) fn run_to(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> Finished {
        let config = self.path("collector.yaml");
        let mut invocation = self.command(arguments).env("COLLECTOR_CONFIG", config);
        invocation.0.stdout(stdout);
        invocation.finish()
    }

    /// The same, still running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let config = self.path("collector.yaml");
        let mut command = self.command(arguments).env("COLLECTOR_CONFIG", config).0;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().expect("the program starts"))
    }

    /// Waits until a file has a line, and gives that.
    pub(crate) fn wait_for_line(&self, name: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "`{name}` has no line");
            let written = fs::read_to_string(self.path(name)).unwrap_or_default();
            if let Some((line, _)) = written.split_once('\n') {
                return line.to_owned();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program with these arguments, in a clean environment, with this folder as its home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Invocation {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_collector")), arguments)
    }

    /// The same with another program.
    pub(crate) fn command_of(&self, program: &Path, arguments: &[&str]) -> Invocation {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("STATE_DIRECTORY", self.path("state"))
            .stdin(Stdio::null());
        Invocation(command)
    }

    /// The files below a folder of the workspace, by their paths in it.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        let root = self.path(name);
        let mut open = vec![root.clone()];
        let mut files = Vec::new();
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.push(relative(&path, &root));
                }
            }
        }
        files.sort();
        files
    }
}

/// A pipe that nobody writes to: to open it hangs for ever in a system call, as a file on a dead network disk does.
pub(crate) fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(made.success());
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// A command about to be run.
pub(crate) struct Invocation(Command);

impl Invocation {
    /// With this variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.env(name, value.into());
        self
    }

    /// The command itself, for what starts it in its own way.
    #[cfg(feature = "lambda")]
    pub(crate) fn into_command(self) -> Command {
        self.0
    }

    /// Runs it to its end.
    pub(crate) fn finish(mut self) -> Finished {
        let shown = format!("{:?}", self.0.get_args().collect::<Vec<_>>());
        Finished { output: self.0.output().expect("the program starts"), shown }
    }
}

/// A command that has not ended.
pub(crate) struct Running(Child);

impl Running {
    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(kill.expect("kill").success());
    }

    /// Waits until it has a thread of that name.
    pub(crate) fn wait_for_thread(&self, name: &str) {
        let tasks = format!("/proc/{}/task", self.0.id());
        let end = Instant::now() + PATIENCE;
        let is_there = || {
            let mut tasks = fs::read_dir(&tasks).into_iter().flatten().flatten();
            tasks.any(|task| {
                fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
            })
        };
        while !is_there() {
            assert!(Instant::now() < end, "there is no thread `{name}`");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it as no process can prevent, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().expect("the program ends");
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Finished {
        Finished::new(self.0.wait_with_output().expect("the program ends"))
    }
}

/// A command that has ended.
pub(crate) struct Finished {
    output: Output,
    shown: String,
}

impl Finished {
    /// A run that ended elsewhere, with this status and this on its standard output.
    pub(crate) fn seen(status: i32, stdout: &str) -> Self {
        let status = ExitStatus::from_raw(status << 8);
        Self::new(Output { status, stdout: stdout.into(), stderr: Vec::new() })
    }

    /// A run that was started in another way.
    pub(crate) fn new(output: Output) -> Self {
        Self { output, shown: "run".to_owned() }
    }

    /// The exit status; that of a signal is its negative number.
    pub(crate) fn status(&self) -> i32 {
        let status = self.output.status;
        status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
    }

    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn exit(self, expected: i32) -> Self {
        let status = self.output.status.code();
        assert_eq!(
            status,
            Some(expected),
            "collector {}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// Asserts that standard error has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let stderr = self.stderr();
        assert!(stderr.contains(text), "expected {text:?} in\n{stderr}");
        self
    }

    /// Asserts that standard output has this text.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        let stdout = self.stdout();
        assert!(stdout.contains(text), "expected {text:?} in\n{stdout}");
        self
    }

    /// Asserts that nothing at all was printed.
    #[track_caller]
    pub(crate) fn silent(self) -> Self {
        assert_eq!((self.stdout().as_str(), self.stderr().as_str()), ("", ""), "{}", self.shown);
        self
    }

    /// Standard output.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Standard output, byte for byte.
    pub(crate) fn stdout_bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    /// Standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}
