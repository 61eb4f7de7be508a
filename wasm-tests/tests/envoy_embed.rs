//! A filter that asks an embeddings' server, in a real Envoy of one worker: what a request waits for, what it does not
//! wait for, and that nobody else waits with it. No sidecar: the tests push the snapshots themselves.

use std::io::Write;
use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dragoman_demo::sim::{Control, ModelConfig};
use dragoman_wasm_tests::cases::{Case, run};
use dragoman_wasm_tests::system::*;
use serde_json::json;

/// Of the encoder whose folder is configured.
const DIMENSIONS: usize = 384;
const DEADLINE: Duration = Duration::from_millis(400);
const AT_ONCE: Manner = Manner::Well(DIMENSIONS, Duration::ZERO);

static SERVER: OnceLock<Embeddings> = OnceLock::new();

fn server() -> &'static Embeddings {
    SERVER.get_or_init(|| Embeddings::start(AT_ONCE))
}

fn main() {
    let mut models = ["a", "b", "c"].map(ModelConfig::named).to_vec();
    // Its variable serves as the embeddings' key too.
    models[1].api_key_header = Some("authorization: Bearer key-of-b".into());
    let encoder = json!({
        "mode": "endpoint",
        "path": root().join("models/dragoman-small"),
        "cache": 64,
        "deadline_ms": DEADLINE.as_millis() as u64,
        "endpoint": {
            "url": format!("http://{}", server().addr),
            "model": "embed-3",
            "api_key": {"env": "DRAGOMAN_TEST_KEY_B"},
        },
    });
    run(Plan::default().models(models).workers(1).set("encoder", encoder), CASES);
}

const CASES: &[Case] = &[
    ("a_request_waits_for_its_embedding_and_goes_on_rewritten", goes_on_rewritten),
    ("a_long_body_goes_on_whole", long_body),
    ("a_stream_of_events_follows_a_wait", stream_after_a_wait),
    ("a_remembered_prompt_asks_nobody", remembered),
    ("a_failing_model_escalates_after_a_wait", escalation),
    ("at_the_deadline_a_request_is_decided_without", deadline),
    ("a_server_that_is_down_or_talks_nonsense_costs_no_request", bad_servers),
    ("clients_that_leave_while_they_wait_leave_envoy_well", clients_leave),
    ("nobody_else_waits", nobody_else_waits),
];

fn favour(system: &System, model: &str, then: &str) {
    let version = system.snapshot_version() + 1;
    let snapshot = favouring(&system.config().routing, version, &Favour { model, then, dimensions: 1 });
    assert_eq!(system.push(&sign(system, &snapshot)).status, 200);
}

fn selected(reply: &Reply) -> &str {
    reply.header("x-vsr-selected-model").unwrap_or("none")
}

/// A prompt that no cache has seen.
fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("prompt number {}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn counted(system: &System) -> [u64; 4] {
    let names = ["embed_calls", "embed_calls_failed", "embed_calls_late", "embed_failed"];
    names.map(|name| system.stat(&format!("dragoman_{name}")))
}

fn rise(before: [u64; 4], after: [u64; 4]) -> [u64; 4] {
    std::array::from_fn(|i| after[i] - before[i])
}

fn goes_on_rewritten(system: &System) {
    favour(system, "b", "a");
    let before = counted(system);
    server().set(Manner::Well(DIMENSIONS, Duration::from_millis(50)));
    let prompt = fresh();
    let start = Instant::now();
    let reply = chat(system.listen.gateway, &prompt, &[]);
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!((reply.status, selected(&reply)), (200, "b"), "{}", reply.text());
    assert_eq!(rise(before, counted(system)), [1, 0, 0, 0]);
    let asked = server().asked();
    assert_eq!(asked[0].body, json!({"model": "embed-3", "input": prompt, "encoding_format": "float"}));
    assert!(asked[0].head.starts_with("post /v1/embeddings"), "{}", asked[0].head);
    assert!(asked[0].head.contains("authorization: Bearer key-of-b\n"), "{}", asked[0].head);
    assert!(asked[0].head.contains(&format!("host: {}\n", server().addr)), "{}", asked[0].head);
    let stats = system.sims.stats();
    let upstream = stats.models["b"].last_request.as_ref().expect("b was asked");
    assert_eq!(
        (&upstream.body["model"], &upstream.body["messages"][0]["content"]),
        (&json!("b"), &json!(prompt))
    );
}

