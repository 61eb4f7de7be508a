//! The filter built with tract, for any ONNX encoder, in a real Envoy.

use std::time::Duration;

use dragoman_core::replay::ReplayRecord;
use dragoman_wasm_tests::system::{Plan, System, chat, get, root, wait_until};
use dragoman_wasm_tests::tract_wasm_path;
use serde_json::Value;

#[test]
fn decisions_are_made_with_the_embeddings_of_the_onnx_graph() {
    let system = Plan::default().wasm(tract_wasm_path()).workers(1).with_sidecar().start();
    for vector in vectors() {
        let text = vector["text"].as_str().unwrap();
        if text.trim().is_empty() {
            continue; // no prompt, no decision
        }
        let expected: Vec<f32> = serde_json::from_value(vector["embedding"].clone()).unwrap();
        let embedding = embedding(&system, text, expected.len());
        let worst = embedding.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // A record keeps f16: half a unit in the last place of numbers below 1/2.
        assert!(worst <= 1.3e-4, "{worst} for {text:?}");
    }
}

fn vectors() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("models/dragoman-small/vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// That of the prompt, from the replay record of its request.
fn embedding(system: &System, prompt: &str, size: usize) -> Vec<f32> {
    let reply = chat(system.listen.gateway, prompt, &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let path = format!("/v1/router_replay/{}", reply.header("x-vsr-replay-id").expect("it was decided"));
    let stored = || get(system.listen.sidecar, &path).filter(|reply| reply.status == 200);
    wait_until("the record is in the log", Duration::from_secs(10), || stored().is_some());
    let record = stored().unwrap().json()["record"].take();
    let record: ReplayRecord = serde_json::from_value(record).unwrap();
    assert_eq!(record.default_reason, None);
    record.context.expect("a decided request has its context").values()[..size].to_vec()
}
