//! What the next turns of a conversation teach about the answers before them.

use std::time::Duration;

use dragoman_core::replay::ReplayRecord;
use dragoman_core::request::{Api, ThreadKey, parse_thread};
use dragoman_core::signals::{FeedbackKind, FeedbackSignal};
use serde_json::{Value, json};

use crate::common::{House, Http, parameters, record};

/// The first record that succeeds and what follows it, each a second after the other.
fn turn(n: u64) -> ReplayRecord {
    let mut turn = record(1);
    turn.id = format!("turn-{n}");
    turn.time_ms += 1000 * n;
    turn.response.latency_ms = Some(100.0);
    turn
}

fn saying(kind: FeedbackKind, turn: ReplayRecord) -> ReplayRecord {
    let mut turn = turn;
    turn.signals.feedback = FeedbackSignal { kind, score: 1.0 };
    turn
}

/// Turn `n` without a session, of a conversation with these messages.
fn talk(n: u64, messages: &Value) -> ReplayRecord {
    asked(n, Api::ChatCompletions, &json!({"messages": messages}))
}

/// Turn `n` as the filter reads it from a body.
fn asked(n: u64, api: Api, body: &Value) -> ReplayRecord {
    let read = parse_thread(api, body.to_string().as_bytes(), Some(&ThreadKey([1; 16]))).unwrap();
    ReplayRecord { api, session: read.session, thread: read.thread, request: read.facts, ..turn(n) }
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

async fn replay(http: &Http, n: u64) -> Value {
    http.get(&format!("/v1/router_replay/turn-{n}")).await.json()
}

/// The replay of turn `n` once something was heard of it.
async fn heard(http: &Http, n: u64) -> Value {
    for _ in 0..200 {
        let replay = replay(http, n).await;
        if replay["evidence"].as_array().is_some_and(|all| !all.is_empty()) {
            return replay;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nothing was heard of turn {n}");
}

#[tokio::test]
async fn the_next_turn_of_a_session_revises_the_answer_before_it() {
    let house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&[turn(1)]).await;
    let first = http.learned(&server.public_key, 1).await;
    http.ingest(&[saying(FeedbackKind::WrongAnswer, turn(2))]).await;
    let replay = heard(&http, 1).await;
    assert_eq!(replay["evidence"][0]["kind"], "wrong_answer");
    assert_eq!(
        (&replay["evidence"][0]["source"], &replay["evidence"][0]["by"]),
        (&json!("follow_up"), &json!("turn-2"))
    );
    assert_eq!(replay["reward"]["satisfaction"], -1.0);
    let sentences = replay["explanation"]["sentences"].to_string();
    assert!(sentences.contains("The next turn (replay turn-2) says that the answer is wrong"), "{sentences}");
    let listed = http.get("/v1/router_replay").await.json();
    assert_eq!(listed["items"][1]["reward"], replay["reward"]["total"]);
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("dragoman_evidence_total{kind=\"wrong_answer\"} 1"), "{metrics}");
    let second = http.learned(&server.public_key, 2).await;
    assert_ne!(parameters(&first), parameters(&second));

    // Said outright it counts four times as much.
    let outright = http.rate("turn-1", json!({"rating": 5})).await.json();
    assert!((outright["reward"]["satisfaction"].as_f64().unwrap() - 0.6).abs() < 1e-9, "{outright}");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_a_session_a_conversation_is_known_by_its_words() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let (one, two) = (said("user", "Capital of Peru?"), said("assistant", "Quito."));
    let three = said("user", "That's wrong.");
    let other = talk(2, &json!([said("user", "2 + 2?"), said("assistant", "5"), three]));
    let next = talk(3, &json!([one, two, three]));
    http.ingest(&[next, other, talk(1, &json!([one]))]).await;
    let replay = heard(&http, 1).await;
    assert_eq!(
        replay["evidence"],
        json!([{"source": "complaint", "by": "turn-3", "time_ms": turn(3).time_ms}])
    );
    assert_eq!(replay["reward"]["satisfaction"], -0.5);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_response_is_followed_by_the_one_that_names_it() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let mut answered = asked(1, Api::Responses, &json!({"input": "Write a poem."}));
    answered.response.id = Some("resp_1".into());
    let next = asked(2, Api::Responses, &json!({"input": "Shorter.", "previous_response_id": "resp_1"}));
    let next = saying(FeedbackKind::WantDifferent, next);
    http.ingest(&[answered]).await;
    http.ingest(&[next]).await;
    assert_eq!(heard(&http, 1).await["reward"]["satisfaction"], -0.3);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_same_prompt_again_is_dissatisfaction() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let prompt = json!([said("user", "Write a poem.")]);
    http.ingest(&[talk(1, &prompt), talk(2, &prompt)]).await;
    let replay = heard(&http, 1).await;
    assert_eq!(
        (&replay["evidence"][0]["source"], &replay["reward"]["satisfaction"]),
        (&json!("regenerated"), &json!(-0.5))
    );
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn silence_after_an_answer_is_approval_once_its_window_has_ended() {
    let mut house = House::new();
    house.document["reward"] = json!({"window_minutes": 0.02});
    let (server, http) = house.serve().await;
    let failed = ReplayRecord { session: Some("t".into()), ..turn(3) };
    let failed = ReplayRecord { response: record(5).response, ..failed };
    http.ingest(&[turn(1), turn(2), failed]).await;
    let replay = heard(&http, 2).await;
    assert_eq!(
        (&replay["evidence"][0]["source"], &replay["reward"]["satisfaction"]),
        (&json!("silence"), &json!(0.5))
    );
    assert_eq!(self::replay(&http, 1).await["evidence"], json!([]), "turn 2 followed it");
    assert_eq!(self::replay(&http, 3).await["evidence"], json!([]), "503 is no answer");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn later_records_show_that_the_window_has_ended() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let mut later = ReplayRecord { session: Some("t".into()), ..turn(2) };
    later.time_ms += 11 * 60_000;
    http.ingest(&[turn(1), later]).await;
    assert_eq!(heard(&http, 1).await["evidence"][0]["source"], "silence");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_learns_the_same_from_what_was_heard_and_goes_on_linking() {
    let mut house = House::new();
    // Every rebuild is compared with what was streamed.
    house.document["learner"]["batch_seconds"] = json!(5);
    let (server, http) = house.serve().await;
    let mut talk: Vec<_> = (1..9).map(turn).collect();
    talk.iter_mut().step_by(2).for_each(|t| *t = saying(FeedbackKind::Satisfied, t.clone()));
    http.ingest(&talk).await;
    http.rate("turn-2", json!({"rating": 2})).await;
    heard(&http, 6).await;
    let before = (replay(&http, 2).await, replay(&http, 6).await);
    server.shutdown().await.unwrap();

    let (server, http) = house.serve().await;
    let restarted = http.learned(&server.public_key, 8).await;
    assert_eq!((replay(&http, 2).await, replay(&http, 6).await), before);
    let version = restarted.meta.version;
    let rebuilt = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    assert_eq!(parameters(&rebuilt), parameters(&restarted));
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("dragoman_rebuild_mismatches_total 0"), "{metrics}");
    http.ingest(&[saying(FeedbackKind::WrongAnswer, turn(9))]).await;
    assert_eq!(heard(&http, 8).await["evidence"][0]["kind"], "wrong_answer");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_came_just_before_the_end_is_linked_too() {
    let mut house = House::new();
    house.document["replay"] = json!({"flush_ms": 60_000});
    let (server, http) = house.serve().await;
    http.ingest(&[saying(FeedbackKind::WrongAnswer, turn(2)), turn(1)]).await;
    assert_eq!(replay(&http, 1).await["evidence"], json!([]), "an earlier turn may still come");
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    assert_eq!(replay(&http, 1).await["evidence"][0]["by"], "turn-2");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn snapshots_carry_the_same_secret_as_long_as_the_signing_key_lives() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let key = http.snapshot(&server.public_key, |_| true).await.meta.routing.thread_key;
    assert!(key.is_some());
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    assert_eq!(http.snapshot(&server.public_key, |s| s.meta.version > 1).await.meta.routing.thread_key, key);
    server.shutdown().await.unwrap();
}
