//! `bench-signals`: all signals of a prompt of 2,000 characters, natively and in Envoy's V8, which must read the same.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dragoman_bench_signals::{ANSWER, Answer, CHARS, NAMES, Reader, cases, measure};
use serde_json::json;

/// What `make bench-signals` builds.
const PLUGIN: &str = "target/wasm32-wasip1/wasm/dragoman_bench_signals.wasm";
/// Microseconds that a prompt may take in V8.
const GOAL: f64 = 150.0;
/// For all cases in Envoy.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table; whether the goal is met.
fn run() -> Result<bool, String> {
    let reader = Reader::new()?;
    let start = Instant::now();
    let clock = || start.elapsed().as_nanos() as u64;
    let native: Vec<Answer> = cases()
        .map(|(prompt, embedding)| measure(&reader, prompt, embedding, &clock))
        .collect::<Result<_, _>>()?;
    let v8 = in_envoy(native.len())?;
    println!("all signals of a prompt of {CHARS} characters, µs: median (99th percentile of batches)\n");
    println!("{:<18} {:<10} {:>18} {:>18}", "prompt", "embedding", "native", "Envoy's V8");
    let told = |[median, most]: [f64; 2]| format!("{median:.0} ({most:.0})");
    for (native, v8) in native.iter().zip(&v8) {
        let name = NAMES.get(native.prompt).copied().unwrap_or_default();
        let embedding = if native.embedding { "here" } else { "none" };
        println!("{name:<18} {embedding:<10} {:>18} {:>18}", told(native.micros), told(v8.micros));
        if native.signals != v8.signals {
            return Err(format!("{name}: V8 reads other signals:\n{}\n{}", native.signals, v8.signals));
        }
    }
    let slowest = v8.iter().map(|answer| answer.micros[0]).fold(0.0, f64::max);
    let met = slowest <= GOAL;
    println!("\nslowest in V8: {slowest:.0} µs, goal {GOAL} µs: {}", if met { "met" } else { "NOT met" });
    println!("the same bits natively and in V8: yes");
    Ok(met)
}

/// The answers of the plugin in an Envoy with nothing else in it.
fn in_envoy(count: usize) -> Result<Vec<Answer>, String> {
    if !Path::new(PLUGIN).exists() {
        return Err(format!("{PLUGIN} is missing: run `make bench-signals`, which builds it"));
    }
    let dir = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
    let (config, log) = (dir.path().join("envoy.json"), dir.path().join("envoy.log"));
    std::fs::write(&config, bootstrap().to_string()).map_err(|e| format!("cannot write a file: {e}"))?;
    let output = std::fs::File::create(&log).map_err(|e| format!("cannot write a file: {e}"))?;
    let envoy = std::env::var("ENVOY").unwrap_or_else(|_| "envoy".into());
    let mut envoy = Command::new(&envoy)
        .arg("-c")
        .arg(&config)
        .args(["--concurrency", "1", "--disable-hot-restart"])
        .args(["--log-level", "error", "--component-log-level", "wasm:info"])
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .map_err(|e| format!("cannot start {envoy}: {e}; name Envoy's binary with ENVOY=PATH"))?;
    let answers = wait_for(&log, count);
    // It has ended already, or ends now.
    let _ = envoy.kill();
    let _ = envoy.wait();
    answers
}

fn wait_for(log: &PathBuf, count: usize) -> Result<Vec<Answer>, String> {
    let start = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let text = std::fs::read_to_string(log).unwrap_or_default();
        // A line without its end is still being written.
        let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
        let lines = whole.lines().filter_map(|line| line.split_once(ANSWER));
        let answers: Result<Vec<Answer>, _> = lines.map(|(_, json)| serde_json::from_str(json)).collect();
        let answers = answers.map_err(|e| format!("an answer out of Envoy cannot be read: {e}"))?;
        if answers.len() >= count {
            return Ok(answers);
        }
        if start.elapsed() > LIMIT {
            return Err(format!("{} of {count} answers came out of Envoy; its log:\n{text}", answers.len()));
        }
    }
}

/// A bootstrap whose only part is the plugin, once in the whole process and away from the workers.
fn bootstrap() -> serde_json::Value {
    json!({"bootstrap_extensions": [{
        "name": "envoy.bootstrap.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService",
            "singleton": true,
            "config": {
                "name": "bench-signals",
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": PLUGIN}},
                },
            },
        },
    }]})
}
