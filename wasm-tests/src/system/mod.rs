//! The whole system on real parts: Envoy with the shipped filter, the sidecar's binary, stand-in models.
//!
//! This room owns starting and stopping them on free loopback ports. It must not know what is being tested.

mod embeddings;
mod http;
mod process;
mod snapshots;
mod turns;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dragoman_core::config::Config;
use dragoman_demo::sim::{ModelConfig, SimConfig, SimLlm};
use serde_json::{Value, json};

pub use embeddings::{Asked, Embeddings, Manner};
pub use http::{Reply, chat, get, post, post_json, raw, send, stream_chat};
pub use process::{Process, binary, envoy, root};
pub use snapshots::{Favour, favouring, sign, sign_payload};
pub use turns::in_turn;

/// How long anything may take to start; V8 compiles the whole module first (FACTS.md).
const START: Duration = Duration::from_secs(120);

/// Builder of a [`System`]: three models `a`, `b`, `c` that accept any model name, unless said otherwise.
pub struct Plan {
    models: Vec<ModelConfig>,
    settings: Value,
    wasm: Option<PathBuf>,
    workers: u32,
    sidecar: bool,
    live: bool,
}

impl Default for Plan {
    fn default() -> Self {
        let models = ["a", "b", "c"].map(ModelConfig::named).to_vec();
        Self { models, settings: json!({}), wasm: None, workers: 2, sidecar: false, live: false }
    }
}

impl Plan {
    /// Replaces the models.
    pub fn models(mut self, models: Vec<ModelConfig>) -> Self {
        self.models = models;
        self
    }

    /// Sets a top-level key of `dragoman.yaml`.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.settings[key] = value;
        self
    }

    /// Another build of the filter than the shipped one.
    pub fn wasm(mut self, path: PathBuf) -> Self {
        self.wasm = Some(path);
        self
    }

    /// Number of Envoy's worker threads.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Starts the sidecar as well.
    pub fn with_sidecar(mut self) -> Self {
        self.sidecar = true;
        self
    }

    /// Lets the sidecar keep Envoy's clusters and routes up to date.
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Starts everything and waits until it is ready.
    pub fn start(self) -> System {
        System::start(self)
    }
}

/// A running system; dropping it stops every part.
pub struct System {
    /// The stand-in models.
    pub sims: SimLlm,
    /// Addresses by the keys of `listen`.
    pub listen: Listen,
    dir: tempfile::TempDir,
    workers: u32,
    keys: Vec<(String, String)>,
    envoy: Option<Process>,
    sidecar: Option<Process>,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// Envoy's listener for clients.
    pub gateway: SocketAddr,
    /// Envoy's push listener.
    pub push: SocketAddr,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
    /// The sidecar.
    pub sidecar: SocketAddr,
}

