//! `dragoman render envoy`: a complete Envoy bootstrap from `dragoman.yaml`; with `envoy.live`, the clusters and
//! routes beside it, as files that Envoy watches.
//!
//! This room owns the shape of Envoy's configuration (v3 API, Envoy 1.40). It is a pure function of its
//! arguments; it must not read files or the environment. API keys are named, never written: Envoy reads them from
//! its own environment.

mod clusters;
mod listeners;
pub mod live;
mod plugins;
mod rename;
mod routes;

use std::path::PathBuf;

use dragoman_core::config::{Config, EnvoyConfig, PublicKey};
use serde_json::{Value, json};

/// What rendering needs beside the configuration.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Where Envoy finds `dragoman.wasm`.
    pub wasm: PathBuf,
    /// Whose signature the filter accepts snapshots from.
    pub public_key: PublicKey,
    /// Certificates that `https` models are checked against.
    pub trusted_ca: PathBuf,
    /// What the sidecar knows the filters by, if it asks for tokens.
    pub sidecar_token: Option<String>,
}

/// Envoy's cluster of the sidecar.
const SIDECAR: &str = "dragoman_sidecar";

/// Envoy's cluster of `encoder.endpoint`.
const ENCODER: &str = "dragoman_encoder";

/// The listener for clients, and its routes.
pub(crate) const GATEWAY: &str = "gateway";

/// A model may think for a long time before its first byte.
const TIMEOUT: &str = "600s";

// === impl RenderOptions ===

impl RenderOptions {
    /// As the configuration says.
    pub fn of(config: &Config, public_key: PublicKey) -> Self {
        let EnvoyConfig { wasm, trusted_ca, .. } = &config.envoy;
        Self { wasm: wasm.into(), public_key, trusted_ca: trusted_ca.into(), sidecar_token: None }
    }
}

/// The bootstrap as YAML.
pub fn envoy(config: &Config, options: &RenderOptions) -> String {
    let head = "# Written by `dragoman render envoy`: change dragoman.yaml instead and render again.\n";
    // A JSON value of texts, numbers and mappings always has a YAML form.
    head.to_owned() + &serde_yaml_ng::to_string(&bootstrap(config, options)).unwrap_or_default()
}

fn bootstrap(config: &Config, options: &RenderOptions) -> Value {
    let models = if config.envoy.live.is_none() { clusters::models(config, options) } else { vec![] };
    let own =
        [clusters::sidecar(config.listen.sidecar)].into_iter().chain(clusters::encoder(config, options));
    let clusters: Vec<Value> = models.into_iter().chain(own).collect();
    let mut bootstrap = json!({
        "admin": {"address": address(config.listen.admin)},
        // Starting takes memory that is not needed again, most of it copies of the filter. Envoy's allocator keeps it
        // (27 MB) unless told to give it back.
        "memory_allocator_manager": {"bytes_to_release": 16 << 20, "memory_release_interval": "1s"},
        "static_resources": {
            "listeners": [listeners::gateway(config, options), listeners::push(config, options)],
            "clusters": clusters,
        },
    });
    if let Some(folder) = &config.envoy.live {
        // Envoy wants a name before it takes anything that changes.
        bootstrap["node"] = json!({"id": "dragoman", "cluster": "dragoman"});
        bootstrap["dynamic_resources"] = json!({"cds_config": live::watched(folder, live::CLUSTERS)});
    }
    bootstrap
}

/// A message of this type.
fn typed(name: &str, mut fields: Value) -> Value {
    if let Some(map) = fields.as_object_mut() {
        map.insert("@type".into(), format!("type.googleapis.com/{name}").into());
    }
    fields
}

fn address(address: std::net::SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

#[cfg(test)]
mod tests;
