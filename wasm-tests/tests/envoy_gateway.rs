//! The shipped filter in a real Envoy, with no sidecar at all: the tests push the snapshots themselves. So every
//! case also shows that traffic does not need the sidecar.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dragoman_demo::sim::{Control, Latency, ModelConfig};
use dragoman_wasm_tests::cases::{Case, run};
use dragoman_wasm_tests::system::*;
use serde_json::json;

const WORKERS: u32 = 2;
const KEY_B: &str = "authorization: Bearer key-of-b";
const KEY_C: &str = "x-api-key: key-of-c";

fn main() {
    // Slow enough to see each event of a stream arrive by itself.
    let models = ["a", "b", "c", "of-a-longer-name"].map(|name| ModelConfig {
        latency_ms: Latency { first: 5.0, per_token: 3.0 },
        ..ModelConfig::named(name)
    });
    let mut models = models.to_vec();
    models[1].api_key_header = Some(KEY_B.into());
    models[2].api_key_header = Some(KEY_C.into());
    let plan =
        Plan::default().models(models).workers(WORKERS).set("requests", json!({"max_body_bytes": 4 << 20}));
    run(plan, CASES);
}

const CASES: &[Case] = &[
    ("before_any_snapshot_requests_go_to_the_default_model_under_its_name", before_any_snapshot),
    ("routing_follows_the_pushed_snapshot_on_every_worker", routing_follows),
    ("a_push_of_24_routes_is_in_use_everywhere_within_50_ms", push_is_fast),
    ("a_stream_arrives_event_by_event", stream_unbuffered),
    ("a_clients_own_headers_never_steer", clients_cannot_steer),
    ("header_bytes_that_are_not_utf8_pass", bytes_that_are_not_utf8),
    ("bad_bodies_go_to_the_default_route_unchanged", bad_bodies),
    ("a_body_of_ten_megabytes_passes_to_the_default_route", ten_megabytes),
    ("unknown_paths_and_methods_pass_untouched", unknown_paths),
    ("every_api_is_routed", every_api),
    ("a_failing_route_escalates_to_the_next_with_its_own_model_name", escalation),
    ("an_escalated_request_never_carries_the_first_models_key", keys_do_not_travel),
    ("a_stream_escalates_on_429_too", escalation_of_a_stream),
    ("without_another_model_a_failure_is_passed_on_once", no_fallback_no_retry),
    ("bad_snapshots_are_refused_and_routing_stays", bad_snapshots),
    ("the_filter_counts_what_it_does", statistics),
];

/// Versions only rise, so every case takes the next one.
fn next_version(system: &System) -> u64 {
    get(system.listen.push, "/").expect("the push listener answers").json()["version"].as_u64().unwrap_or(0)
        + 1
}

