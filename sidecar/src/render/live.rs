//! The files of `envoy.live`: what Envoy watches instead of being restarted (xDS from the file system).
//!
//! Envoy reads a file again when another is renamed over it, and reports the `version_info` it has taken.

use std::hash::{DefaultHasher, Hash, Hasher};

use dragoman_core::config::Config;
use serde_json::{Value, json};

use super::{GATEWAY, RenderOptions, clusters, routes, typed};

/// The file of one cluster per model.
pub(super) const CLUSTERS: &str = "clusters.json";
/// The file of the gateway's routes.
pub(super) const ROUTES: &str = "routes.json";
/// Both, in the order of [`files`].
pub const FILES: [&str; 2] = [CLUSTERS, ROUTES];

/// One file: its name within the folder, its text, and the version that Envoy will report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Its `version_info`: of the same content always the same.
    pub version: String,
}

/// Both files: the models of `config`, and the clusters that are `leaving` as an earlier file has them.
pub fn files(config: &Config, options: &RenderOptions, leaving: &[Value]) -> [File; 2] {
    let names: Vec<&str> = leaving.iter().filter_map(name).collect();
    let models = clusters::models(config, options).into_iter();
    let mut table = routes::all(config, &names);
    table["name"] = GATEWAY.into();
    let models = models.map(|cluster| typed("envoy.config.cluster.v3.Cluster", cluster));
    [
        file(CLUSTERS, models.chain(leaving.iter().cloned()).collect()),
        file(ROUTES, vec![typed("envoy.config.route.v3.RouteConfiguration", table)]),
    ]
}

/// The clusters of an earlier file that `config` does not have any more.
pub fn leaving(earlier: &str, config: &Config) -> Vec<Value> {
    let models = &config.routing.models;
    let gone = |cluster: &Value| name(cluster).is_some_and(|n| !models.iter().any(|m| m.name == n));
    let document: Value = serde_json::from_str(earlier).unwrap_or_default();
    document["resources"].as_array().into_iter().flatten().filter(|c| gone(c)).cloned().collect()
}

fn name(cluster: &Value) -> Option<&str> {
    cluster["name"].as_str()
}

fn file(name: &'static str, resources: Vec<Value>) -> File {
    let mut hasher = DefaultHasher::new();
    for resource in &resources {
        resource.to_string().hash(&mut hasher);
    }
    let version = format!("{:016x}", hasher.finish());
    let document = json!({"version_info": version, "resources": resources});
    File { name, text: format!("{document:#}\n"), version }
}

/// Where Envoy finds a file of the folder.
pub(super) fn watched(folder: &str, file: &str) -> Value {
    json!({"resource_api_version": "V3", "path_config_source": {"path": format!("{folder}/{file}")}})
}
