//! `dragoman evaluate`, as a process beside the sidecar that keeps the log.

use std::path::Path;
use std::process::{Command, Output};

use dragoman_core::config::RewardConfig;
use dragoman_core::context::Context;
use dragoman_core::decision::decide;
use dragoman_core::replay::{CandidateRecord, ReplayRecord};
use dragoman_core::response::ResponseFacts;
use dragoman_core::reward::Reward;
use dragoman_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::common::{D, House, LARGE, SMALL, record};

/// Record `n` of a log in which each model was as likely: `small` answers, `large` always fails.
fn decided(n: u64) -> ReplayRecord {
    let base = record(n);
    let (route, model, status) =
        if n.is_multiple_of(2) { (SMALL, "small", 200) } else { (LARGE, "large", 503) };
    let candidate = |route: &str| CandidateRecord {
        route: route.into(),
        reward: 0.0,
        bonus: 0.0,
        cost: if route == SMALL { 1e-4 } else { 1e-3 },
        utility: 0.1,
        propensity: 0.5,
    };
    ReplayRecord {
        candidates: vec![candidate(SMALL), candidate(LARGE)],
        route: Some(route.into()),
        model: model.into(),
        propensity: 0.5,
        response: ResponseFacts { status, ..base.response },
        cost: 0.0,
        ..base
    }
}

fn decided_all(n: u64) -> Vec<ReplayRecord> {
    (0..n).map(decided).collect()
}

fn evaluate(house: &House, args: &[&str]) -> Output {
    let file = house.dir.path().join("dragoman.yaml");
    std::fs::write(&file, serde_yaml_ng::to_string(&house.document).unwrap()).unwrap();
    run(&file, args)
}

fn run(config: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    command.arg("evaluate").args(args).arg("--config").arg(config).output().unwrap()
}