fn favour(system: &System, model: &str, then: &str) {
    let favour = Favour { model, then, dimensions: 1 };
    let snapshot = favouring(&system.config().routing, next_version(system), &favour);
    let reply = system.push(&sign(system, &snapshot));
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn selected(reply: &Reply) -> &str {
    reply.header("x-vsr-selected-model").unwrap_or("none")
}

/// Enough connections that every worker serves some.
fn models_seen(system: &System) -> BTreeSet<String> {
    (0..16).map(|_| selected(&chat(system.listen.gateway, "hello", &[])).to_owned()).collect()
}

fn last_model_name(system: &System, sim: &str) -> String {
    let stats = system.sims.stats();
    let last = stats.models[sim].last_request.as_ref().expect("the model was asked");
    last.body["model"].as_str().unwrap_or_default().to_owned()
}

fn before_any_snapshot(system: &System) {
    let reply = chat(system.listen.gateway, "hello", &[]);
    assert_eq!((reply.status, selected(&reply)), (200, "a"));
    assert!(reply.header("x-vsr-replay-id").is_some());
    assert_eq!(last_model_name(system, "a"), "a", "not the client's \"auto\"");
}

fn routing_follows(system: &System) {
    for model in ["b", "c", "a"] {
        favour(system, model, "b");
        assert_eq!(models_seen(system), BTreeSet::from([model.to_owned()]));
        assert_eq!(last_model_name(system, model), model);
    }
}

/// The time from the push to the first request that a worker decides by it, as a client sees it: the push, its
/// acknowledgement, and then every connection on every worker must be decided by the new snapshot.
fn push_is_fast(system: &System) {
    let mut config = system.config();
    let route = config.routing.routes[0].clone();
    let original = config.routing.routes.len();
    for i in original..24 {
        let mut extra = route.clone();
        extra.name = format!("extra/{i}");
        config.routing.routes.push(extra);
    }
    let mut times = Vec::new();
    for (i, model) in ["b", "c"].into_iter().cycle().take(10).enumerate() {
        let favour = Favour { model, then: "a", dimensions: 64 };
        let snapshot = favouring(&config.routing, next_version(system) + i as u64, &favour);
        let blob = sign(system, &snapshot);
        let start = Instant::now();
        assert_eq!(system.push(&blob).status, 200);
        times.push(start.elapsed());
        assert_eq!(models_seen(system), BTreeSet::from([model.to_owned()]), "after the acknowledgement");
    }
    times.sort();
    println!("push of 24 routes at k=64: median {:?}, worst {:?}", times[5], times[9]);
    assert!(times[5] < Duration::from_millis(50), "{times:?}");
}

fn stream_unbuffered(system: &System) {
    favour(system, "b", "a");
    let reply = stream_chat(system.listen.gateway, "tell me a story");
    assert_eq!((reply.status, selected(&reply)), (200, "b"));
    assert!(reply.text().trim_end().ends_with("data: [DONE]"));
    let (first, last) = (reply.arrivals[0], reply.arrivals[reply.arrivals.len() - 1]);
    assert!(reply.arrivals.len() > 10, "many chunks, not {}", reply.arrivals.len());
    assert!(last > first * 2, "spread over time, not {first:?} to {last:?}");
}

fn clients_cannot_steer(system: &System) {
    favour(system, "b", "a");
    let evil = [
        ("x-vsr-cluster", "c"),
        ("X-VSR-Fallback", "c"),
        ("x-vsr-model-at", "0-9"),
        ("x-envoy-attempt-count", "1"),
        ("x-envoy-max-retries", "9"),
        ("x-vsr-selected-model", "c"),
    ];
    for path in ["/v1/chat/completions", "/v1/models", "/v1/completions/"] {
        let before = system.hits();
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]}).to_string();
        send(system.listen.gateway, "POST", path, &evil, body.as_bytes()).expect("an answer");
        assert_eq!(before[2], system.hits()[2], "model c must not be reached by {path}");
    }
    let reply = chat(system.listen.gateway, "hello", &evil);
    assert_eq!(selected(&reply), "b");
    let stats = system.sims.stats();
    let upstream = &stats.models["b"].last_request.as_ref().expect("b was asked").headers;
    let leaked: Vec<_> = upstream.keys().filter(|name| name.starts_with("x-vsr-")).collect();
    assert_eq!(
        leaked,
        ["x-vsr-fallback", "x-vsr-model-at"],
        "a retry needs them; nothing else of ours reaches a provider"
    );
}

fn bytes_that_are_not_utf8(system: &System) {
    favour(system, "b", "a");
    let body = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in [&b"x-session-id: \xff\xfe\xe9"[..], b"x-other: caf\xe9", b"x-vsr-cluster: \xff"] {
        let request = [head.as_bytes(), header, b"\r\n\r\n", body.as_bytes()].concat();
        let reply = raw(system.listen.gateway, &request).expect("an answer");
        assert_eq!((reply.status, selected(&reply)), (200, "b"), "{header:?}");
    }
    let path = b"POST /v1/chat/completions\xff HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let status = raw(system.listen.gateway, path).map(|r| r.status);
    assert!(matches!(status, Ok(400..=499)), "Envoy or the model refuses the path: {status:?}");
    assert_eq!(selected(&chat(system.listen.gateway, "still alive", &[])), "b");
}

fn bad_bodies(system: &System) {
    favour(system, "b", "a");
    let bodies: [&[u8]; 7] = [
        b"",
        b"not json",
        b"{\"messages\":[",
        b"[]",
        b"{\"messages\":\"x\"}",
        b"{\"messages\":[]}",
        b"\xff\xfe\x00",
    ];
    for body in bodies {
        let before = system.hits();
        let reply = post(system.listen.gateway, "/v1/chat/completions", body);
        let shown = String::from_utf8_lossy(body);
        assert!((200..500).contains(&reply.status), "{shown:?} gives {}", reply.status);
        assert_eq!(selected(&reply), "a", "{shown:?} goes to the default model");
        assert_eq!(before[0].1 + 1, system.hits()[0].1, "{shown:?} reaches it once");
    }
    let log = system.log("envoy");
    assert!(log.contains("request to the default route: "), "the log says why");
    assert_eq!(selected(&chat(system.listen.gateway, "hello", &[])), "b", "and the next request is decided");
}