impl System {
    fn start(plan: Plan) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let sims = SimLlm::start(SimConfig { models: plan.models.clone(), ..Default::default() })
            .expect("the stand-in models start");
        let [gateway, push, admin, sidecar] = free_ports();
        let listen = Listen { gateway, push, admin, sidecar };
        let key = |m: &ModelConfig| Some((key_variable(&m.name), key_of(m)?.2));
        let keys = plan.models.iter().filter_map(key).collect();
        let mut system = Self { sims, listen, dir, workers: plan.workers, keys, envoy: None, sidecar: None };
        std::fs::write(system.config_path(), system.document(&plan).to_string())
            .expect("the config is written");
        system.render();
        if plan.sidecar {
            system.start_sidecar();
        }
        system.start_envoy();
        if plan.sidecar {
            // A request before the first snapshot is not decided, so nothing would be learned from it.
            wait_until("Envoy has the sidecar's snapshot", START, || system.snapshot_version() > 0);
        }
        system
    }

    /// JSON is YAML: the same document is read by the sidecar.
    fn document(&self, plan: &Plan) -> Value {
        let model = |m: &ModelConfig| {
            let endpoint = format!("http://{}", self.sims.addr(&m.name));
            let price = json!({"input": m.price.input, "output": m.price.output});
            let api_key = key_of(m).map(|(header, prefix, _)| {
                json!({"header": header, "prefix": prefix, "env": key_variable(&m.name)})
            });
            let apis = json!(["chat_completions", "completions", "responses", "messages"]);
            (m.name.clone(), json!({"endpoint": endpoint, "price": price, "apis": apis, "api_key": api_key}))
        };
        let mut document = json!({
            "listen": {
                "gateway": self.listen.gateway, "push": self.listen.push,
                "admin": self.listen.admin, "sidecar": self.listen.sidecar,
            },
            "data_dir": self.data_dir(),
            "models": plan.models.iter().map(model).collect::<serde_json::Map<_, _>>(),
            "default_model": plan.models.first().map(|m| m.name.clone()),
            "encoder": {"path": root().join("models/dragoman-small")},
            "envoy": {"wasm": plan.wasm.clone().unwrap_or_else(crate::wasm_path), "live": plan.live.then(|| self.dir.path().join("live"))},
        });
        for (key, value) in plan.settings.as_object().into_iter().flatten() {
            document[key] = value.clone();
        }
        document
    }

    /// Where `dragoman.yaml` lies.
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("dragoman.yaml")
    }

    /// Where Envoy's rendered configuration lies.
    pub fn envoy_config_path(&self) -> PathBuf {
        self.dir.path().join("envoy.yaml")
    }

    /// Envoy's process id, while it runs.
    pub fn envoy_id(&self) -> Option<u32> {
        self.envoy.as_ref().map(Process::id)
    }

    /// The sidecar's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The configuration, as core reads it.
    pub fn config(&self) -> Config {
        let text = std::fs::read_to_string(self.config_path()).expect("the config is readable");
        Config::from_value(&serde_json::from_str(&text).expect("the config is JSON"))
            .expect("the config is valid")
    }

    /// Changes `dragoman.yaml`, as an editor does: another file is renamed over it.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(self.config_path()).expect("the config is readable");
        let mut document = serde_json::from_str(&text).expect("the config is JSON");
        change(&mut document);
        let new = self.dir.path().join("dragoman.yaml.new");
        std::fs::write(&new, document.to_string()).expect("the config is written");
        std::fs::rename(new, self.config_path()).expect("the config is replaced");
    }

    fn render(&self) {
        let status = std::process::Command::new(binary("dragoman"))
            .args(["render", "envoy", "--config"])
            .arg(self.config_path())
            .arg("--out")
            .arg(self.envoy_config_path())
            .status()
            .expect("`dragoman render envoy` runs");
        assert!(status.success(), "`dragoman render envoy` failed");
    }

    /// Starts Envoy and waits until it is ready. Returns the moment it was.
    pub fn start_envoy(&mut self) -> Instant {
        let mut command = std::process::Command::new(process::envoy());
        command.arg("-c").arg(self.envoy_config_path());
        command.args(["--concurrency", &self.workers.to_string(), "--disable-hot-restart"]);
        command.envs(self.keys.iter().cloned());
        command.args(["--log-level", "warning", "--component-log-level", "wasm:info"]);
        self.envoy = Some(Process::spawn("envoy", command, &self.log_path("envoy")));
        wait_until("Envoy is ready", START, || {
            get(self.listen.admin, "/ready").is_some_and(|r| r.status == 200)
        });
        Instant::now()
    }

    /// Starts the sidecar's binary and waits until it is ready.
    pub fn start_sidecar(&mut self) {
        let mut command = std::process::Command::new(binary("dragoman"));
        command.args(["serve", "--config"]).arg(self.config_path());
        self.sidecar = Some(Process::spawn("sidecar", command, &self.log_path("sidecar")));
        wait_until("the sidecar is ready", START, || {
            get(self.listen.sidecar, "/readyz").is_some_and(|r| r.status == 200)
        });
    }

    /// kill -9.
    pub fn kill_envoy(&mut self) {
        self.envoy = None;
    }

    /// kill -9.
    pub fn kill_sidecar(&mut self) {
        self.sidecar = None;
    }

    /// The sidecar hangs: its sockets stay open, nobody answers.
    pub fn hang_sidecar(&self) {
        self.sidecar.as_ref().expect("the sidecar runs").signal("STOP");
    }

    /// The sidecar goes on.
    pub fn wake_sidecar(&self) {
        self.sidecar.as_ref().expect("the sidecar runs").signal("CONT");
    }

    /// Asks the sidecar to stop (SIGTERM); true if it ended in order.
    pub fn stop_sidecar(&mut self) -> bool {
        self.sidecar.take().is_some_and(Process::terminate)
    }

    /// What Envoy (`envoy`) or the sidecar (`sidecar`) printed so far.
    pub fn log(&self, part: &str) -> String {
        std::fs::read_to_string(self.log_path(part)).unwrap_or_default()
    }

    fn log_path(&self, part: &str) -> PathBuf {
        self.dir.path().join(format!("{part}.log"))
    }

    /// Posts a snapshot to Envoy's push listener.
    pub fn push(&self, blob: &[u8]) -> Reply {
        post(self.listen.push, "/v1/snapshot", blob)
    }

    /// Version of the snapshot that Envoy's workers share, 0 if there is none.
    pub fn snapshot_version(&self) -> u64 {
        get(self.listen.push, "/").and_then(|r| r.json()["version"].as_u64()).unwrap_or(0)
    }

    /// A statistic of Envoy, 0 if there is none (yet).
    pub fn stat(&self, name: &str) -> u64 {
        let reply = get(self.listen.admin, &format!("/stats?filter={name}$")).expect("Envoy's admin answers");
        let line = reply.text().lines().find_map(|l| l.rsplit_once(": ").map(|(_, n)| n.to_owned()));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    }

    /// Requests each model has had, in the order of their names.
    pub fn hits(&self) -> Vec<(String, u64)> {
        self.sims.stats().models.into_iter().map(|(name, stats)| (name, stats.requests)).collect()
    }
}

/// Header, prefix and key of `authorization: Bearer KEY` or `x-api-key: KEY`.
fn key_of(model: &ModelConfig) -> Option<(String, String, String)> {
    let (header, value) = model.api_key_header.as_ref()?.split_once(": ")?;
    let (prefix, key) = value.rsplit_once(' ').map_or(("", value), |(p, k)| (p, k));
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix} ") };
    Some((header.to_owned(), prefix, key.to_owned()))
}

fn key_variable(model: &str) -> String {
    format!("DRAGOMAN_TEST_KEY_{}", model.to_ascii_uppercase())
}

/// Polls until `done`; fails the test with `what` after `limit`.
pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Four loopback ports that were free a moment ago, below those the kernel gives to outgoing connections: the
/// sidecar's tries to reach an Envoy that is still starting must not take Envoy's own port.
pub fn free_ports() -> [SocketAddr; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = 20_000..32_000;
    let free = || loop {
        let step = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = ports.start + step % (ports.end - ports.start);
        let at = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        if std::net::TcpListener::bind(at).is_ok() {
            return at;
        }
    };
    [(); 4].map(|()| free())
}

/// The path below the workspace's root.
pub fn workspace(path: impl AsRef<Path>) -> PathBuf {
    root().join(path)
}
