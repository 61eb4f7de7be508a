//! Canaries, as those see them who ask over HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use dragoman_core::optimizer::Step;
use dragoman_core::replay::ReplayRecord;
use dragoman_core::snapshot::Snapshot;
use dragoman_sidecar::Server;
use dragoman_sidecar::learn::{self, State, Turn};
use dragoman_sidecar::log::{self, Log};
use serde_json::{Value, json};

use crate::common::{House, Http, parameters, records};

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A house whose canaries are decided by few requests.
pub(crate) fn house(canary: &str) -> House {
    let mut house = House::new();
    house.document["guard"] = json!({"canary": canary, "stage_requests": 40});
    house
}

/// Answers of now, each of a session of its own; `first` numbers them.
pub(crate) fn answers(
    first: u64,
    count: u64,
    arm: &str,
    version: u64,
    change: impl Fn(&mut ReplayRecord),
) -> Vec<ReplayRecord> {
    let mut all = records(first..first + count);
    for (n, one) in all.iter_mut().enumerate() {
        one.id = format!("{arm}-{}", first + n as u64);
        one.time_ms = now_ms();
        one.session = Some(one.id.clone());
        (one.arm, one.snapshot_version) = (arm.into(), version);
        one.response.status = 200;
        one.response.latency_ms = Some(400.0 + (n % 7) as f64 * 50.0);
        one.cost = 1e-4;
        change(one);
    }
    all
}

/// Makes an answer worth less than others.
fn empty(record: &mut ReplayRecord) {
    (record.response.has_content, record.response.body_valid) = (false, false);
}

pub(crate) async fn status(http: &Http) -> Value {
    http.get("/v1/guard").await.json()
}

