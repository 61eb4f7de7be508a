//! The gateway's routes: from the headers that the filter sets to a cluster.

use dragoman_core::config::Config;
use dragoman_core::request::Api;
use serde_json::{Map, Value, json};

use super::{GATEWAY, TIMEOUT, typed};

const APIS: [Api; 4] = [Api::ChatCompletions, Api::Completions, Api::Responses, Api::Messages];

/// The whole table: to the models of `config`, and to clusters that are `leaving` but may still be asked for.
pub(super) fn all(config: &Config, leaving: &[&str]) -> Value {
    let default = config.routing.models.get(config.routing.default_model).map_or("", |m| m.name.as_str());
    let mut routes: Vec<Value> = APIS.iter().map(|api| routed(*api, config, default, leaving)).collect();
    routes.push(json!({
        "match": {"prefix": "/"},
        "route": {"cluster": default, "timeout": TIMEOUT, "auto_host_rewrite": true},
    }));
    json!({"virtual_hosts": [{
        "name": GATEWAY,
        "domains": ["*"],
        "include_request_attempt_count": true,
        "include_attempt_count_in_response": true,
        "routes": routes,
    }]})
}

/// The route of one request format: goes where the filter says, else to the default cluster.
fn routed(api: Api, config: &Config, default: &str, leaving: &[&str]) -> Value {
    let mut action = json!({
        "timeout": TIMEOUT,
        "auto_host_rewrite": true,
        "inline_cluster_specifier_plugin": {"extension": {
            "name": "envoy.router.cluster_specifier_plugin.matcher",
            "typed_config": typed(
                "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
                json!({"cluster_matcher": matcher(config, default, leaving)}),
            ),
        }},
    });
    if config.escalation.enabled {
        action["retry_policy"] = json!({
            "retry_on": "5xx,retriable-status-codes",
            "retriable_status_codes": [429],
            "num_retries": 1,
            "refresh_cluster_on_retry": true,
        });
    }
    json!({"match": {"path": api.path()}, "route": action})
}

/// First attempt: by `x-vsr-cluster`. When a retry picks again the attempt count still reads "1" (on a first
/// attempt it is absent): then by `x-vsr-fallback` (FACTS.md).
fn matcher(config: &Config, default: &str, leaving: &[&str]) -> Value {
    let by_cluster = json!({
        "matcher_tree": tree("x-vsr-cluster", clusters(config, leaving)),
        "on_no_match": to_cluster(default),
    });
    if !config.escalation.enabled {
        return by_cluster;
    }
    let by_fallback = json!({"matcher": {
        "matcher_tree": tree("x-vsr-fallback", clusters(config, leaving)),
        "on_no_match": {"matcher": by_cluster.clone()},
    }});
    let retried = Map::from_iter([("1".to_owned(), by_fallback)]);
    json!({
        "matcher_tree": tree("x-envoy-attempt-count", retried),
        "on_no_match": {"matcher": by_cluster},
    })
}

fn tree(header: &str, map: Map<String, Value>) -> Value {
    json!({
        "input": {
            "name": header,
            "typed_config": typed(
                "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                json!({"header_name": header}),
            ),
        },
        "exact_match_map": {"map": map},
    })
}

fn clusters(config: &Config, leaving: &[&str]) -> Map<String, Value> {
    let names = config.routing.models.iter().map(|m| m.name.as_str()).chain(leaving.iter().copied());
    names.map(|name| (name.to_owned(), to_cluster(name))).collect()
}

fn to_cluster(cluster: &str) -> Value {
    json!({"action": {
        "name": cluster,
        "typed_config": typed(
            "envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction",
            json!({"cluster": cluster}),
        ),
    }})
}