fn answer(house: &House, args: &[&str]) -> Value {
    let output = evaluate(house, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(house: &House, args: &[&str]) -> String {
    let output = evaluate(house, args);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn near(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-6
}

#[tokio::test]
async fn fixed_models_are_worth_what_they_earned_and_the_logged_policy_the_mean() {
    let house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&decided_all(200)).await;
    let small = answer(&house, &["--policy", "fixed:small"]);
    assert!(near(&small["logged"]["value"], 0.04), "{small}");
    for estimator in ["ips", "snips"] {
        assert!(near(&small[estimator]["value"], 0.48), "{estimator} in {small}");
    }
    assert!(near(&small["difference"]["value"], 0.44) && small["verdict"] == "better", "{small}");
    assert!(near(&small["effective"], 100.0) && near(&small["largest_weight"], 2.0), "{small}");
    assert!(near(&small["dollars"]["target_predicted"], 1e-4), "{small}");
    assert!(near(&small["dollars"]["logged_predicted"], 5.5e-4), "{small}");
    assert_eq!(answer(&house, &["--policy", "fixed:large"])["verdict"], "worse");
    for same in ["logged", "uniform"] {
        let same = answer(&house, &["--policy", same]);
        assert_eq!(same["difference"], json!({"value": 0.0, "low": 0.0, "high": 0.0}));
        assert!(near(&same["ips"]["value"], 0.04) && near(&same["dr"]["value"], 0.04), "{same}");
    }
    // What users say later counts.
    http.rate(&decided(0).id, json!({"rating": 5})).await;
    let rated = answer(&house, &["--policy", "fixed:small"]);
    assert!(near(&rated["ips"]["value"], 0.48 + 0.4 / 100.0), "{rated}");
    let table = String::from_utf8(evaluate(&house, &["--policy", "fixed:small"]).stdout).unwrap();
    for part in ["target, doubly robust", "target: fixed:small; 200 of 200 records", "The target is better"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    server.shutdown().await.unwrap();
    assert!(
        near(&answer(&house, &["--policy", "logged"])["logged"]["value"], 0.042),
        "without a sidecar too"
    );
}

#[tokio::test]
async fn a_snapshot_is_judged_by_what_it_would_have_decided() {
    let mut house = House::new();
    house.document["policy"] = json!({"epsilon": 0.2});
    let (server, http) = house.serve().await;
    let records = decided_all(60);
    http.ingest(&records).await;
    let snapshot = http.learned(&server.public_key, 60).await;
    let version = snapshot.meta.version.to_string();
    let told = answer(&house, &["--snapshot", &version]);
    let expected = expected(&snapshot, &records);
    assert!(near(&told["ips"]["value"], expected), "{expected} in {told}");
    assert!(told["target"].as_str().unwrap().contains(&version), "{told}");

    let file = house.dir.path().join("exported");
    std::fs::write(&file, http.get("/v1/snapshot").await.body).unwrap();
    let exported = answer(&house, &["--snapshot", file.to_str().unwrap()]);
    assert_eq!(exported["ips"], told["ips"]);
    let same = answer(&house, &["--policy", "linucb"]);
    assert_eq!(same["ips"], told["ips"], "the configuration has not changed");

    let greedy = answer(&house, &["--policy", "linucb", "--epsilon", "0", "--alpha", "0"]);
    assert_ne!(greedy["ips"], told["ips"]);
    let mut free = snapshot.clone();
    (free.meta.routing.policy.epsilon, free.meta.routing.policy.alpha) = (0.0, 0.0);
    let expected = self::expected(&free, &records);
    assert!(near(&greedy["ips"]["value"], expected), "{expected} in {greedy}");
    assert!(told["warnings"].to_string().contains("may have learned from them"), "{told}");

    // A dollar weighs what the configuration says, not what it did in the snapshot: nothing is worth it any more.
    house.document["policy"] = json!({"epsilon": 0.0, "cost_weight": 1e5});
    house.document["default_model"] = json!("large");
    let thrifty = answer(&house, &["--policy", "linucb"]);
    assert!(thrifty["ips"]["value"].as_f64().unwrap() < 0.0, "the default model always fails: {thrifty}");
    server.shutdown().await.unwrap();
}

/// IPS by hand.
fn expected(snapshot: &Snapshot, records: &[ReplayRecord]) -> f64 {
    let term = |r: &ReplayRecord| {
        let context = r.context.as_ref().unwrap();
        let decision = decide(snapshot, context, &r.signals, r.api, &r.request, None, 0.9).unwrap();
        let routes = &snapshot.meta.routing.routes;
        let taken =
            decision.candidates.iter().find(|c| Some(&routes[c.route].name) == r.route.as_ref()).unwrap();
        let reward = Reward::of(&RewardConfig::default(), &r.response, r.cost, &[]).total;
        f64::from(taken.propensity) / 0.5 * reward
    };
    records.iter().map(term).sum::<f64>() / records.len() as f64
}

#[tokio::test]
async fn what_says_nothing_of_a_policy_is_left_out_and_counted() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let mut records = decided_all(46);
    (records[0].route, records[0].candidates) = (None, vec![]);
    records[1].response.status = 0;
    records[2].response.status = 0;
    records[3].response.status = 0;
    records[4].candidates[0].propensity = 0.9;
    records[5].context = Some(Context::new(None, D + 1, &records[5].signals, &records[5].request));
    records[6].sticky = true;
    http.ingest(&records).await;
    let told = answer(&house, &["--policy", "static"]);
    assert_eq!(
        told["left_out"],
        json!({"not_decided": 1, "held": 1, "client_left": 3, "other_context": 1, "unusable": 1})
    );
    assert_eq!((&told["records"], &told["n"]), (&json!(46), &json!(39)));
    assert!(told["warnings"].to_string().contains("the client left 3 of 46 requests"), "{told}");
    let window =
        ["--policy", "logged", "--since", "2023-11-14T22:13:20.010Z", "--until", "2023-11-14T22:13:20.020Z"];
    assert_eq!(answer(&house, &window)["n"], json!(10));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_judged_is_refused_in_a_sentence() {
    let house = House::new();
    let none = refusal(&house, &["--policy", "logged"]);
    assert!(none.contains("there is no replay log at") && none.contains("replay.db"), "{none}");
    let (server, http) = house.serve().await;
    http.learned(&server.public_key, 0).await;
    assert!(refusal(&house, &["--policy", "logged"]).contains("no records in this window"));
    let mut record = decided(1);
    record.context = Some(Context::new(None, D + 1, &record.signals, &record.request));
    http.ingest(&[record]).await;
    for (args, part) in [
        (&["--snapshot", "999"][..], "there is no snapshot 999; kept are: "),
        (&["--snapshot", "nowhere.bin"], "nowhere.bin: is no version, and no file can be read there"),
        (&["--policy", "wise"], "--policy wise: there is no such policy"),
        (&["--policy", "fixed:huge"], "\"huge\" is not among the models (small, large)"),
        (&["--policy", "uniform", "--alpha", "1"], "mean nothing to --policy uniform"),
        (&["--policy", "linucb", "--epsilon", "2"], "--epsilon must be from 0 to 1, not 2"),
        (&["--policy", "linucb"], "no record has a context of the size that the target takes"),
        (&["--policy", "logged", "--since", "soon"], "--since soon: is neither a time"),
    ] {
        let told = refusal(&house, args);
        assert!(told.contains(part), "{part} in\n{told}");
    }
    let forged = house.dir.path().join("forged");
    let stranger = dragoman_core::snapshot::SigningKey::from_bytes(&[1; 32]);
    let blob = http.get("/v1/snapshot").await.body;
    let snapshot = Snapshot::decode(&blob, &server.public_key).unwrap();
    std::fs::write(&forged, snapshot.encode(&stranger).unwrap()).unwrap();
    let told = refusal(&house, &["--snapshot", forged.to_str().unwrap()]);
    assert!(told.contains("signature does not fit"), "{told}");
    server.shutdown().await.unwrap();
}