fn long_body(system: &System) {
    favour(system, "c", "a");
    server().set(Manner::Well(DIMENSIONS, Duration::from_millis(20)));
    let text = format!("{} {}", fresh(), "x".repeat(3 << 20));
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string();
    // In chunks, its size unknown beforehand: Envoy's buffer is filled piece by piece.
    let mut request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(64 << 10) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    for request in [request, [format!("POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body.as_bytes()].concat()] {
        let reply = raw(system.listen.gateway, &request).expect("an answer");
        assert_eq!((reply.status, selected(&reply)), (200, "c"), "{}", reply.text());
        let stats = system.sims.stats();
        let upstream = &stats.models["c"].last_request.as_ref().expect("c was asked").body;
        assert_eq!(upstream["model"], "c");
        assert_eq!(upstream["messages"][0]["content"].as_str().map(str::len), Some(text.len()));
    }
    let asked = server().asked()[0].body["input"].as_str().expect("a text").len();
    assert!(asked <= 128 * 16, "only what is read is asked about, not {asked} bytes");
}

fn stream_after_a_wait(system: &System) {
    favour(system, "b", "a");
    server().set(AT_ONCE);
    let reply = stream_chat(system.listen.gateway, &fresh());
    assert_eq!((reply.status, selected(&reply)), (200, "b"));
    assert!(reply.text().trim_end().ends_with("data: [DONE]"));
}

fn remembered(system: &System) {
    favour(system, "b", "a");
    server().set(AT_ONCE);
    let prompt = fresh();
    let hits = system.stat("dragoman_embed_cache_hits");
    for _ in 0..5 {
        assert_eq!(selected(&chat(system.listen.gateway, &prompt, &[])), "b");
    }
    assert_eq!(server().asked().len(), 1);
    assert_eq!(system.stat("dragoman_embed_cache_hits") - hits, 4);
}

fn escalation(system: &System) {
    favour(system, "b", "c");
    server().set(Manner::Well(DIMENSIONS, Duration::from_millis(20)));
    let failing = |rate| Control { error_rate: Some(rate), ..Default::default() };
    system.sims.control("b", &failing(1.0)).expect("b fails");
    let reply = chat(system.listen.gateway, &fresh(), &[]);
    system.sims.control("b", &failing(0.0)).expect("b works again");
    assert_eq!((reply.status, selected(&reply)), (200, "c"), "{}", reply.text());
    let stats = system.sims.stats();
    assert_eq!(stats.models["c"].last_request.as_ref().expect("c was asked").body["model"], "c");
}

fn deadline(system: &System) {
    favour(system, "b", "a");
    let before = counted(system);
    server().set(Manner::Well(DIMENSIONS, DEADLINE * 5));
    let start = Instant::now();
    let reply = chat(system.listen.gateway, &fresh(), &[]);
    let took = start.elapsed();
    assert_eq!((reply.status, selected(&reply)), (200, "b"), "{}", reply.text());
    // Envoy counts timers by a coarse clock, read once per turn of its event loop: one may fire some ms early.
    assert!(took >= DEADLINE * 9 / 10 && took < DEADLINE * 3, "{took:?}");
    assert_eq!(rise(before, counted(system)), [1, 0, 1, 1]);
    assert!(system.log("envoy").contains("request decided without an embedding"), "the log says why");
}

fn bad_servers(system: &System) {
    favour(system, "b", "a");
    let nan = format!("{{\"data\":[{{\"embedding\":[NaN{}]}}]}}", ",0".repeat(DIMENSIONS - 1));
    let huge = format!("{{\"data\":[{{\"embedding\":[{}]}}]}}", "1,".repeat(1 << 20));
    let manners = [
        Manner::Closing,
        Manner::Badly(500, "oh no".into()),
        Manner::Badly(429, "{\"error\":{\"message\":\"busy\"}}".into()),
        Manner::Badly(503, json!({"error": {"code": "queue_full"}}).to_string()),
        Manner::Badly(200, "<html>".into()),
        Manner::Badly(200, String::new()),
        Manner::Badly(200, nan),
        Manner::Badly(200, huge),
        Manner::Badly(200, "\u{0}\u{ff}".into()),
        Manner::Well(DIMENSIONS + 1, Duration::ZERO),
        Manner::Well(0, Duration::ZERO),
    ];
    for manner in manners {
        let before = counted(system);
        server().set(manner.clone());
        let reply = chat(system.listen.gateway, &fresh(), &[]);
        let shown = &format!("{manner:?}")[..60.min(format!("{manner:?}").len())];
        assert_eq!((reply.status, selected(&reply)), (200, "b"), "{shown}: {}", reply.text());
        assert_eq!(rise(before, counted(system)), [1, 1, 0, 1], "{shown}");
    }
    server().set(AT_ONCE);
    let before = counted(system);
    assert_eq!(selected(&chat(system.listen.gateway, &fresh(), &[])), "b");
    assert_eq!(rise(before, counted(system)), [1, 0, 0, 0], "and it is asked again");
}

fn clients_leave(system: &System) {
    favour(system, "b", "a");
    server().set(Manner::Well(DIMENSIONS, Duration::from_millis(100)));
    let (before, hits) = (counted(system), system.hits());
    let mut clients: Vec<TcpStream> = Vec::new();
    for _ in 0..100 {
        let body = json!({"messages": [{"role": "user", "content": fresh()}]}).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut client = TcpStream::connect(system.listen.gateway).expect("a connection");
        client.write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("the request is sent");
        clients.push(client);
    }
    wait_until("all wait", Duration::from_secs(5), || rise(before, counted(system))[0] == 100);
    drop(clients);
    wait_until("all are gone", Duration::from_secs(5), || {
        system.stat("http.gateway.downstream_rq_active") == 0
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(system.hits(), hits, "what was left reaches no model");
    server().set(AT_ONCE);
    assert_eq!(selected(&chat(system.listen.gateway, &fresh(), &[])), "b");
    assert!(!system.log("envoy").contains("Function: proxy_on"), "no trap");
}

/// One worker: while some requests wait 300 ms each for their embeddings, others pass as if there were none.
fn nobody_else_waits(system: &System) {
    favour(system, "b", "a");
    server().set(AT_ONCE);
    let known = fresh();
    chat(system.listen.gateway, &known, &[]);
    let untouched = || drop(get(system.listen.gateway, "/v1/models"));
    let remembered = || assert_eq!(selected(&chat(system.listen.gateway, &known, &[])), "b");
    let kinds: [(&str, &(dyn Fn() + Sync)); 2] = [("not decided", &untouched), ("remembered", &remembered)];
    let slow = Duration::from_millis(300);
    let alone = kinds.map(|(_, request)| quantiles(200, request));
    server().set(Manner::Well(DIMENSIONS, slow));
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    chat(system.listen.gateway, &fresh(), &[]);
                    assert!(start.elapsed() >= slow);
                }
            });
        }
        let beside = kinds.map(|(_, request)| quantiles(200, request));
        stop.store(true, Ordering::Relaxed);
        beside
    });
    for (((kind, _), (p50, p99)), (p50_beside, p99_beside)) in kinds.iter().zip(alone).zip(beside) {
        println!(
            "{kind}: p50 {p50:?}, p99 {p99:?}; beside 8 streams that wait {slow:?}: p50 {p50_beside:?}, p99 {p99_beside:?}"
        );
        // A worker that was blocked would show it in full.
        assert!(p99_beside < slow / 2 && p50_beside < slow / 10, "{kind}: {p50_beside:?} {p99_beside:?}");
    }
}

fn quantiles(count: usize, request: &dyn Fn()) -> (Duration, Duration) {
    let time = |_| {
        let start = Instant::now();
        request();
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..count).map(time).collect();
    times.sort();
    (times[count / 2], times[count * 99 / 100])
}
