//! Responses and the replay record: what is told to the client, and what the sidecar can recompute.

use std::time::Duration;

use dragoman_core::config::{Config, PolicyKind, PolicyParams, StorePrompts};
use dragoman_core::context::{Context, META, SIGNALS};
use dragoman_core::decision::decide;
use dragoman_core::learner::{Base, Learner, Observation};
use dragoman_core::replay::ReplayRecord;
use dragoman_core::request::RequestFacts;
use dragoman_core::signals::Signals;
use dragoman_core::snapshot::Snapshot;
use dragoman_wasm_tests::mock::{EMBEDDING, Host, Plan, answer, key, push, route};
use safetensors::SafeTensors;
use serde_json::{Value, json};

fn with_blob(blob: &[u8]) -> Host {
    let host = Host::new().config(route()).configured();
    assert_eq!(host.plugin(push()).push(blob).0, 200);
    host
}

fn with(plan: &Plan) -> Host {
    with_blob(&plan.blob())
}

fn model_file(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/dragoman-small").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `[text, embedding]` as torch has them.
fn vectors() -> Vec<(String, Vec<f32>)> {
    let read: Value = serde_json::from_slice(&model_file("vectors.json")).unwrap();
    let number = |v: &Value| v.as_f64().unwrap() as f32;
    let entry = |v: &Value| {
        let embedding = v["embedding"].as_array().unwrap().iter().map(number).collect();
        (v["text"].as_str().unwrap().to_owned(), embedding)
    };
    read.as_array().unwrap().iter().map(entry).collect()
}

/// A snapshot as the learner makes them: from the shipped components and 200 answers to the vectors' prompts.
fn learned(kind: PolicyKind) -> Snapshot {
    let file = model_file("projection.safetensors");
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let mut routing = Plan::favouring(3, "strong").meta.routing;
    routing.policy = PolicyParams { kind, alpha: 0.3, epsilon: 0.2, cost_weight: 10.0, budget: None };
    let document = json!({"models": {"m": {"endpoint": "http://h", "price": {"input": 1, "output": 1}}}, "default_model": "m"});
    let base = Base::from_components(&floats("mean"), &floats("components")).unwrap();
    let mut learner = Learner::new(Config::from_value(&document).unwrap().learner, base, None);
    for (i, (text, embedding)) in vectors().iter().cycle().take(200).enumerate() {
        let facts = RequestFacts { prompt_chars: text.len() as u32, ..Default::default() };
        let observation = Observation {
            route: &routing.routes[i % 3].name,
            context: &Context::new(Some(embedding), EMBEDDING, &Signals::default(), &facts).into(),
            reward: 0.5 + 0.4 * (i as f64 * 0.7).sin(),
            completion_tokens: Some(100 + 7 * i as u32),
        };
        assert!(learner.observe(&observation));
    }
    assert!(learner.features().size() > 1, "with landmarks");
    learner.snapshot(routing, 3, 0).unwrap()
}

fn one(host: &Host) -> ReplayRecord {
    let mut records = host.flush();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

#[test]
fn a_recorded_decision_is_recomputed_natively_bit_for_bit() {
    recomputed(PolicyKind::Matching);
    recomputed(PolicyKind::Linucb);
}

fn recomputed(kind: PolicyKind) {
    let snapshot = learned(kind);
    let host = with_blob(&snapshot.encode(&key()).unwrap());
    for (text, _) in vectors().iter().filter(|(text, _)| !text.trim().is_empty()) {
        host.ask(text).answered("ok");
        let record = one(&host);
        let context = record.context.as_ref().expect("a decided request has its context");
        let again =
            decide(&snapshot, context, &record.signals, record.api, &record.request, None, 0.999).unwrap();
        assert_eq!(record.candidates.len(), 3);
        for (there, here) in record.candidates.iter().zip(&again.candidates) {
            let bits = |reward: f32, bonus: f32, utility: f32| [reward, bonus, utility].map(f32::to_bits);
            assert_eq!(
                bits(there.reward, there.bonus, there.utility),
                bits(here.reward, here.bonus, here.utility),
                "{text:?}: {there:?} {here:?}"
            );
            assert_eq!(there.cost.to_bits(), here.cost.to_bits(), "{text:?}: ĉ");
            assert_eq!(there.propensity.to_bits(), here.propensity.to_bits());
        }
    }
}

#[test]
fn the_embedding_in_the_record_is_torchs_but_for_its_int8() {
    let host = with(&Plan::favouring(1, "cheap"));
    for (text, expected) in vectors().iter().filter(|(text, _)| text.trim() == *text && !text.is_empty()) {
        host.ask(text).answered("ok");
        let record = one(&host);
        let context = record.context.expect("a context");
        assert_eq!(context.values().len(), EMBEDDING + SIGNALS + META);
        let cosine: f32 = context.values().iter().zip(expected).map(|(got, want)| got * want).sum();
        assert!(cosine >= 0.999, "{text:?}: {cosine}");
        assert_eq!(context.values()[EMBEDDING + SIGNALS + 1], 1.0, "has_embedding");
    }
}

#[test]
fn the_client_is_told_what_answered_and_the_upstream_cannot_say_so() {
    let host = with(&Plan::favouring(1, "strong"));
    let mut stream = host.ask("Hello");
    let theirs = [
        (":status", "200"),
        ("x-vsr-replay-id", "forged"),
        ("x-vsr-selected-model", "forged"),
        ("x-vsr-secret", "forged"),
        ("x-other", "kept"),
    ];
    stream.response_headers(&theirs, false);
    let header = |name: &str| stream.response_header(name);
    assert_eq!(header("x-vsr-selected-model").as_deref(), Some("strong"));
    assert_eq!(header("x-vsr-selected-decision").as_deref(), Some("any"));
    assert_eq!(header("x-vsr-selected-category").as_deref(), Some("general"));
    assert_eq!((header("x-vsr-secret"), header("x-other").as_deref()), (None, Some("kept")));
    let id = header("x-vsr-replay-id").unwrap();
    stream.response_body(answer("Hi"), true);
    stream.log();
    let record = one(&host);
    assert_eq!(record.id, id);
    assert_eq!((record.route.as_deref(), record.propensity), (Some("any/strong"), 1.0));
    assert_eq!((record.response.prompt_tokens, record.response.completion_tokens), (Some(12), Some(34)));
    assert!((record.cost - (3.0 * 12.0 + 15.0 * 34.0) / 1e6).abs() < 1e-12);
    assert_eq!(record.prompt, None, "prompts are private");
}

#[test]
fn a_prompt_is_recorded_only_where_the_configuration_asks_for_it() {
    let mut plan = Plan::favouring(1, "strong");
    plan.meta.routing.privacy.store_prompts = StorePrompts::Full;
    let host = with(&plan);
    host.ask("Hello").answered("Hi");
    assert_eq!(one(&host).prompt.as_deref(), Some("Hello"));
}

#[test]
fn events_pass_as_they_come_and_are_observed() {
    let host = with(&Plan::favouring(1, "strong"));
    let mut stream = host.ask("Hello");
    stream
        .response_headers(&[(":status", "200"), ("content-type", "text/event-stream; charset=utf-8")], false);
    host.advance(Duration::from_millis(250));
    let events = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grü\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ße\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}\n\n",
        "data: [DONE]\n\n"
    );
    for piece in events.as_bytes().chunks(7) {
        stream.response_body(piece, false);
        assert_eq!(stream.calls(), ["get response body"]);
        host.advance(Duration::from_millis(1));
    }
    stream.response_body("", true);
    stream.log();
    let response = one(&host).response;
    assert_eq!((response.completion_tokens, response.content_chars), (Some(7), 5));
    assert!(response.stream && response.stream_complete && response.body_valid, "{response:?}");
    let (ttft, latency) = (response.ttft_ms.unwrap(), response.latency_ms.unwrap());
    assert!((250.0..251.0).contains(&ttft), "{ttft}");
    let pieces = events.len().div_ceil(7) as f64;
    assert!((latency - ttft - pieces).abs() < 1.0, "{latency} after {pieces} pieces");
}

