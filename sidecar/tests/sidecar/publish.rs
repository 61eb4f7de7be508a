//! Snapshots: signed, pushed to Envoy, served to those who ask.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use dragoman_core::snapshot::{Snapshot, VerifyingKey};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::common::{House, parameters, records};

/// An Envoy that takes snapshots, or refuses them with a status.
struct Envoy {
    taken: Arc<Mutex<Vec<Bytes>>>,
    task: JoinHandle<()>,
}

impl Envoy {
    async fn start(port: u16, status: StatusCode) -> (Self, u16) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let seen = taken.clone();
        let take = async move |body: Bytes| {
            seen.lock().unwrap().push(body);
            (status, "{\"version\":1}")
        };
        let app = Router::new().route("/v1/snapshot", post(take));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (Self { taken, task }, port)
    }

    async fn wait(&self, count: usize) {
        for _ in 0..400 {
            if self.taken.lock().unwrap().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the push never came");
    }

    fn last(&self, key: &VerifyingKey) -> Snapshot {
        Snapshot::decode(self.taken.lock().unwrap().last().unwrap(), key).unwrap()
    }
}

#[tokio::test]
async fn what_was_learned_is_pushed_and_is_what_is_served() {
    let (envoy, port) = Envoy::start(0, StatusCode::OK).await;
    let mut house = House::new();
    house.document["listen"]["push"] = json!(format!("127.0.0.1:{port}"));
    let (server, http) = house.serve().await;
    envoy.wait(1).await;
    assert_eq!(
        envoy.last(&server.public_key).meta.observations,
        [0, 0],
        "at once, before anything is learned"
    );
    http.ingest(&records(0..30)).await;
    let served = http.learned(&server.public_key, 30).await;
    envoy.wait(2).await;
    assert_eq!(envoy.last(&server.public_key), served);
    let stranger = dragoman_core::snapshot::SigningKey::from_bytes(&[1; 32]).verifying_key();
    assert!(Snapshot::decode(envoy.taken.lock().unwrap().last().unwrap(), &stranger).is_err());
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "dragoman_replays_ingested_total 30",
        "dragoman_learner_observations{route=\"default/large\"} 10",
        "dragoman_reward_count{route=\"default/small\"} 20",
        "dragoman_queue_depth 0",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_push_is_tried_again_until_envoy_is_back() {
    let (envoy, port) = Envoy::start(0, StatusCode::OK).await;
    envoy.task.abort();
    drop(envoy.task.await);
    let mut house = House::new();
    house.document["listen"]["push"] = json!(format!("127.0.0.1:{port}"));
    let (server, http) = house.serve().await;
    assert_eq!(http.ingest(&records(0..5)).await["accepted"], 5, "ingest does not wait for Envoy");
    let served = http.learned(&server.public_key, 5).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let (envoy, _) = Envoy::start(port, StatusCode::OK).await;
    envoy.wait(1).await;
    assert_eq!(envoy.last(&server.public_key), served, "the newest, not the first");
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    assert!(!metrics.contains("dragoman_push_failures_total 0"), "{metrics}");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_a_failure_that_blocks_nothing() {
    let (envoy, port) = Envoy::start(0, StatusCode::BAD_REQUEST).await;
    let mut house = House::new();
    house.document["listen"]["push"] = json!(format!("127.0.0.1:{port}"));
    let (server, http) = house.serve().await;
    envoy.wait(2).await;
    http.ingest(&records(0..5)).await;
    http.learned(&server.public_key, 5).await;
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn versions_rise_over_restarts_and_the_last_twenty_are_kept() {
    let house = House::new();
    let mut last = 0;
    for round in 1..=23 {
        let (server, http) = house.serve().await;
        let version = http.snapshot(&server.public_key, |s| s.meta.version > last).await.meta.version;
        assert!(version > last, "round {round}");
        last = version;
        if round == 23 {
            let list = http.get("/v1/snapshots").await.json();
            assert_eq!(list["current"], json!(last));
            assert_eq!(list["items"].as_array().unwrap().len(), 20);
            assert_eq!(list["items"][0]["version"], json!(last));
        }
        server.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_snapshot_is_sent_only_to_those_who_have_an_older_one() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let version = http.learned(&server.public_key, 0).await.meta.version;
    let etag = format!("\"{version}\"");
    assert_eq!(http.get("/v1/snapshot").await.headers["etag"], etag);
    let known = http.send(Method::GET, "/v1/snapshot", &[("if-none-match", &etag)], vec![]).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let older = http.send(Method::GET, "/v1/snapshot", &[("if-none-match", "\"0\"")], vec![]).await;
    assert_eq!(older.status, StatusCode::OK);
    let newer_than = async |v: u64| http.get(&format!("/v1/snapshot?newer_than={v}")).await.status;
    assert_eq!(newer_than(version).await, StatusCode::NOT_MODIFIED);
    assert_eq!(newer_than(version - 1).await, StatusCode::OK);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_batch_rebuilds_the_same_bits_and_publishes_them() {
    let mut house = House::new();
    house.document["learner"]["batch_seconds"] = json!(5);
    let (server, http) = house.serve().await;
    for chunk in 0..10 {
        http.ingest(&records(chunk * 10..chunk * 10 + 10)).await;
        http.rate(&crate::common::record(chunk * 7).id, json!({"rating": 1 + chunk % 5})).await;
    }
    let streamed = http.learned(&server.public_key, 100).await;
    for _ in 0..200 {
        let list = http.get("/v1/snapshots").await.json();
        if list["items"][0]["tag"] == "batch" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(http.get("/v1/snapshots").await.json()["items"][0]["tag"], "batch");
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("dragoman_rebuild_mismatches_total 0"), "{metrics}");
    let batch = http.learned(&server.public_key, 100).await;
    assert!(batch.meta.version > streamed.meta.version);
    // The last feedback may have come after `streamed`; the batch must be what a restart makes of the log.
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let version = batch.meta.version;
    let restarted = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    assert_eq!(parameters(&restarted), parameters(&batch));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn other_reward_weights_recount_what_was_learned() {
    let mut house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&records(0..10)).await;
    http.rate(&crate::common::record(1).id, json!({"rating": 5})).await;
    let before = http.get("/v1/router_replay").await.json();
    server.shutdown().await.unwrap();
    house.document["reward"] = json!({"quality": 0.1, "satisfaction": 0.9});
    let (server, http) = house.serve().await;
    let after = http.get("/v1/router_replay").await.json();
    assert_ne!(before, after);
    let one = http.get(&format!("/v1/router_replay/{}", crate::common::record(1).id)).await.json();
    assert_eq!(after["items"][8]["reward"], one["reward"]["total"]);
    server.shutdown().await.unwrap();
}
