//! The peers: Python packages of PyPI, each driven by its script in `bench/peers`; and one that lets Dragoman route the rows
//! that they route, beside them.

use std::process::Command;

use dragoman_wasm_tests::system::workspace;
use serde_json::Value;

use super::Effort;
use crate::Outcome;

/// Names of the scripts.
pub(super) const PEERS: [&str; 3] = ["dragoman", "paretobandit", "vw"];

/// The virtual environment that `make bench-learner` fills.
const PYTHON: &str = "target/bench/peers/bin/python";

/// What the peer's script writes; else a sentence why there is nothing.
pub(super) fn run(peer: &str, effort: &Effort) -> Outcome<Value> {
    let python = workspace(PYTHON);
    if !python.exists() {
        return Err(
            "skipped: bench/peers is not installed (`make bench-learner` installs it from PyPI)".into()
        );
    }
    let script = workspace("bench/peers").join(peer).with_extension("py");
    let mut command = Command::new(&python);
    command.arg(&script).arg("--seconds").arg(effort.measure.as_secs_f64().to_string());
    if let Some(data) = &effort.data {
        command.arg("--data").arg(data).arg("--seeds").arg(effort.seeds.to_string());
    }
    if let Some(features) = &effort.features {
        command.arg("--features").arg(features);
    }
    if let Some(orders) = &effort.orders {
        command.arg("--orders").arg(orders);
    }
    // One core, as everybody here.
    for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(threads, "1");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|e| format!("skipped: {} cannot be started: {e}", python.display()))?;
    if !output.status.success() {
        return Err(format!("skipped: {} ended with {}", script.display(), output.status));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("skipped: {} wrote no JSON: {e}", script.display()))
}
