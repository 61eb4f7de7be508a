//! onnxruntime, in Python beside us: `bench/peers/ort.py` answers a line of JSON with a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use dragoman_bench_embed::{Answer, Question};
use dragoman_wasm_tests::system::workspace;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::runtime::Runtime;
use crate::Outcome;

/// The virtual environment that `make bench-encoder` fills, and the script.
const PYTHON: &str = "target/bench/peers/bin/python";
const SCRIPT: &str = "bench/peers/ort.py";

/// One process with one model in one precision; it ends when its input does.
pub(super) struct Onnxruntime {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

// === impl Onnxruntime ===

impl Onnxruntime {
    /// Starts it; `precision` is `fp32` or `int8`. Else a sentence why it cannot be had.
    pub(super) fn start(model: &Path, precision: &str) -> Outcome<Self> {
        let python = workspace(PYTHON);
        if !python.exists() {
            return Err("it is not installed (`make bench-encoder` installs it from PyPI)".into());
        }
        let mut command = Command::new(&python);
        command.arg(workspace(SCRIPT)).arg(model).arg(precision).env("OMP_NUM_THREADS", "1");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| format!("{} cannot be started: {e}", python.display()))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{SCRIPT} has no input or output"));
        };
        let mut started = Self { child, questions: Some(stdin), answers: BufReader::new(stdout) };
        started.listen::<Value>()?;
        Ok(started)
    }

    /// Its next line; the first says that the model is loaded.
    fn listen<T: DeserializeOwned>(&mut self) -> Outcome<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|e| format!("{SCRIPT} does not answer: {e}"))?;
        serde_json::from_str(&line).map_err(|e| format!("{SCRIPT} ended, or says what cannot be read: {e}"))
    }
}

impl Runtime for Onnxruntime {
    fn ask(&mut self, _question: &Question, ids: &[Vec<u32>]) -> Outcome<Answer> {
        let stdin = self.questions.as_mut().ok_or("its input is closed")?;
        let said = writeln!(stdin, "{}", json!({"ids": ids}));
        said.and_then(|()| stdin.flush()).map_err(|e| format!("{SCRIPT} does not listen: {e}"))?;
        self.listen()
    }
}

impl Drop for Onnxruntime {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.questions = None;
        let _ = self.child.wait();
    }
}
