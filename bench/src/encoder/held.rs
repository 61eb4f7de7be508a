//! What Envoy pays for holding the shipped filter: time to start, memory, the size of the file.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use dragoman_wasm_tests::system::{Favour, Plan, System, favouring, sign, workspace};
use dragoman_wasm_tests::wasm_path;

use super::Effort;
use super::report::Workers;
use crate::Outcome;
use crate::http::Load;
use crate::numbers::rss_mb;
use crate::prompts::Prompts;

/// Connections of the load, so that every worker gets some.
const CONNECTIONS: usize = 8;
/// As many tokens as the encoder reads by default.
const TOKENS: usize = 128;

/// Seconds from the start of Envoy's process until its gateway accepts, the median.
pub(super) fn start_s(effort: &Effort) -> Outcome<f64> {
    let mut system = Plan::default().workers(1).start();
    let mut times = Vec::new();
    for _ in 0..effort.starts {
        system.kill_envoy();
        let start = Instant::now();
        system.start_envoy();
        TcpStream::connect(system.listen.gateway)
            .map_err(|e| format!("Envoy says that it is ready, but its gateway does not accept: {e}"))?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64))
}

/// Resident MB of Envoy with one worker and with two, after a load that each had a part of.
pub(super) fn resident_mb(effort: &Effort) -> Outcome<Workers> {
    let tokenizer = workspace("models/dragoman-small/tokenizer.json");
    let requests = Prompts::load(&tokenizer)?.requests(TOKENS)?;
    Ok(Workers { one: resident(1, &requests, effort)?, two: resident(2, &requests, effort)? })
}

fn resident(workers: u32, requests: &[Vec<u8>], effort: &Effort) -> Outcome<f64> {
    let system = Plan::default().workers(workers).start();
    decides(&system)?;
    let at = system.listen.gateway;
    Load { at, requests, concurrency: CONNECTIONS, duration: effort.load }.run()?;
    system.envoy_id().and_then(rss_mb).ok_or_else(|| "there is no /proc to read Envoy's memory from".into())
}

/// Without a snapshot no request would be embedded.
fn decides(system: &System) -> Outcome<()> {
    let favour = Favour { model: "a", then: "b", dimensions: 64 };
    let reply = system.push(&sign(system, &favouring(&system.config().routing, 1, &favour)));
    match reply.status {
        200 => Ok(()),
        status => Err(format!("the filter refuses the snapshot with {status}: {}", reply.text())),
    }
}

/// The shipped filter's size in MB.
pub(super) fn wasm_mb() -> Outcome<f64> {
    let path = wasm_path();
    let file = std::fs::metadata(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(file.len() as f64 / 1e6)
}
