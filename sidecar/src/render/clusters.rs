//! One cluster a model, the sidecar's, and that of the embeddings' server.

use std::net::{IpAddr, SocketAddr};

use dragoman_core::config::{ApiKey, Config, EncoderEndpoint, EncoderMode, Endpoint, Model, Scheme};
use serde_json::{Value, json};

use super::{ENCODER, RenderOptions, SIDECAR, address, rename, typed};

pub(super) fn models(config: &Config, options: &RenderOptions) -> Vec<Value> {
    let models = config.routing.models.iter().zip(&config.upstreams);
    models.map(|(m, e)| model(m, e, config, options)).collect()
}

fn model(model: &Model, endpoint: &Endpoint, config: &Config, options: &RenderOptions) -> Value {
    let mut filters = Vec::new();
    if config.escalation.enabled {
        filters.push(rename::filter(&model.upstream_model));
    }
    filters.push(upstream_headers(endpoint.api_key.as_ref(), config));
    let mut cluster = cluster(&model.name, endpoint, filters, options);
    cluster["per_connection_buffer_limit_bytes"] = (2 * u64::from(config.requests.max_body_bytes)).into();
    cluster
}

/// The server of embeddings, if there is one beside the sidecar.
pub(super) fn encoder(config: &Config, options: &RenderOptions) -> Option<Value> {
    let EncoderMode::Endpoint(EncoderEndpoint { home, .. }) = &config.encoder.mode else { return None };
    let filters = home.api_key.as_ref().map(|key| header_mutation(vec![add_key(key)]));
    Some(cluster(ENCODER, home, filters.into_iter().collect(), options))
}

fn cluster(name: &str, endpoint: &Endpoint, filters: Vec<Value>, options: &RenderOptions) -> Value {
    let ip = endpoint.host.parse::<IpAddr>().ok();
    let mut cluster = json!({
        "name": name,
        "type": if ip.is_some() { "STATIC" } else { "LOGICAL_DNS" },
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
            "hostname": endpoint.host,
            "address": {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}},
        }}]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol(endpoint.scheme, filters),
        },
    });
    if endpoint.scheme == Scheme::Https {
        cluster["transport_socket"] = tls(&endpoint.host, options);
    }
    cluster
}

fn protocol(scheme: Scheme, mut filters: Vec<Value>) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": typed("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec", json!({})),
    }));
    let version = match scheme {
        Scheme::Http => json!({"explicit_http_config": {"http_protocol_options": {}}}),
        Scheme::Https => {
            json!({"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}})
        }
    };
    let mut options = typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", version);
    options["http_filters"] = filters.into();
    options
}

/// What a provider sees: its own key and nobody else's.
///
/// A retry goes out with the headers as the first attempt left them, so the first upstream's key must be taken out
/// before the second's is put in; and `x-vsr-fallback` must stay until the retry has picked by it.
fn upstream_headers(key: Option<&ApiKey>, config: &Config) -> Value {
    let mut foreign: Vec<&str> =
        config.upstreams.iter().filter_map(|e| Some(e.api_key.as_ref()?.header.as_str())).collect();
    foreign.sort_unstable();
    foreign.dedup();
    foreign.push("x-vsr-cluster");
    let removed = foreign.iter().map(|header| json!({"remove": header}));
    header_mutation(removed.chain(key.map(add_key)).collect())
}

fn add_key(ApiKey { header, prefix, env }: &ApiKey) -> Value {
    json!({"append": {
        "header": {"key": header, "value": format!("{prefix}%ENVIRONMENT({env})%")},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }})
}

fn header_mutation(mutations: Vec<Value>) -> Value {
    json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": typed(
            "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            json!({"mutations": {"request_mutations": mutations}}),
        ),
    })
}

fn tls(host: &str, options: &RenderOptions) -> Value {
    let context = json!({
        "sni": host,
        "common_tls_context": {"validation_context": {
            "trusted_ca": {"filename": options.trusted_ca.display().to_string()},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
        }},
    });
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", context),
    })
}

pub(super) fn sidecar(listen: SocketAddr) -> Value {
    // A sidecar that listens on every address is reached on this host.
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    json!({
        "name": SIDECAR,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": SIDECAR, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(SocketAddr::new(ip, listen.port()))}},
        ]}]},
    })
}