#[test]
fn a_broken_stream_is_known_as_one() {
    let host = with(&Plan::favouring(1, "strong"));
    let mut stream = host.ask("Hello");
    stream.response_headers(&[(":status", "200"), ("content-type", "text/event-stream")], false);
    stream.response_body(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"cho",
        false,
    );
    stream.log();
    let response = one(&host).response;
    assert!(!response.stream_complete && response.latency_ms.is_none(), "{response:?}");
}

#[test]
fn a_response_that_ends_with_trailers_has_ended() {
    let host = with(&Plan::favouring(1, "strong"));
    let mut stream = host.ask("Hello");
    stream.response_headers(&[(":status", "200"), ("content-type", "application/json")], false);
    stream.response_body(answer("Hi"), false);
    stream.response_trailers(1);
    stream.log();
    let response = one(&host).response;
    assert!(response.stream_complete && response.latency_ms.is_some(), "{response:?}");
}

#[test]
fn a_client_that_leaves_before_the_answer_is_recorded_without_one() {
    let host = with(&Plan::favouring(1, "strong"));
    host.ask("Hello").log();
    let record = one(&host);
    assert_eq!((record.response.status, record.cost), (0, 0.0));
}

#[test]
fn an_error_or_a_bodiless_answer_is_recorded() {
    let host = with(&Plan::favouring(1, "strong"));
    let mut stream = host.ask("Hello");
    stream.response_headers(&[(":status", "503")], true);
    stream.log();
    let record = one(&host);
    assert_eq!((record.response.status, record.response.body_valid, record.cost), (503, false, 0.0));
    assert!(record.response.latency_ms.is_some());
}

