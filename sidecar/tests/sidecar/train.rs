//! Full retrains, asked for in every way.

use std::process::Command;

use dragoman_core::policy::Features;
use serde_json::{Value, json};

use crate::common::{House, distance, parameters, record, records};

/// So many observations make features final.
const FINAL: u64 = 4096;

fn dragoman_train(house: &House) -> Result<Value, String> {
    house.write();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    let output = command.args(["train", "--config"]).arg(house.file()).output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Proposals count at once: how they are tried is the guard's own test.
fn untried() -> House {
    let mut house = House::new();
    house.document["guard"] = json!({"canary": "none"});
    house
}

#[tokio::test]
async fn a_retrain_refits_features_and_survives_a_restart_to_the_bit() {
    let house = untried();
    let (server, http) = house.serve().await;
    for start in (0..5000).step_by(500) {
        http.ingest(&records(start..start + 500)).await;
    }
    let old = http.learned(&server.public_key, 5000).await;
    let answer = http.post("/v1/train", &json!({})).await;
    assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    let told = answer.json();
    assert_eq!((&told["status"], &told["observations"]), (&json!("promoted"), &json!(5000)));
    assert_eq!(told["prompts"], FINAL);
    let version = old.meta.version;
    let new = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    assert_eq!(new.meta.observations, old.meta.observations);
    assert_ne!(new.features, old.features, "they are of the newest prompts");
    assert!(matches!(new.features, Features::Landmarks(_)));
    // Feedback on what came before the retrain, and new records, count on it.
    for n in [10, 4990] {
        assert_eq!(http.rate(&record(n).id, json!({"rating": 1})).await.json()["status"], "counted");
    }
    http.ingest(&records(5000..5100)).await;
    let streamed = http.learned(&server.public_key, 5100).await;
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let rebuilt = http.snapshot(&server.public_key, |s| s.meta.version > streamed.meta.version).await;
    assert_eq!(rebuilt.features, new.features);
    assert_eq!(distance(&rebuilt, &streamed), 0.0);
    assert_eq!(parameters(&rebuilt), parameters(&streamed));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn while_features_are_still_refitted_by_themselves_nothing_is_done() {
    let mut house = untried();
    house.document["listen"]["sidecar"] = json!(format!("127.0.0.1:{}", free_port()));
    let (server, http) = house.serve().await;
    http.ingest(&records(0..100)).await;
    let answer = http.post("/v1/train", &json!({})).await.json();
    assert_eq!(answer["status"], "not_needed");
    assert!(answer["why"].as_str().unwrap().contains("up to 4096"));
    let told = tokio::task::spawn_blocking({
        let file = house.file();
        house.write();
        move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
            command.args(["train", "--config"]).arg(file).output().unwrap()
        }
    });
    let told: Value = serde_json::from_slice(&told.await.unwrap().stdout).unwrap();
    assert_eq!(told, answer, "the command asks the sidecar that runs");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_a_sidecar_the_command_leaves_a_proposal_that_the_next_one_takes_up() {
    let house = untried();
    assert!(dragoman_train(&house).unwrap_err().contains("there is nothing to learn from"));
    let (server, http) = house.serve().await;
    for start in (0..FINAL).step_by(512) {
        http.ingest(&records(start..start + 512)).await;
    }
    let old = http.learned(&server.public_key, FINAL).await;
    server.shutdown().await.unwrap();
    let told = dragoman_train(&house).unwrap();
    assert_eq!((&told["status"], &told["observations"]), (&json!("proposed"), &json!(FINAL)));
    let (server, http) = house.serve().await;
    let new = http.snapshot(&server.public_key, |s| s.meta.version > old.meta.version + 1).await;
    assert_eq!(new.meta.observations, old.meta.observations);
    server.shutdown().await.unwrap();
    let log = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let audit: Vec<String> = log
        .prepare("SELECT what FROM audit WHERE what IN ('retrained', 'promoted') ORDER BY seq")
        .unwrap()
        .query_map([], |r| r.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(audit, ["retrained", "promoted"]);
}
