//! Deciding in V8: a real Envoy with nothing in it but the plugin of `bench/decide`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dragoman_bench_decide::{ANSWER, Answer, Case, Effort, Questions, Timing};
use dragoman_wasm_tests::system::{Process, envoy, workspace};
use serde_json::{Value, json};

use crate::Outcome;

/// What `make bench-learner` builds.
const PLUGIN: &str = "target/wasm32-wasip1/wasm/dragoman_bench_decide.wasm";
/// For starting, for making the snapshots and for what nobody thought of.
const SLACK: Duration = Duration::from_secs(60);

/// Times every case inside Envoy; the timings in the order of the cases.
pub(super) fn decide(cases: &[Case], effort: Effort) -> Outcome<Vec<Timing>> {
    let plugin = workspace(PLUGIN);
    if !plugin.exists() {
        return Err(format!("{} is missing: run `make bench-learner`, which builds it", plugin.display()));
    }
    let dir = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
    let (config, log) = (dir.path().join("envoy.json"), dir.path().join("envoy.log"));
    let questions = Questions { cases: cases.to_vec(), effort };
    std::fs::write(&config, configuration(&plugin, &questions)?.to_string())
        .map_err(|e| format!("cannot write {}: {e}", config.display()))?;
    let mut command = std::process::Command::new(envoy());
    command.arg("-c").arg(&config).args(["--concurrency", "1", "--disable-hot-restart"]);
    command.args(["--log-level", "error", "--component-log-level", "wasm:info"]);
    let _envoy = Process::spawn("envoy", command, &log);
    let each = Duration::from_nanos(effort.warm_up_ns + effort.measure_ns) * 2;
    wait_for_answers(&log, cases.len(), SLACK + each * cases.len() as u32)
}

/// A bootstrap whose only part is the plugin, once in the whole process and away from the workers.
fn configuration(plugin: &Path, questions: &Questions) -> Outcome<Value> {
    let questions =
        serde_json::to_string(questions).map_err(|e| format!("the cases have no JSON form: {e}"))?;
    Ok(json!({"bootstrap_extensions": [{
        "name": "envoy.bootstrap.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService",
            "singleton": true,
            "config": {
                "name": "bench-decide",
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": questions,
                },
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": plugin}},
                },
            },
        },
    }]}))
}

fn wait_for_answers(log: &PathBuf, count: usize, limit: Duration) -> Outcome<Vec<Timing>> {
    let start = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let text = std::fs::read_to_string(log).unwrap_or_default();
        // A line without its end is still being written.
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let answers = whole.lines().filter_map(|line| line.split_once(ANSWER)).map(|(_, json)| answer(json));
        let answers: Vec<Answer> = answers.collect::<Outcome<_>>()?;
        if answers.len() >= count {
            return answers.into_iter().map(|a| a.result).collect();
        }
        if start.elapsed() > limit {
            return Err(format!(
                "{} of {count} answers came out of Envoy within {limit:?}; its log ends:\n{}",
                answers.len(),
                tail(&text)
            ));
        }
    }
}

fn answer(json: &str) -> Outcome<Answer> {
    serde_json::Deserializer::from_str(json)
        .into_iter()
        .next()
        .ok_or("an answer is empty")?
        .map_err(|e| format!("an answer of the plugin cannot be read: {e}; build it again"))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
}
