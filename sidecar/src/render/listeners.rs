//! The gateway (clients) and the push listener (the sidecar).

use dragoman_core::config::Config;
use dragoman_core::request::Api;
use dragoman_core::snapshot::MAX_BYTES;
use serde_json::{Map, Value, json};

use super::{RenderOptions, address, plugins, typed};

const APIS: [Api; 4] = [Api::ChatCompletions, Api::Completions, Api::Responses, Api::Messages];

/// A model may think for a long time before its first byte.
const TIMEOUT: &str = "600s";

/// The listener for clients.
pub(super) fn gateway(config: &Config, options: &RenderOptions) -> Value {
    let default = config.routing.models.get(config.routing.default_model).map_or("", |m| m.name.as_str());
    let mut routes: Vec<Value> = APIS.iter().map(|api| routed(*api, config, default)).collect();
    routes.push(json!({
        "match": {"prefix": "/"},
        "route": {"cluster": default, "timeout": TIMEOUT, "auto_host_rewrite": true},
    }));
    let manager = json!({
        "stat_prefix": "gateway",
        "use_remote_address": true,
        "stream_idle_timeout": TIMEOUT,
        "access_log": [access_log()],
        "early_header_mutation_extensions": [early_mutation()],
        "route_config": {"virtual_hosts": [{
            "name": "gateway",
            "domains": ["*"],
            "include_request_attempt_count": true,
            "include_attempt_count_in_response": true,
            "routes": routes,
        }]},
        "http_filters": [plugins::route(config, options), router()],
    });
    // Twice the largest body: the original and the rewritten one.
    listener("gateway", config.listen.gateway, 2 * u64::from(config.requests.max_body_bytes), manager)
}

/// The listener for snapshots; keep it on loopback.
pub(super) fn push(config: &Config, options: &RenderOptions) -> Value {
    let manager = json!({
        "stat_prefix": "push",
        "route_config": {"virtual_hosts": [{
            "name": "push",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 404}}],
        }]},
        "http_filters": [plugins::push(options), router()],
    });
    listener("push", config.listen.push, MAX_BYTES as u64 + 1024, manager)
}

fn listener(name: &str, at: std::net::SocketAddr, buffer: u64, manager: Value) -> Value {
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "name": name,
        "address": address(at),
        // Above the largest body there is: a smaller limit answers 413 (FACTS.md).
        "per_connection_buffer_limit_bytes": buffer,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": typed(kind, manager),
        }]}],
    })
}

/// The route of one request format: goes where the filter says, else to the default cluster.
fn routed(api: Api, config: &Config, default: &str) -> Value {
    let mut action = json!({
        "timeout": TIMEOUT,
        "auto_host_rewrite": true,
        "inline_cluster_specifier_plugin": {"extension": {
            "name": "envoy.router.cluster_specifier_plugin.matcher",
            "typed_config": typed(
                "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
                json!({"cluster_matcher": matcher(config, default)}),
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
fn matcher(config: &Config, default: &str) -> Value {
    let by_cluster = json!({
        "matcher_tree": tree("x-vsr-cluster", clusters(config)),
        "on_no_match": to_cluster(default),
    });
    if !config.escalation.enabled {
        return by_cluster;
    }
    let by_fallback = json!({"matcher": {
        "matcher_tree": tree("x-vsr-fallback", clusters(config)),
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

fn clusters(config: &Config) -> Map<String, Value> {
    config.routing.models.iter().map(|m| (m.name.clone(), to_cluster(&m.name))).collect()
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

/// No client may steer: `x-vsr-*` is ours and `x-envoy-*` Envoy's.
fn early_mutation() -> Value {
    let remove = |prefix: &str| json!({"remove_on_match": {"key_matcher": {"prefix": prefix}}});
    json!({
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": typed(
            "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            json!({"mutations": [remove("x-vsr-"), remove("x-envoy-")]}),
        ),
    })
}

/// One line a request: where it went and how long it took, never what was asked.
fn access_log() -> Value {
    let format = json!({
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "ms": "%DURATION%",
        "replay_id": "%RESP(X-VSR-REPLAY-ID)%",
    });
    json!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": typed(
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            json!({"log_format": {"json_format": format}}),
        ),
    })
}

fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": typed("envoy.extensions.filters.http.router.v3.Router", json!({})),
    })
}
