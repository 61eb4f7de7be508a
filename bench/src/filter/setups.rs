//! The two setups side by side, and what they share: one instant upstream.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use dragoman_bench_decide::{kernel_features, with_routes};
use dragoman_core::policy::Features;
use dragoman_wasm_tests::system::{Plan, System, sign, workspace};
use serde_json::json;

use super::bare::Bare;
use super::projection;
use super::records::Records;
use crate::prompts::Prompts;
use crate::{Outcome, http};

/// Where the shipped encoder lies.
const ENCODER: &str = "models/dragoman-small";

/// The default of `learner.dimensions`.
const DIMENSIONS: usize = 64;

/// The only answer.
const ANSWER: &str = concat!(
    r#"{"id":"bench","object":"chat.completion","created":1700000000,"model":"bench","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"A short answer."},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":16,"completion_tokens":4,"total_tokens":20}}"#,
);

/// Everything that runs.
pub(super) struct Setups {
    pub(super) bare: Bare,
    pub(super) filter: System,
    pub(super) records: Records,
    pub(super) prompts: Prompts,
    features: Features,
    version: u64,
}

impl Setups {
    /// Prepares both and starts the filter's Envoy a first time, which also fills the page cache.
    pub(super) fn new() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free loopback port: {e}"))?;
        let endpoint = listener.local_addr().map(|at| format!("http://{at}")).map_err(|e| e.to_string())?;
        http::serve(listener, |_, _| ("200 OK", ANSWER));
        let model = json!({"endpoint": endpoint, "price": {"input": 0.1, "output": 0.4}});
        let filter = Plan::default()
            .workers(1)
            .set("models", json!({"a": model, "b": model, "c": model}))
            .set("default_model", json!("a"))
            // Its prompts come again and again; what a new one costs is to be seen.
            .set("encoder", json!({"cache": 0}))
            .start();
        let records = Records::collect(filter.listen.sidecar)?;
        let path = filter.envoy_config_path();
        let rendered =
            std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let projection = projection::load(&workspace(ENCODER).join("projection.safetensors"))?;
        Ok(Self {
            bare: Bare::new(&rendered)?,
            prompts: Prompts::load(&workspace(ENCODER).join("tokenizer.json"))?,
            features: kernel_features(&projection, DIMENSIONS).ok_or("there are no features")?,
            filter,
            records,
            version: 0,
        })
    }

    /// Starts the filter's Envoy again; how long it took to be ready.
    pub(super) fn restart_filter(&mut self) -> Duration {
        self.filter.kill_envoy();
        let start = Instant::now();
        self.filter.start_envoy().duration_since(start)
    }

    /// Pushes a new snapshot of this many routes: its size in bytes, and the time until the acknowledgement.
    pub(super) fn push(&mut self, routes: usize) -> Outcome<(usize, Duration)> {
        self.version += 1;
        let routing = self.filter.config().routing;
        let snapshot = with_routes(&routing, &self.features, routes, self.version)?;
        let blob = sign(&self.filter, &snapshot);
        let start = Instant::now();
        let reply = self.filter.push(&blob);
        let took = start.elapsed();
        match reply.status {
            200 => Ok((blob.len(), took)),
            status => Err(format!("the filter refuses the snapshot with {status}: {}", reply.text())),
        }
    }
}
