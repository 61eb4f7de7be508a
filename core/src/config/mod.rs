//! Configuration: one document in, valid values or *all* its errors out.
//!
//! This room owns the meaning of `dragoman.yaml` (the YAML itself is read at the edge; here it is already a JSON
//! value). A value is refused once, here, in a sentence with its path; everything behind it may trust it. It must
//! not know files, environment variables or Envoy.
#![deny(clippy::indexing_slicing)]

mod condition;
mod encoder;
mod filter;
mod model;
mod policy;
mod routing;
mod section;
mod server;
mod signals;

use std::fmt;

use serde_json::Value;

pub use condition::{Condition, SignalName};
pub use encoder::{EncoderConfig, EncoderEndpoint, EncoderMode};
pub use filter::{EncoderRole, FilterConfig, PublicKey, RemoteEncoder, RouteRole};
pub use model::{ApiKey, Endpoint, Model, Price, Scheme};
pub use policy::{PolicyKind, PolicyOverride, PolicyParams};
pub use routing::{DecisionRule, Route, Routing, StickyOverride};
pub use server::{
    EnvoyConfig, Escalation, LearnerConfig, Listen, Privacy, Reload, ReplayConfig, RequestsConfig,
    RewardConfig,
};

use section::{Errors, Section};

/// All of `dragoman.yaml`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Addresses of Envoy's listeners and of the sidecar.
    pub listen: Listen,
    /// Where the replay log, the signing key and the snapshots live.
    pub data_dir: String,
    /// What the filter needs; travels inside the snapshot.
    pub routing: Routing,
    /// The upstream of each of `routing.models`, by the same index.
    pub upstreams: Vec<Endpoint>,
    /// Which requests are read, and how much of them.
    pub requests: RequestsConfig,
    /// The filter's outbox of replay records.
    pub replay: ReplayConfig,
    /// The reward's weights and constants.
    pub reward: RewardConfig,
    /// The learner's constants and schedule.
    pub learner: LearnerConfig,
    /// What happens when a route fails.
    pub escalation: Escalation,
    /// Which encoder, where it runs, and its cap.
    pub encoder: EncoderConfig,
    /// What Envoy's rendered configuration refers to.
    pub envoy: EnvoyConfig,
    /// When the document is read again.
    pub reload: Reload,
}

impl Config {
    /// Checks a whole document. On failure every error is reported, each with its path.
    pub fn from_value(document: &Value) -> Result<Self, ConfigErrors> {
        let errors = Errors::default();
        let root = Section::root(document, &errors);
        let (models, upstreams) = model::read_models(&root);
        let config = Self {
            listen: Listen::read(&root.section("listen")),
            data_dir: root.text_or("data_dir", "dragoman-data"),
            routing: Routing::read(&root, models),
            upstreams,
            requests: RequestsConfig::read(&root.section("requests")),
            replay: ReplayConfig::read(&root.section("replay")),
            reward: RewardConfig::read(&root.section("reward")),
            learner: LearnerConfig::read(&root.section("learner")),
            escalation: Escalation::read(&root.section("escalation")),
            encoder: EncoderConfig::read(&root.section("encoder")),
            envoy: EnvoyConfig::read(&root.section("envoy")),
            reload: Reload::read(&root.section("reload")),
        };
        root.finish();
        match errors.take() {
            list if list.is_empty() => Ok(config),
            list => Err(ConfigErrors(list)),
        }
    }
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, such as `models.small.price.input`.
    pub path: String,
    /// What is wrong and what would be right, a sentence without the path.
    pub message: String,
}

/// Everything wrong with a configuration, in document order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "{count} error{} in the configuration:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|e| writeln!(f, "  {}: {}", e.path, e.message))
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests;
