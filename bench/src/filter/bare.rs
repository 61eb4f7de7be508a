//! Envoy without the filter: the rendered configuration with every wasm part taken out.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use dragoman_wasm_tests::system::{Process, envoy, get, wait_until};
use serde_json::{Value, json};

use crate::Outcome;

const START: Duration = Duration::from_secs(60);

/// A bare Envoy; dropping it stops it.
pub(super) struct Bare {
    dir: tempfile::TempDir,
    admin: SocketAddr,
    process: Option<Process>,
    /// Its listener for clients.
    pub(super) gateway: SocketAddr,
}

impl Bare {
    /// Writes its configuration, from the rendered one of the filter. Does not start it.
    pub(super) fn new(rendered: &str) -> Outcome<Self> {
        let mut document: Value = serde_yaml_ng::from_str(rendered)
            .map_err(|e| format!("what `dragoman render envoy` wrote is not YAML: {e}"))?;
        let [gateway, admin] = free_ports()?;
        strip(&mut document, gateway, admin)?;
        let dir = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
        std::fs::write(dir.path().join("envoy.json"), document.to_string())
            .map_err(|e| format!("cannot write into {}: {e}", dir.path().display()))?;
        Ok(Self { dir, admin, process: None, gateway })
    }

    /// Starts it (again) and returns how long it took to be ready.
    pub(super) fn start(&mut self) -> Duration {
        self.process = None;
        let start = Instant::now();
        let mut command = std::process::Command::new(envoy());
        command.arg("-c").arg(self.dir.path().join("envoy.json"));
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        self.process = Some(Process::spawn("bare envoy", command, &self.dir.path().join("envoy.log")));
        wait_until("bare Envoy is ready", START, || {
            get(self.admin, "/ready").is_some_and(|r| r.status == 200)
        });
        start.elapsed()
    }

    /// Its process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }
}

/// Keeps the gateway and the clusters, on other ports, and nothing of wasm.
fn strip(document: &mut Value, gateway: SocketAddr, admin: SocketAddr) -> Outcome<()> {
    without_wasm(document);
    if let Some(listeners) = document["static_resources"]["listeners"].as_array_mut() {
        listeners.retain(|l| l["name"] == "gateway");
        listeners.iter_mut().for_each(|l| l["address"] = address(gateway));
    }
    document["admin"]["address"] = address(admin);
    match document.to_string().contains("wasm") {
        true => {
            Err("the bare configuration still names wasm: teach bench/src/filter/bare.rs the new place"
                .into())
        }
        false => Ok(()),
    }
}

fn without_wasm(value: &mut Value) {
    match value {
        Value::Array(items) => {
            let ours = ["envoy.filters.http.wasm", "dragoman.rename"];
            items.retain(|i| !ours.iter().any(|name| i["name"] == *name));
            items.iter_mut().for_each(without_wasm);
        }
        Value::Object(map) => map.values_mut().for_each(without_wasm),
        _ => {}
    }
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

fn free_ports() -> Outcome<[SocketAddr; 2]> {
    let bind = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr().map(|at| (l, at)));
    match (bind(), bind()) {
        (Ok((_a, a)), Ok((_b, b))) => Ok([a, b]),
        (Err(e), _) | (_, Err(e)) => Err(format!("no free loopback port: {e}")),
    }
}
