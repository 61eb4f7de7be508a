//! Answers that a model scores: the judge here is a chat server whose replies the test chooses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use dragoman_core::replay::{ReplayRecord, Sample};
use serde_json::{Value, json};

use crate::common::{House, Http, record};

/// What the judge was asked, and what it answers: a status, a text, and after how long.
#[derive(Clone)]
struct Bench {
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    reply: (u16, &'static str, Duration),
}

/// A judge on a port of its own.
async fn judge(reply: (u16, &'static str, Duration)) -> (String, Bench) {
    async fn answer(State(bench): State<Bench>, headers: HeaderMap, body: String) -> (StatusCode, String) {
        bench.asked.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
        let (status, text, wait) = bench.reply;
        tokio::time::sleep(wait).await;
        let body = json!({"choices": [{"message": {"role": "assistant", "content": text}}]});
        (StatusCode::from_u16(status).unwrap(), body.to_string())
    }
    let bench = Bench { asked: Arc::default(), reply };
    let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(bench.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, bench)
}

fn house(url: &str) -> House {
    let mut house = House::new();
    house.document["judge"] = json!({"share": 0.5, "deadline_s": 1, "concurrency": 2,
        "endpoint": {"url": url, "model": "wise", "api_key": {"env": "PATH", "prefix": "Key "}}});
    house
}

fn sampled(n: u64) -> ReplayRecord {
    let sample = Sample { prompt: "SECRET-QUESTION".into(), answer: "SECRET-ANSWER".into() };
    ReplayRecord { sample: Some(sample), session: None, ..record(n) }
}

async fn replay(http: &Http, n: u64) -> Value {
    http.get(&format!("/v1/router_replay/{}", record(n).id)).await.json()
}

async fn metrics(http: &Http) -> String {
    String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap()
}

/// Waits until the metrics hold `line`.
async fn counted(http: &Http, line: &str) {
    for _ in 0..200 {
        if metrics(http).await.contains(line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no {line} in {}", metrics(http).await);
}

#[tokio::test]
async fn a_sampled_answer_is_scored_and_its_text_is_kept_nowhere() {
    let (url, bench) = judge((200, "Score: 4/5", Duration::ZERO)).await;
    let house = house(&url);
    let (server, http) = house.serve().await;
    http.ingest(&[sampled(1), record(2)]).await;
    counted(&http, "dragoman_evidence_total{kind=\"judge\"} 1").await;
    let stored = replay(&http, 1).await;
    assert_eq!(
        (&stored["evidence"][0]["source"], &stored["evidence"][0]["score"]),
        (&json!("judge"), &json!(4))
    );
    assert_eq!(stored["reward"]["satisfaction"], 0.5);
    let asked = bench.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "only what was sampled");
    let (headers, question) = &asked[0];
    assert!(headers["authorization"].to_str().unwrap().starts_with("Key /"));
    assert_eq!(question["model"], "wise");
    let text = question["messages"][1]["content"].as_str().unwrap();
    assert!(text.contains("SECRET-QUESTION") && text.contains("SECRET-ANSWER"), "{text}");
    let seen =
        [stored.to_string(), metrics(&http).await, http.get("/v1/router_replay").await.json().to_string()];
    assert!(!seen.concat().contains("SECRET"));
    server.shutdown().await.unwrap();
    for file in std::fs::read_dir(house.dir.path().join("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"SECRET"));
    }
}

#[tokio::test]
async fn a_judge_that_fails_or_hangs_costs_nobody_anything() {
    for (reply, why) in [
        ((500, "4", Duration::ZERO), "an error"),
        ((200, "no idea", Duration::ZERO), "no score"),
        ((200, "4", Duration::from_secs(30)), "no answer"),
    ] {
        let (url, _bench) = judge(reply).await;
        let (server, http) = house(&url).serve().await;
        let start = std::time::Instant::now();
        assert_eq!(http.ingest(&[sampled(1)]).await["accepted"], 1);
        assert!(start.elapsed() < Duration::from_millis(900), "ingest does not wait");
        counted(&http, "dragoman_judge_failures_total 1").await;
        assert_eq!(replay(&http, 1).await["evidence"], json!([]), "{why}");
        server.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_judge_is_asked_a_few_things_at_once_and_what_is_too_much_is_dropped() {
    let (url, bench) = judge((200, "5", Duration::from_secs(30))).await;
    let (server, http) = house(&url).serve().await;
    let many: Vec<_> = (0..1000).map(|n| ReplayRecord { id: format!("r{n}"), ..sampled(1) }).collect();
    assert_eq!(http.ingest(&many).await["accepted"], 1000);
    let text = metrics(&http).await;
    let line = text.lines().find(|l| l.starts_with("dragoman_judge_dropped_total")).unwrap();
    let dropped: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((700..1000).contains(&dropped), "{line}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(bench.asked.lock().unwrap().len() <= 2, "two at once");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_a_judge_samples_are_let_go() {
    let (server, http) = House::new().serve().await;
    http.ingest(&[sampled(1)]).await;
    assert_eq!(replay(&http, 1).await["evidence"], json!([]));
    assert!(!replay(&http, 1).await.to_string().contains("SECRET"));
    server.shutdown().await.unwrap();
}
