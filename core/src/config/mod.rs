//! Configuration: one document in, valid values or *all* its errors out.
//!
//! This room owns the meaning of `dragoman.yaml` (the YAML itself is read at the edge; here it is already a JSON
//! value). A value is refused once, here, in a sentence with its path; everything behind it may trust it. It must
//! not know files, environment variables or Envoy.
#![deny(clippy::indexing_slicing)]

mod access;
mod condition;
mod encoder;
mod filter;
mod guard;
mod judge;
mod model;
mod optimizer;
mod policy;
mod privacy;
mod reward;
mod routing;
mod schedule;
mod section;
mod server;
mod signals;
mod sticky;

use std::fmt;

use serde_json::Value;

pub use access::Access;
pub use condition::{Condition, SignalName};
pub use encoder::{EncoderConfig, EncoderEndpoint, EncoderMode};
pub use filter::{EncoderRole, FilterConfig, PublicKey, RemoteEncoder, RouteRole};
pub use guard::{AlertsConfig, CanaryMode, GuardConfig, Limits, Widen};
pub use judge::{Judge, Sampling};
pub use model::{ApiKey, Endpoint, Model, Price, Scheme};
pub use optimizer::{Bounds, OptimizerConfig};
pub use policy::{PolicyKind, PolicyOverride, PolicyParams};
pub use privacy::{Privacy, StorePrompts};
pub use reward::RewardConfig;
pub use routing::{DecisionRule, Route, Routing, StickyOverride};
pub use schedule::{Retention, Schedule};
pub use server::{EnvoyConfig, Escalation, LearnerConfig, Listen, Reload, ReplayConfig, RequestsConfig, Tls};
pub use sticky::Sticky;

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
    /// Who scores a share of the answers, if anybody does.
    pub judge: Option<Judge>,
    /// The learner's constants and schedule.
    pub learner: LearnerConfig,
    /// What happens when a route fails.
    pub escalation: Escalation,
    /// Which encoder, where it runs, and its cap.
    pub encoder: EncoderConfig,
    /// What Envoy's rendered configuration refers to.
    pub envoy: EnvoyConfig,
    /// Whom the sidecar itself trusts.
    pub tls: Tls,
    /// When the document is read again.
    pub reload: Reload,
    /// Rollouts of new snapshots.
    pub guard: GuardConfig,
    /// When people are told, and where.
    pub alerts: AlertsConfig,
    /// Who may ask the sidecar what.
    pub access: Access,
    /// What is done by the clock.
    pub schedule: Schedule,
    /// How long the log is kept.
    pub retention: Retention,
    /// The signal optimizer's limits.
    pub optimizer: OptimizerConfig,
}

impl Config {
    /// Checks a whole document. On failure every error is reported, each with its path.
    pub fn from_value(document: &Value) -> Result<Self, ConfigErrors> {
        let errors = Errors::default();
        let root = Section::root(document, &errors);
        let (models, upstreams) = model::read_models(&root);
        let (judge, sampling) = judge::read(&root);
        let listen = Listen::read(&root.section("listen"));
        let access = Access::read(&root.section("access"), listen.sidecar);
        let config = Self {
            listen,
            access,
            data_dir: root.text_or("data_dir", "dragoman-data"),
            routing: Routing { sampling, ..Routing::read(&root, models) },
            upstreams,
            requests: RequestsConfig::read(&root.section("requests")),
            replay: ReplayConfig::read(&root.section("replay")),
            reward: RewardConfig::read(&root.section("reward")),
            judge,
            learner: LearnerConfig::read(&root.section("learner")),
            escalation: Escalation::read(&root.section("escalation")),
            encoder: EncoderConfig::read(&root.section("encoder")),
            envoy: EnvoyConfig::read(&root.section("envoy")),
            tls: Tls::read(&root.section("tls")),
            reload: Reload::read(&root.section("reload")),
            guard: GuardConfig::read(&root.section("guard")),
            alerts: AlertsConfig::read(&root.section("alerts")),
            schedule: Schedule::read(&root.section("schedule")),
            retention: Retention::read(&root.section("retention")),
            optimizer: OptimizerConfig::read(&root.section("optimizer")),
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
