//! The filter's places in Envoy's configuration. All share one `vm_id`, so V8 compiles the module once and the
//! snapshot in shared data is seen by all.

use dragoman_core::config::{
    Config, EncoderConfig, EncoderMode, EncoderRole, FilterConfig, RemoteEncoder, RouteRole,
};
use serde_json::{Value, json};

use super::{ENCODER, RenderOptions, SIDECAR, typed};

/// In the gateway's filter chain.
pub(super) fn route(config: &Config, options: &RenderOptions) -> Value {
    let default = config.routing.models.get(config.routing.default_model);
    let role = FilterConfig::Route(RouteRole {
        sidecar: SIDECAR.into(),
        sidecar_token: options.sidecar_token.clone(),
        default_cluster: default.map(|m| m.name.clone()).unwrap_or_default(),
        default_model: default.map(|m| m.upstream_model.clone()).unwrap_or_default(),
        max_body_bytes: config.requests.max_body_bytes as usize,
        encoder: encoder(&config.encoder, options),
        session_headers: config.requests.session_headers.clone(),
        replay: config.replay,
        escalation: config.escalation.enabled,
    });
    http_filter("route", &role, options)
}

fn encoder(config: &EncoderConfig, options: &RenderOptions) -> EncoderRole {
    let remote = |cluster: &str, authority: String, model: &str, packed| RemoteEncoder {
        cluster: cluster.to_owned(),
        authority,
        model: model.to_owned(),
        packed,
        deadline_ms: config.deadline_ms,
        token: options.sidecar_token.clone().filter(|_| cluster == SIDECAR),
    };
    let remote = match &config.mode {
        EncoderMode::Local => None,
        EncoderMode::Sidecar => Some(remote(SIDECAR, "dragoman".into(), "dragoman", true)),
        // Not every server knows base64.
        EncoderMode::Endpoint(at) => Some(remote(ENCODER, at.home.authority(), &at.model, false)),
    };
    EncoderRole { max_tokens: config.max_tokens as usize, cache: config.cache, remote }
}

/// In the push listener's filter chain.
pub(super) fn push(options: &RenderOptions) -> Value {
    let RenderOptions { public_key, sidecar_token, .. } = options.clone();
    let role = FilterConfig::Push { public_key, sidecar: SIDECAR.to_owned(), sidecar_token };
    http_filter("push", &role, options)
}

fn http_filter(root: &str, role: &FilterConfig, options: &RenderOptions) -> Value {
    let wasm = json!({"config": plugin(root, role, options)});
    json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": typed("envoy.extensions.filters.http.wasm.v3.Wasm", wasm),
    })
}

fn plugin(root: &str, role: &FilterConfig, options: &RenderOptions) -> Value {
    // The roles are plain data: they always have a JSON form.
    let configuration = serde_json::to_string(role).unwrap_or_default();
    json!({
        "name": format!("dragoman.{root}"),
        "root_id": root,
        // A trap costs the requests of one back-off, not the filter: the next request gets a new VM.
        "failure_policy": "FAIL_RELOAD",
        "reload_config": {"backoff": {"base_interval": "0.1s", "max_interval": "5s"}},
        // Without it a Pause in the headers never sees the body (FACTS.md).
        "allow_on_headers_stop_iteration": true,
        "configuration": typed("google.protobuf.StringValue", json!({"value": configuration})),
        "vm_config": {
            "vm_id": "dragoman",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": options.wasm.display().to_string()}},
        },
    })
}
