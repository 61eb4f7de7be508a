//! Signals are tuned by what decisions earn, in steps that everyone can look up.

use dragoman_core::config::Condition;
use dragoman_core::replay::{Escalated, ReplayRecord};
use dragoman_core::signals::EmbeddingHit;
use dragoman_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::common::{House, record};

/// Code goes to `large` from .6 on; the rest to `small`.
fn house() -> House {
    let mut house = House::new();
    house.document["decisions"] = json!([
        {"name": "code", "priority": 5, "when": [{"signal": "code", "above": 0.6}], "models": ["large"]},
        {"name": "rest", "models": ["small"]},
    ]);
    // Proposals count at once: how they are tried is the guard's own test.
    house.document["guard"] = json!({"canary": "none"});
    house.document["optimizer"] = json!({"every": 100, "samples": 20, "rate": 1.0});
    house
}

/// `large` answers everything, `small` fails at whatever is more code than .3; one record a second.
fn asked(n: u64) -> ReplayRecord {
    let mut record = record(n);
    let code = (n * 37 % 100) as f32 / 100.0;
    let (decision, model) = if code > 0.6 { ("code", "large") } else { ("rest", "small") };
    record.time_ms += n * 1000;
    record.signals.code = code;
    record.decision = Some(decision.into());
    record.model = model.into();
    record.route = Some(format!("{decision}/{model}"));
    record.response.status = if model == "small" && code > 0.3 { 503 } else { 200 };
    record
}

fn threshold(snapshot: &Snapshot) -> f32 {
    let code = snapshot.meta.routing.decisions.iter().find(|d| d.name == "code").unwrap();
    match code.when.as_slice() {
        [Condition::Above(_, threshold)] => *threshold,
        other => panic!("{other:?}"),
    }
}

fn audit(house: &House) -> Vec<Value> {
    let log = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let mut rows = log.prepare("SELECT detail FROM audit WHERE what = 'tuned' ORDER BY seq").unwrap();
    let rows = rows.query_map([], |r| r.get::<_, String>(0)).unwrap();
    rows.map(|text| serde_json::from_str(&text.unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_threshold_moves_step_by_step_and_the_audit_says_why() {
    let mut house = house();
    let (server, http) = house.serve_file().await;
    // 1,200 records are twelve times `every`, but 20 minutes: at most four steps.
    for start in (0..1200).step_by(100) {
        http.ingest(&(start..start + 100).map(asked).collect::<Vec<_>>()).await;
    }
    let tuned = http.snapshot(&server.public_key, |s| threshold(s) <= 0.501).await;
    let steps = audit(&house);
    assert!((2..=4).contains(&steps.len()), "{steps:?}");
    for step in &steps {
        let change = &step["change"];
        assert_eq!(
            (&change["knob"]["decision"], &change["knob"]["signal"]),
            (&json!("code"), &json!("code"))
        );
        let (before, after) = (change["before"].as_f64().unwrap(), change["after"].as_f64().unwrap());
        assert!(before - after <= 0.05 + 1e-9 && after < before && after >= 0.5, "{change}");
        assert!(
            change["samples"].as_u64().unwrap() >= 40 && change["gain"].as_f64().unwrap() > 0.3,
            "{change}"
        );
    }
    server.shutdown().await.unwrap();

    let (server, http) = house.serve_file().await;
    let again = http.snapshot(&server.public_key, |s| s.meta.version > tuned.meta.version).await;
    assert_eq!(threshold(&again), threshold(&tuned), "the log remembers");
    // The operator's newer word counts.
    house.document["decisions"][0]["when"][0]["above"] = json!(0.8);
    house.write();
    assert_eq!(http.post("/v1/reload", &json!({})).await.status.as_u16(), 200);
    let edited = http.snapshot(&server.public_key, |s| s.meta.version > again.meta.version).await;
    assert_eq!(threshold(&edited), 0.8);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn switched_off_nothing_is_tuned() {
    let mut house = house();
    house.document["optimizer"]["enabled"] = json!(false);
    let (server, http) = house.serve().await;
    http.ingest(&(0..500).map(asked).collect::<Vec<_>>()).await;
    let snapshot = http.learned(&server.public_key, 500).await;
    assert_eq!((threshold(&snapshot), audit(&house).len()), (0.6, 0));
    server.shutdown().await.unwrap();
}

/// What is near the rule, from .7 on, goes to `large`; the rest by scores, which are equal, to `small`.
fn near_house() -> House {
    let mut house = house();
    house.document["encoder"]["path"] =
        json!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dragoman-small"));
    house.document["signals"] =
        json!({"embeddings": [{"name": "e", "candidates": ["reset my password"], "threshold": 0.7}]});
    house.document["decisions"] = json!([
        {"name": "near", "priority": 5, "when": [{"any": [{"embedding": "e"}]}], "models": ["large"]},
        {"name": "rest", "models": ["small", "large"], "policy": {"kind": "static"}},
    ]);
    house
}

/// `large` answers everything, `small` fails at whatever is nearer than .3, and is escalated to `large` every other time.
fn near(n: u64) -> ReplayRecord {
    let score = (n * 37 % 100) as f32 / 100.0;
    let hit = EmbeddingHit { rule: "e".into(), score, max: score, mean: score, ..Default::default() };
    let (decision, model) = if score >= 0.7 { ("near", "large") } else { ("rest", "small") };
    let mut record = asked(n);
    // No context of that encoder: the rewards alone are of interest.
    record.context = None;
    record.signals.code = 0.0;
    match score >= 0.7 {
        true => record.signals.embeddings = vec![hit],
        false => record.signals.missed = vec![hit],
    }
    record.decision = Some(decision.into());
    record.model = model.into();
    record.route = Some(format!("{decision}/{model}"));
    record.propensity = 1.0;
    let fails = model == "small" && score > 0.3;
    record.response.status = if fails { 503 } else { 200 };
    if fails && n.is_multiple_of(2) {
        record.response.status = 200;
        record.escalated_to = Some(Escalated { model: "large".into(), route: None });
    }
    record
}

#[tokio::test]
async fn a_near_miss_lowers_an_embedding_rules_threshold_and_failures_a_models_score() {
    let house = near_house();
    let (server, http) = house.serve_file().await;
    for start in (0..1200).step_by(100) {
        http.ingest(&(start..start + 100).map(near).collect::<Vec<_>>()).await;
    }
    let score =
        |s: &Snapshot| s.meta.routing.decisions.iter().find(|d| d.name == "rest").unwrap().score("small");
    let tuned = |s: &Snapshot| s.meta.routing.embeddings[0].threshold < 0.64 && score(s) < 0.94;
    let tuned = http.snapshot(&server.public_key, tuned).await;
    assert!(tuned.meta.routing.embeddings[0].threshold >= 0.5 && score(&tuned) >= 0.3);
    assert_eq!(tuned.meta.routing.best_score(&tuned.meta.routing.decisions[1].routes), Some(2), "large now");
    let knobs: Vec<Value> = audit(&house).iter().map(|row| row["change"]["knob"]["kind"].clone()).collect();
    assert!(knobs.contains(&json!("embedding")) && knobs.contains(&json!("score")), "{knobs:?}");
    server.shutdown().await.unwrap();
}
