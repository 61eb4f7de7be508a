//! `dragoman simulate` as its users see it: files in, one report out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in a test that is how to fail

mod faults;
mod off_policy;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A folder with recorded rows and a cache that all tests of a run share.
struct House {
    dir: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn rows(&self, name: &str, rows: &[Value]) -> PathBuf {
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        self.write(name, lines.join("\n"))
    }

    fn simulate(&self, args: &[&str]) -> Output {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embeddings");
        let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
        command.arg("simulate").args(args).arg("--cache").arg(cache).output().unwrap()
    }

    fn report(&self, args: &[&str]) -> Value {
        let output = self.simulate(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A world that a glance at the prompt separates: `poet` is good at poems, `coder` at code, and code is dear. Poems
/// and code are equally frequent and equally long.
fn separable(n: usize) -> Vec<Value> {
    const POEMS: [&str; 4] = [
        "a poem about the sea",
        "a sonnet on old love",
        "a lullaby for the moon",
        "verses about autumn rain",
    ];
    const CODE: [&str; 4] = [
        "a python function to sort",
        "a rust struct for a queue",
        "an sql query that joins",
        "javascript to parse json",
    ];
    let row = |i: usize| {
        let is_code = i.is_multiple_of(2);
        let task = if is_code { CODE[i / 2 % 4] } else { POEMS[i / 2 % 4] };
        let (poet, coder) = if is_code { (0.2, 0.9) } else { (0.9, 0.3) };
        json!({"id": i.to_string(), "source": "made", "prompt": format!("Write {task}, number {}", i / 8), "arms": {
            "house/poet": {"reward": poet, "cost": 0.001}, "house/coder": {"reward": coder, "cost": 0.010}}})
    };
    (0..n).map(row).collect()
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path} in {report}"))
}
