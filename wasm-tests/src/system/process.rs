//! Child processes: where their programs are, where their output goes, and that none outlives its test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A child that is killed (kill -9) when dropped.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts it with its output in `log`, appended.
    pub fn spawn(name: &'static str, mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("the log file opens");
        let copy = file.try_clone().expect("the log file can be shared");
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name} cannot be started: {e}"));
        Self { name, child }
    }

    /// Asks it to stop (SIGTERM) and waits; true if it ended with status 0.
    pub fn terminate(mut self) -> bool {
        self.signal("TERM");
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// Sends it a signal: `STOP` makes it hang, `CONT` goes on.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.is_ok_and(|s| s.success()), "{} cannot be signalled", self.name);
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// A native binary of this workspace, built by `make build`.
pub fn binary(name: &str) -> PathBuf {
    let path = root().join("target/release").join(name);
    assert!(path.exists(), "{} is missing: run `make build` first", path.display());
    path
}

/// Envoy: `$ENVOY`, or the one that `make` put into `.venv`, or the one on the PATH.
pub fn envoy() -> PathBuf {
    let local = root().join(".venv/bin/envoy");
    match std::env::var_os("ENVOY") {
        Some(path) => path.into(),
        None if local.exists() => local,
        None => "envoy".into(),
    }
}