fn ten_megabytes(system: &System) {
    favour(system, "b", "a");
    let body =
        json!({"model": "a", "messages": [{"role": "user", "content": "x".repeat(10 << 20)}]}).to_string();
    let reply = post(system.listen.gateway, "/v1/chat/completions", body.as_bytes());
    assert!(reply.status == 413 || selected(&reply) == "a", "{} {}", reply.status, selected(&reply));
    // The same in chunks, its size unknown beforehand.
    let mut request =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in body.as_bytes().chunks(64 << 10) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let reply = raw(system.listen.gateway, &request).expect("an answer");
    assert!(reply.status == 413 || selected(&reply) == "a", "{} {}", reply.status, selected(&reply));
    assert_eq!(selected(&chat(system.listen.gateway, "hello", &[])), "b");
}

fn unknown_paths(system: &System) {
    favour(system, "b", "a");
    for (method, path) in [("GET", "/v1/models"), ("POST", "/v1/embeddings"), ("GET", "/v1/chat/completions")]
    {
        let reply = send(system.listen.gateway, method, path, &[], b"").expect("an answer");
        assert_eq!(reply.header("x-vsr-replay-id"), None, "{method} {path}");
        assert_ne!(reply.status, 503, "{method} {path} reaches the default model");
    }
}

fn every_api(system: &System) {
    favour(system, "c", "a");
    let bodies = [
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "hi"}]})),
        ("/v1/completions", json!({"prompt": "hi"})),
        ("/v1/responses", json!({"input": "hi"})),
        ("/v1/messages", json!({"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]})),
    ];
    for (path, body) in bodies {
        let reply = post_json(system.listen.gateway, path, &body);
        assert_eq!((reply.status, selected(&reply)), (200, "c"), "{path}: {}", reply.text());
        assert_eq!(last_model_name(system, "c"), "c", "{path}");
    }
}

fn control(system: &System, model: &str, change: Control) {
    system.sims.control(model, &change).expect("the model takes the change");
}

fn escalation(system: &System) {
    let text = "a text with a \"model\": \"x\" in it, and a long one ".repeat(20_000);
    let mut body = json!({"metadata": {"model": "inner"}, "messages": [{"role": "user", "content": text}]});
    for (first, second) in [("b", "c"), ("b", "of-a-longer-name"), ("of-a-longer-name", "b")] {
        favour(system, first, second);
        control(system, first, Control { error_rate: Some(1.0), ..Default::default() });
        let reply = post_json(system.listen.gateway, "/v1/chat/completions", &body);
        control(system, first, Control { error_rate: Some(0.0), ..Default::default() });
        assert_eq!((reply.status, selected(&reply)), (200, second), "{}", reply.text());
        assert_eq!(reply.header("x-envoy-attempt-count"), None, "the client does not notice");
        body["model"] = second.into();
        let stats = system.sims.stats();
        let asked = stats.models[second].last_request.as_ref().expect("it was asked");
        assert!(asked.body == body, "the body names the model that answers, and is otherwise what it was");
        assert!(asked.headers.keys().all(|name| !name.starts_with("x-vsr-")), "{:?}", asked.headers);
        // The next time the client names one.
        body["model"] = "auto".into();
    }
}

/// A retry goes out with the headers as the first attempt left them.
fn keys_do_not_travel(system: &System) {
    let seen = |model: &str| {
        let stats = system.sims.stats();
        let headers = stats.models[model].last_request.as_ref().expect("it was asked").headers.clone();
        (headers.get("authorization").cloned(), headers.get("x-api-key").cloned())
    };
    for (first, second) in [("b", "c"), ("c", "b"), ("b", "a")] {
        favour(system, first, second);
        control(system, first, Control { error_rate: Some(1.0), ..Default::default() });
        let reply = chat(system.listen.gateway, "hello", &[("authorization", "Bearer the-clients-own")]);
        control(system, first, Control { error_rate: Some(0.0), ..Default::default() });
        assert_eq!((reply.status, selected(&reply)), (200, second), "{}", reply.text());
        let expected = match second {
            "b" => (Some("Bearer key-of-b".to_owned()), None),
            "c" => (None, Some("key-of-c".to_owned())),
            _ => (None, None),
        };
        assert_eq!(seen(second), expected, "{first} then {second}");
    }
}

fn escalation_of_a_stream(system: &System) {
    favour(system, "b", "c");
    control(system, "b", Control { rate_limit_rate: Some(1.0), ..Default::default() });
    let reply = stream_chat(system.listen.gateway, "tell me a story");
    control(system, "b", Control { rate_limit_rate: Some(0.0), ..Default::default() });
    assert_eq!((reply.status, selected(&reply)), (200, "c"), "{}", reply.text());
    assert!(reply.arrivals.len() > 10, "still a stream");
    assert!(reply.text().trim_end().ends_with("data: [DONE]"));
}

fn no_fallback_no_retry(system: &System) {
    let mut config = system.config();
    let only_b = config.routing.routes.iter().position(|r| config.routing.models[r.model].name == "b");
    config.routing.decisions[0].routes = vec![only_b.expect("b has a route")];
    let snapshot =
        favouring(&config.routing, next_version(system), &Favour { model: "b", then: "b", dimensions: 1 });
    assert_eq!(system.push(&sign(system, &snapshot)).status, 200);
    control(system, "b", Control { error_rate: Some(1.0), ..Default::default() });
    let before = system.hits();
    let reply = chat(system.listen.gateway, "hello", &[]);
    control(system, "b", Control { error_rate: Some(0.0), ..Default::default() });
    assert_eq!(reply.status, 503);
    assert_eq!(before[1].1 + 1, system.hits()[1].1, "a failing model is not paid twice");
}

fn bad_snapshots(system: &System) {
    favour(system, "b", "a");
    let routing = system.config().routing;
    let version = next_version(system);
    let evil = favouring(&routing, version, &Favour { model: "c", then: "a", dimensions: 1 });
    let good = sign(system, &evil);
    let older = sign(system, &favouring(&routing, 1, &Favour { model: "c", then: "a", dimensions: 1 }));
    let other = dragoman_core::snapshot::SigningKey::from_bytes(&[9; 32]);
    let mut schema = evil.clone();
    schema.meta.schema = 99;
    let cases: [(&str, Vec<u8>, u16, &str); 7] = [
        ("a wrong signature", evil.encode(&other).expect("signed"), 403, "not_authentic"),
        ("an older version", older, 409, "not_newer"),
        ("not a number", nan_snapshot(system, &evil), 400, "malformed"),
        ("a truncated snapshot", good[..good.len() / 2].to_vec(), 403, "not_authentic"),
        ("another schema", sign(system, &schema), 400, "schema"),
        ("no snapshot", b"hello".to_vec(), 400, "not_a_snapshot"),
        ("an oversized snapshot", vec![0; 33 << 20], 413, ""),
    ];
    for (name, blob, status, reason) in cases {
        let reply = send(system.listen.push, "POST", "/v1/snapshot", &[], &blob);
        let reply = reply.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        if !reason.is_empty() {
            assert_eq!(reply.json()["error"]["reason"], reason, "{name}");
        }
        assert_eq!(models_seen(system), BTreeSet::from(["b".to_owned()]), "after {name}");
    }
    assert_eq!(system.push(&good).status, 200, "the same snapshot, whole and signed, is taken");
    assert_eq!(models_seen(system), BTreeSet::from(["c".to_owned()]));
}

/// A signed snapshot with a NaN: `Snapshot::new` would refuse it, so its bytes are changed before signing.
fn nan_snapshot(system: &System, like: &dragoman_core::snapshot::Snapshot) -> Vec<u8> {
    let blob = sign(system, like);
    let best = like.route(2).expect("the route of c").theta;
    let best = best.last().expect("its constant").to_le_bytes();
    let at = blob.windows(4).rposition(|w| w == best).expect("θ is in the blob as it is");
    let mut payload = blob[72..].to_vec();
    payload[at - 72..at - 68].copy_from_slice(&f32::NAN.to_le_bytes());
    sign_payload(system, &payload)
}

fn statistics(system: &System) {
    favour(system, "b", "a");
    let before = system.stat("wasmcustom.dragoman_decisions");
    chat(system.listen.gateway, "hello", &[]);
    assert_eq!(system.stat("wasmcustom.dragoman_decisions"), before + 1);
    for name in ["dragoman_default_not_json", "dragoman_escalated", "dragoman_snapshots_refused"] {
        assert!(system.stat(&format!("wasmcustom.{name}")) > 0, "{name}");
    }
    let version = next_version(system) - 1;
    wait_until("the version gauge follows", Duration::from_secs(5), || {
        system.stat("wasmcustom.dragoman_snapshot_version") == version
    });
    let prometheus = get(system.listen.admin, "/stats/prometheus").expect("Envoy's admin answers").text();
    for name in ["dragoman_decisions", "dragoman_stage_embed_us_bucket", "dragoman_snapshot_age_seconds"] {
        assert!(prometheus.contains(name), "{name} is in Envoy's Prometheus page");
    }
}
