//! The sidecar's own settings: addresses, learner, escalation.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::section::Section;

/// Addresses. All default to loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Envoy's listener for clients.
    pub gateway: SocketAddr,
    /// Envoy's listener for parameter pushes; keep it on loopback.
    pub push: SocketAddr,
    /// Envoy's admin interface; keep it on loopback.
    pub admin: SocketAddr,
    /// The sidecar's API.
    pub sidecar: SocketAddr,
}

impl Listen {
    pub(super) fn read(section: &Section) -> Self {
        let listen = Self {
            gateway: address(section, "gateway", 10000),
            push: address(section, "push", 10001),
            admin: address(section, "admin", 9901),
            sidecar: address(section, "sidecar", 8088),
        };
        section.finish();
        listen
    }
}

fn address(section: &Section, key: &'static str, default_port: u16) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], default_port));
    let Some(text) = section.text(key) else { return default };
    text.parse().unwrap_or_else(|_| {
        section.error(key, format!("must be an address and a port such as {default}, not \"{text}\""));
        default
    })
}

/// Which requests are read, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestsConfig {
    /// Larger bodies go to the default route unread, bytes.
    pub max_body_bytes: u32,
    /// Request headers that name the session, in order of preference; lower case.
    pub session_headers: Vec<String>,
}

impl RequestsConfig {
    pub(super) fn read(section: &Section) -> Self {
        let mut session_headers = section.texts("session_headers");
        session_headers.iter_mut().for_each(|h| h.make_ascii_lowercase());
        if session_headers.is_empty() {
            session_headers.push("x-session-id".into());
        }
        let max_body_bytes = section.whole("max_body_bytes", 1024..=64 << 20, 8 << 20);
        section.finish();
        Self { max_body_bytes, session_headers }
    }
}

/// The learner's constants and schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearnerConfig {
    /// k, number of features the context is made into.
    pub dimensions: usize,
    /// Whether the features are the whole context instead, all d numbers of it, for a learner that is to leave nothing
    /// out. The price: it needs more observations, routes share nothing (no `sharing`), widths are rounded up, a
    /// decision takes several times as long and a snapshot d³/6 multiplications a route.
    pub whole_context: bool,
    /// Ridge: noise of a reward by the variance that prompts make, σ²/τ²; what the search for the best one starts from.
    pub ridge: f64,
    /// ρ, how much of what a prompt makes is expected to be common to all routes of a decision.
    pub sharing: f64,
    /// γ per observation of a route: 1 never forgets, 0.999 halves the weight in about 700.
    pub forgetting: f64,
    /// At most one streamed snapshot per this many milliseconds.
    pub publish_ms: u64,
    /// Seconds between batch rebuilds from the replay log; `None` goes by `schedule.batch`.
    pub batch_seconds: Option<u64>,
}

impl LearnerConfig {
    pub(super) fn read(section: &Section) -> Self {
        const FEATURES: [(&str, bool); 2] = [("kernel", false), ("whole", true)];
        let learner = Self {
            dimensions: section.whole("dimensions", 8..=512, 64) as usize,
            whole_context: section.choice("features", &FEATURES, false),
            ridge: section.number("ridge", 1e-3..=1e4, 10.0),
            sharing: section.number("sharing", 0.0..=0.99, 0.5),
            forgetting: section.number("forgetting", 0.9..=1.0, 0.9998),
            publish_ms: section.whole("publish_ms", 50..=3_600_000, 1000).into(),
            batch_seconds: section
                .get("batch_seconds")
                .map(|_| section.whole("batch_seconds", 5..=604_800, 900).into()),
        };
        section.finish();
        learner
    }
}

/// What happens when a route answers 5xx or 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escalation {
    /// Whether the request goes on to the next best route.
    pub enabled: bool,
}

impl Escalation {
    pub(super) fn read(section: &Section) -> Self {
        let escalation = Self { enabled: section.switch("enabled", true) };
        section.finish();
        escalation
    }
}

/// Envoy's side: what its rendered configuration refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyConfig {
    /// Folder of the clusters and routes that Envoy watches and the sidecar keeps up to date, so that models come
    /// and go without a restart; `None` renders them into the one static file.
    pub live: Option<String>,
    /// Where Envoy finds `dragoman.wasm`.
    pub wasm: String,
    /// Certificates that `https` models are checked against.
    pub trusted_ca: String,
}

impl EnvoyConfig {
    pub(super) fn read(section: &Section) -> Self {
        let envoy = Self {
            live: section.text("live"),
            wasm: section.text_or("wasm", "dragoman.wasm"),
            trusted_ca: section.text_or("trusted_ca", "/etc/ssl/certs/ca-certificates.crt"),
        };
        if envoy.live.as_ref().is_some_and(|folder| !folder.starts_with('/')) {
            section.error("live", "must be a path from the root (/…): Envoy and the sidecar both go by it");
        }
        section.finish();
        envoy
    }
}

/// Whom the sidecar trusts when it asks over https: the judge, the webhook, a server of embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificates in PEM that are trusted beside those of the system.
    pub ca_file: Option<String>,
}

impl Tls {
    pub(super) fn read(section: &Section) -> Self {
        let tls = Self { ca_file: section.text("ca_file") };
        section.finish();
        tls
    }
}

/// When the sidecar reads `dragoman.yaml` again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Seconds between looks at the file; 0 never looks.
    pub watch_seconds: u64,
}

impl Reload {
    pub(super) fn read(section: &Section) -> Self {
        let reload = Self { watch_seconds: section.whole("watch_seconds", 0..=3600, 1).into() };
        section.finish();
        reload
    }
}

/// The filter's outbox of replay records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayConfig {
    /// Records a worker holds while the sidecar is away; more are dropped and counted.
    pub queue: u32,
    /// Records in one call to the sidecar.
    pub batch: u32,
    /// Milliseconds between flushes.
    pub flush_ms: u32,
}

impl ReplayConfig {
    pub(super) fn read(section: &Section) -> Self {
        let replay = Self {
            queue: section.whole("queue", 1..=100_000, 2048),
            batch: section.whole("batch", 1..=10_000, 256),
            flush_ms: section.whole("flush_ms", 10..=60_000, 200),
        };
        section.finish();
        replay
    }
}