#[test]
fn an_escalated_answer_names_the_model_that_gave_it() {
    let host = with(&Plan::favouring(1, "strong"));
    let mut stream = host.ask("Hello");
    stream.response_headers(&[(":status", "200"), ("x-envoy-attempt-count", "2")], false);
    assert_eq!(stream.response_header("x-vsr-selected-model").as_deref(), Some("cheap"));
    assert_eq!(stream.response_header("x-envoy-attempt-count"), None);
    stream.response_body(answer("Hi"), true);
    stream.log();
    let record = one(&host);
    let escalated = record.escalated_to.unwrap();
    assert_eq!((record.model.as_str(), escalated.model.as_str()), ("strong", "cheap"));
    assert_eq!(escalated.route.as_deref(), Some("any/cheap"));
    assert!((record.cost - (0.1 * 12.0 + 0.4 * 34.0) / 1e6).abs() < 1e-12, "the answering model's price");
    assert_eq!(host.metric("dragoman_escalated"), 1);
}

#[test]
fn with_the_same_seed_and_clock_the_same_record_comes_out() {
    let run = || {
        let host = with(&Plan::favouring(1, "strong"));
        host.ask("Hello").answered("Hi");
        one(&host)
    };
    let (first, second) = (run(), run());
    assert_eq!(first, second);
    assert_eq!(first.time_ms, 1_800_000_000_000, "the mock clock's time");
    assert_eq!(first.id[..13].replace('-', ""), format!("{:012x}", first.time_ms));
}

#[test]
fn the_stages_are_told_apart_and_the_total_covers_them() {
    let host = with(&Plan::favouring(1, "strong"));
    host.clock_step(Duration::from_micros(10));
    host.ask("Hello").answered("Hi");
    let stages = one(&host).stages;
    let sum = stages.parse_us + stages.embed_us + stages.signals_us + stages.decide_us;
    assert!(stages.parse_us > 0 && stages.embed_us > 0 && stages.signals_us > 0 && stages.decide_us > 0);
    assert!(stages.total_us >= sum, "{stages:?}");
}

#[test]
fn version_and_age_of_the_snapshot_are_gauges() {
    let host = with(&Plan::favouring(9, "strong"));
    host.advance(Duration::from_secs(30));
    host.tick();
    assert_eq!(host.metric("dragoman_snapshot_version"), 9);
    assert_eq!(host.metric("dragoman_snapshot_age_seconds"), 90, "built 60 s before the clock's start");
}