/// The guard's status once `enough` holds of it.
pub(crate) async fn until(http: &Http, enough: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let status = status(http).await;
        if enough(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the guard never came to it: {}", status(http).await);
}

/// The version on trial.
async fn on_trial(http: &Http) -> u64 {
    until(http, |s| s["trial"].is_object()).await["trial"]["version"].as_u64().unwrap()
}

/// What the list says of a version, once it says this state.
pub(crate) async fn listed(http: &Http, version: u64, state: &str) -> Value {
    for _ in 0..200 {
        let list = http.get("/v1/snapshots").await.json();
        let found = list["items"].as_array().unwrap().iter().find(|i| i["version"] == version).cloned();
        if let Some(item) = found.filter(|i| i["state"] == state) {
            return item;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{version} never was {state}: {}", http.get("/v1/snapshots").await.json());
}

async fn canary_of(http: &Http, server: &Server, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    http.snapshot(&server.public_key, wanted).await
}

pub(crate) fn metrics_line(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
}

pub(crate) async fn metrics(http: &Http) -> String {
    String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap()
}

#[tokio::test]
async fn streamed_knowledge_is_tried_first_and_withdrawn_when_it_is_worse() {
    let house = house("all");
    let (server, http) = house.serve().await;
    let start = http.learned(&server.public_key, 0).await;
    http.ingest(&records(0..40)).await;
    let version = on_trial(&http).await;
    let served = canary_of(&http, &server, |s| s.canary().is_some()).await;
    let canary = served.canary().unwrap();
    assert_eq!((canary.snapshot.meta.version, canary.split.share), (version, 10));
    assert_eq!(canary.snapshot.meta.observations.iter().sum::<u64>(), 40, "what was streamed is on trial");
    assert_eq!(parameters(&served), parameters(&start), "live stays what it was");
    http.ingest(&answers(1000, 400, "live", served.meta.version, |_| ())).await;
    http.ingest(&answers(2000, 60, "canary", version, empty)).await;
    listed(&http, version, "withdrawn").await;
    let after = canary_of(&http, &server, |s| s.meta.version > served.meta.version).await;
    assert!(after.canary().is_none_or(|c| c.snapshot.meta.version > version));
    assert_eq!(parameters(&after), parameters(&start));
    metrics_line(&metrics(&http).await, "dragoman_canaries_total{outcome=\"withdrawn\"} 1");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_better_canary_is_widened_step_by_step_and_goes_live() {
    let house = house("all");
    let (server, http) = house.serve().await;
    http.ingest(&records(0..40)).await;
    let version = on_trial(&http).await;
    for (round, share) in [(1u64, 25u64), (2, 50), (3, 100)] {
        http.ingest(&answers(round * 1000, 100, "live", 1, empty)).await;
        assert_eq!(status(&http).await["trial"]["version"], version, "live alone decides nothing");
        http.ingest(&answers(round * 1000, 50, "canary", version, |_| ())).await;
        if share < 100 {
            until(&http, |s| s["trial"]["evidence"]["share"] == share).await;
            let served =
                canary_of(&http, &server, |s| s.canary().is_some_and(|c| u64::from(c.split.share) == share));
            assert_eq!(served.await.canary().unwrap().snapshot.meta.version, version);
        }
    }
    listed(&http, version, "promoted").await;
    let live = canary_of(&http, &server, |s| s.meta.observations.iter().sum::<u64>() == 40).await;
    assert!(live.meta.version > version);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_trial_goes_on_after_a_restart_with_what_was_seen() {
    let house = house("all");
    let (server, http) = house.serve().await;
    http.ingest(&records(0..40)).await;
    let version = on_trial(&http).await;
    http.ingest(&answers(1000, 60, "live", 1, |_| ())).await;
    http.ingest(&answers(2000, 35, "canary", version, |_| ())).await;
    http.rate("canary-2001", json!({"rating": 1})).await;
    let before = status(&http).await["trial"].clone();
    assert_eq!(before["evidence"]["requests"], json!({"live": 60, "canary": 35}));
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let after = status(&http).await["trial"].clone();
    assert_eq!((&after["version"], &after["since_ms"]), (&before["version"], &before["since_ms"]));
    let close = |key: &str| {
        let [a, b] = [&before, &after].map(|t| t["evidence"][key]["canary"].as_f64().unwrap());
        assert!((a - b).abs() < 1e-9, "{key}: {a} and {b}");
    };
    ["requests", "reward", "errors", "latency_ms"].into_iter().for_each(close);
    let served = canary_of(&http, &server, |s| s.canary().is_some()).await;
    assert_eq!(served.canary().unwrap().snapshot.meta.version, version);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn feedback_revises_what_was_seen_of_its_arm() {
    let house = house("all");
    let (server, http) = house.serve().await;
    http.ingest(&records(0..40)).await;
    let version = on_trial(&http).await;
    http.ingest(&answers(2000, 4, "canary", version, |_| ())).await;
    let reward = async || status(&http).await["trial"]["evidence"]["reward"]["canary"].as_f64().unwrap();
    let before = reward().await;
    http.rate("canary-2001", json!({"rating": 5})).await;
    assert!((reward().await - before - 0.1).abs() < 1e-9, "0.4 more in one of four");
    server.shutdown().await.unwrap();
}

/// Writes proposals into the log of a house that nobody serves from: signals tuned by nothing, where `tuned`, then
/// `learner`, begun anew. The next start takes them up. Gives their ids.
fn propose(house: &House, tuned: bool, learner: &State) -> Vec<i64> {
    let mut log = Log::open(&log::path(&house.dir.path().join("data"))).unwrap();
    let through = log.last_seq().unwrap();
    let state = learner.written(&learn::blank(&house.config()).unwrap()).unwrap();
    log.begin().unwrap();
    let step = Step { changes: vec![], rest: 0, time_ms: 0 };
    let mut ids = Vec::new();
    if tuned {
        ids.push(log.add_turn(&Turn::Tuned(step), 0).unwrap());
    }
    let id = log.add_turn(&Turn::Retrained { through }, 0).unwrap();
    log.add_candidate(id, through, &state, 0).unwrap();
    log.commit().unwrap();
    ids.push(id);
    ids
}

#[tokio::test]
async fn a_proposal_is_tried_while_what_is_streamed_goes_live() {
    let house = house("changes");
    let (server, http) = house.serve().await;
    http.ingest(&records(0..10)).await;
    http.learned(&server.public_key, 10).await;
    server.shutdown().await.unwrap();
    let ids = propose(&house, true, &learn::blank(&house.config()).unwrap());
    let (server, http) = house.serve().await;
    let version = on_trial(&http).await;
    assert_eq!(status(&http).await["trial"]["proposal"], ids[0]);
    http.ingest(&records(10..20)).await;
    let served = http.learned(&server.public_key, 20).await;
    assert_eq!(served.canary().unwrap().snapshot.meta.version, version, "frozen beside what goes on");
    // A failing canary goes within few requests; the next proposal has its turn.
    http.ingest(&answers(1000, 300, "live", 2, |_| ())).await;
    http.ingest(&answers(2000, 40, "canary", version, |r| r.response.status = 503)).await;
    listed(&http, version, "withdrawn").await;
    until(&http, |s| s["trial"]["proposal"] == ids[1]).await;
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_candidate_that_the_log_knows_to_be_bad_gets_no_traffic() {
    let mut house = house("changes");
    house.document["policy"] = json!({"alpha": 0, "cost_weight": 0});
    let (server, http) = house.serve().await;
    // Drawn evenly, one model answers and the other does not; live has learned it.
    let mut all = answers(0, 600, "live", 1, |_| ());
    for (n, one) in all.iter_mut().enumerate() {
        let names = ["default/small", "default/large"];
        let mut candidate = one.candidates[0].clone();
        candidate.propensity = 0.5;
        one.candidates = names
            .map(|route| dragoman_core::replay::CandidateRecord { route: route.into(), ..candidate.clone() })
            .into();
        let taken = n % 2;
        (one.route, one.model) = (Some(names[taken].into()), ["small", "large"][taken].into());
        one.response.status = [200, 503][taken];
        one.propensity = 0.5;
    }
    for part in all.chunks(200) {
        http.ingest(part).await;
    }
    http.learned(&server.public_key, 600).await;
    // Taught the opposite.
    let config = house.config();
    let mut state = learn::blank(&config).unwrap();
    for mut one in all {
        one.response.status = 703 - one.response.status;
        state.observe(&one);
    }
    server.shutdown().await.unwrap();
    propose(&house, false, &state);
    let (server, http) = house.serve().await;
    for _ in 0..200 {
        if metrics(&http).await.contains("dragoman_canaries_total{outcome=\"refused\"} 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    metrics_line(&metrics(&http).await, "dragoman_canaries_total{outcome=\"refused\"} 1");
    assert!(status(&http).await["trial"].is_null());
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_changed_configuration_ends_a_trial() {
    let mut house = house("all");
    house.document["reload"] = json!({"watch_seconds": 0});
    let (server, http) = house.serve_file().await;
    http.ingest(&records(0..40)).await;
    let version = on_trial(&http).await;
    house.document["models"]["small"]["price"]["input"] = json!(0.2);
    house.write();
    assert_eq!(http.post("/v1/reload", &json!({})).await.status, StatusCode::OK);
    listed(&http, version, "withdrawn").await;
    server.shutdown().await.unwrap();
}
