//! The plugin in V8: a real Envoy with nothing in it but a listener that the plugin answers on, with one worker.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dragoman_bench_embed::{Answer, LOAD, MEASURE, Model, Question};
use dragoman_wasm_tests::system::{Process, envoy, free_ports, get, post, wait_until};
use serde_json::{Value, json};

use super::runtime::{self, Runtime};
use crate::Outcome;

const START: Duration = Duration::from_secs(120);
/// Room for a model on its way in.
const BUFFER: u32 = 1 << 30;

/// Dropping it stops Envoy.
pub(super) struct Envoy {
    at: SocketAddr,
    _process: Process,
    _dir: tempfile::TempDir,
}

impl Envoy {
    /// Starts it with this model.
    pub(super) fn start(plugin: &Path, model: &Model) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
        let [at, admin, ..] = free_ports();
        let config = dir.path().join("envoy.json");
        std::fs::write(&config, configuration(plugin, at, admin).to_string())
            .map_err(|e| format!("cannot write {}: {e}", config.display()))?;
        let mut command = std::process::Command::new(envoy());
        command.arg("-c").arg(&config).args(["--concurrency", "1", "--disable-hot-restart"]);
        command.args(["--log-level", "error"]);
        let process = Process::spawn("envoy", command, &dir.path().join("envoy.log"));
        wait_until("Envoy with the plugin is ready", START, || {
            get(admin, "/ready").is_some_and(|r| r.status == 200)
        });
        let started = Self { at, _process: process, _dir: dir };
        started.post(LOAD, &model.to_bytes())?;
        Ok(started)
    }

    fn post(&self, path: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        let reply = post(self.at, path, body);
        match reply.status {
            200 => Ok(reply.body),
            status => Err(format!("the plugin in Envoy answers {status}: {}", reply.text())),
        }
    }
}

impl Runtime for Envoy {
    fn ask(&mut self, question: &Question, _ids: &[Vec<u32>]) -> Outcome<Answer> {
        runtime::answer(&self.post(MEASURE, &runtime::json(question)?)?)
    }
}

fn configuration(plugin: &Path, at: SocketAddr, admin: SocketAddr) -> Value {
    let typed = |of: &str, mut fields: Value| {
        fields["@type"] = json!(format!("type.googleapis.com/{of}"));
        fields
    };
    let wasm = json!({"config": {
        "name": "bench-embed",
        "allow_on_headers_stop_iteration": true,
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": plugin}}},
    }});
    let manager = json!({
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 404}}],
        }]},
        "http_filters": [
            {
                "name": "envoy.filters.http.wasm",
                "typed_config": typed("envoy.extensions.filters.http.wasm.v3.Wasm", wasm),
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("envoy.extensions.filters.http.router.v3.Router", json!({})),
            },
        ],
    });
    let of = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let filter = json!({"name": "http", "typed_config": typed(of, manager)});
    json!({
        "admin": {"address": address(admin)},
        "static_resources": {"listeners": [{
            "name": "bench",
            "address": address(at),
            "per_connection_buffer_limit_bytes": BUFFER,
            "filter_chains": [{"filters": [filter]}],
        }]},
    })
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}
