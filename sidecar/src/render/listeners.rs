//! The gateway (clients) and the push listener (the sidecar).

use dragoman_core::config::Config;
use dragoman_core::snapshot::MAX_BYTES;
use serde_json::{Value, json};

use super::{GATEWAY, RenderOptions, TIMEOUT, address, live, plugins, routes, typed};

/// The listener for clients.
pub(super) fn gateway(config: &Config, options: &RenderOptions) -> Value {
    let (key, table) = match &config.envoy.live {
        None => ("route_config", routes::all(config, &[])),
        Some(folder) => {
            let source = live::watched(folder, live::ROUTES);
            ("rds", json!({"route_config_name": GATEWAY, "config_source": source}))
        }
    };
    let manager = json!({
        "stat_prefix": GATEWAY,
        "use_remote_address": true,
        "stream_idle_timeout": TIMEOUT,
        "access_log": [access_log()],
        "early_header_mutation_extensions": [early_mutation()],
        key: table,
        "http_filters": [plugins::route(config, options), router()],
    });
    // Twice the largest body: the original and the rewritten one.
    listener(GATEWAY, config.listen.gateway, 2 * u64::from(config.requests.max_body_bytes), manager)
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
