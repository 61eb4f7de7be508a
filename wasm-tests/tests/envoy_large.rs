//! A ModernBERT-base (22 layers, 768 wide) in the sidecar, behind a real Envoy of one worker: its numbers are torch's,
//! and the whole circle turns on them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use dragoman_core::snapshot::Snapshot;
use dragoman_demo::sim::{ModelConfig, Price};
use dragoman_wasm_tests::cases::{Case, run};
use dragoman_wasm_tests::large::{self, DIMENSIONS, MAX_TOKENS, numbers};
use dragoman_wasm_tests::system::*;
use serde_json::{Value, json};

/// f32 sums in another order than torch's, over 22 layers.
const TOLERANCE: f32 = 2e-5;
/// A context is rounded to f16.
const HALF: f32 = 5e-4;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    if !std::env::args().any(|argument| argument == "--list") {
        large::write(folder.path());
    }
    let encoder = json!({
        "mode": "sidecar", "path": folder.path(), "max_tokens": MAX_TOKENS, "threads": 1, "cache": 256,
        // Patience for a machine that is busy with other tests.
        "deadline_ms": 10_000,
    });
    let model =
        |name, output| ModelConfig { price: Price { input: 0.1, output }, ..ModelConfig::named(name) };
    let plan = Plan::default()
        .models(vec![model("a", 0.4), model("b", 0.5)])
        .workers(1)
        .set("encoder", encoder)
        .set("learner", json!({"publish_ms": 50}))
        .set("replay", json!({"flush_ms": 20}))
        .set("policy", json!({"kind": "linucb", "alpha": 1.0, "epsilon": 0.0, "cost_weight": 0.0}))
        .with_sidecar();
    FOLDER.get_or_init(|| folder.path().to_owned());
    run(plan, CASES)
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

const CASES: &[Case] = &[
    ("its_embeddings_are_torchs", torchs),
    ("a_request_is_decided_and_recorded_with_its_embedding", recorded),
    ("the_circle_turns_in_768_dimensions", the_circle_turns),
    ("nobody_else_waits", nobody_else_waits),
];

fn torchs(system: &System) {
    // Loaded by now; nothing reads it again.
    if let Some(folder) = FOLDER.get() {
        std::fs::remove_file(folder.join("model.onnx")).expect("the model's file goes");
    }
    let expected = large::expected();
    let mut worst = 0f32;
    let start = Instant::now();
    for (i, known) in expected.iter().enumerate() {
        let answer = post_json(system.listen.sidecar, "/v1/embeddings", &json!({"input": known.text}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let got = numbers(&answer.json()["data"][0]["embedding"]);
        assert_eq!(got.len(), DIMENSIONS);
        let difference = got.iter().zip(&known.embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < TOLERANCE, "text {i} differs by {difference}");
        worst = worst.max(difference);
    }
    let each = start.elapsed() / expected.len() as u32;
    println!("{} texts, largest difference to torch {worst:e}, {each:?} each", expected.len());
}

fn recorded_by(system: &System, reply: &Reply) -> Value {
    let id = reply.header("x-vsr-replay-id").expect("a decided answer has a replay id");
    let path = format!("/v1/router_replay/{id}");
    wait_until("the record is in the log", Duration::from_secs(10), || {
        get(system.listen.sidecar, &path).is_some_and(|r| r.status == 200)
    });
    get(system.listen.sidecar, &path).expect("the sidecar answers").json()
}

/// The context's numbers; f16 in base64.
fn context(record: &Value) -> Vec<f32> {
    let text = find(record, "context").and_then(Value::as_str).expect("a decided record has its context");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    let (words, _) = bytes.as_chunks::<2>();
    words.iter().map(|w| half::f16::from_le_bytes(*w).to_f32()).collect()
}

fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    map.get(key).or_else(|| map.values().find_map(|inner| find(inner, key)))
}

fn recorded(system: &System) {
    let known =
        large::expected().into_iter().find(|e| e.text.contains("capital of France")).expect("that text");
    let reply = chat(system.listen.gateway, &known.text, &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let record = recorded_by(system, &reply);
    let context = context(&record);
    assert_eq!(context.len(), DIMENSIONS + 48);
    let off = context.iter().zip(&known.embedding).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < HALF, "the context's embedding differs by {off}");
    assert_eq!((system.stat("dragoman_embed_calls"), system.stat("dragoman_embed_failed")), (1, 0));
    let again = chat(system.listen.gateway, &known.text, &[]);
    assert_eq!((again.status, system.stat("dragoman_embed_calls")), (200, 1), "remembered");
}

fn the_circle_turns(system: &System) {
    let prompts =
        ["write a sorting function", "how are you today?", "what is 12 times 7?", "who was Ada Lovelace?"];
    let selected = |reply: &Reply| reply.header("x-vsr-selected-model").unwrap_or_default().to_owned();
    for i in 0..20 {
        let reply = chat(system.listen.gateway, prompts[i % prompts.len()], &[]);
        let good = selected(&reply) == "b";
        let before = system.snapshot_version();
        let id = reply.header("x-vsr-replay-id").expect("a replay id");
        let rating = json!({"rating": if good { 5 } else { 1 }, "correct": good});
        let answer = post_json(system.listen.sidecar, &format!("/v1/router_replay/{id}/feedback"), &rating);
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
        wait_until("a newer snapshot", Duration::from_secs(15), || system.snapshot_version() > before);
    }
    let blob = get(system.listen.sidecar, "/v1/snapshot").expect("a snapshot").body;
    let snapshot = Snapshot::decode_trusted(&blob).expect("a good snapshot");
    assert_eq!(snapshot.embedding_size(), DIMENSIONS);
    assert!(snapshot.meta.observations.iter().sum::<u64>() >= 20);
    let praised =
        prompts.iter().filter(|prompt| selected(&chat(system.listen.gateway, prompt, &[])) == "b").count();
    assert!(praised >= 3, "what users praise is chosen for {praised} of 4 prompts");
    assert_eq!(system.stat("dragoman_embed_failed"), 0);
}

/// While the one thread of the encoder works without a pause, requests that need no embedding pass as before.
fn nobody_else_waits(system: &System) {
    let untouched = || drop(get(system.listen.gateway, "/v1/models"));
    let while_passing = Duration::from_millis(1500);
    let alone = quantiles(while_passing, untouched);
    let stop = AtomicBool::new(false);
    let (beside, waits) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut waits = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                let reply = chat(system.listen.gateway, &format!("what is {} squared?", waits.len()), &[]);
                assert_eq!(reply.status, 200);
                waits.push(start.elapsed());
            }
            waits
        });
        let beside = quantiles(while_passing, untouched);
        stop.store(true, Ordering::Relaxed);
        (beside, asking.join().expect("the asking thread ends"))
    });
    println!(
        "a request that needs no embedding: p50 and p99 {alone:?}; beside the encoder at work {beside:?}"
    );
    let quickest = waits.iter().min().copied().unwrap_or_default();
    println!("{} requests waited for theirs, at least {quickest:?}", waits.len());
    assert!(beside.0 < quickest / 2, "{:?} is near to an embedding, {quickest:?}", beside.0);
}

/// p50 and p99 of requests made one after the other for so long.
fn quantiles(span: Duration, request: impl Fn()) -> (Duration, Duration) {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < span {
        let start = Instant::now();
        request();
        times.push(start.elapsed());
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
