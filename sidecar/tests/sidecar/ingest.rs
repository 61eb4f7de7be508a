//! `POST /v1/replays`.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::common::{House, record, records};

#[tokio::test]
async fn a_batch_sent_again_changes_nothing() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let answer = http.ingest(&records(0..20)).await;
    assert_eq!(answer, json!({"accepted": 20, "duplicates": 0, "rejected": []}));
    let once = http.learned(&server.public_key, 20).await;
    let answer = http.ingest(&records(10..22)).await;
    assert_eq!(answer, json!({"accepted": 2, "duplicates": 10, "rejected": []}));
    let twice = http.learned(&server.public_key, 22).await;
    assert!(twice.meta.version > once.meta.version);
    let twins = http.ingest(&[record(50), record(50)]).await;
    assert_eq!(twins, json!({"accepted": 1, "duplicates": 1, "rejected": []}), "also within one batch");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bad_record_is_refused_by_itself() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let mut batch = json!([record(0), record(1), record(2), record(3), {"schema": 1, "id": "x"}, 7]);
    batch[1]["schema"] = json!(2);
    batch[2]["cost"] = json!(-1);
    batch[3]["context"] = json!("AHwAfA==");
    let answer = http.post("/v1/replays", &batch).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = answer.json();
    assert_eq!(answer["accepted"], 1);
    let why: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|r| r["why"].as_str().unwrap()).collect();
    let places: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2, 3, 4, 5]);
    for (why, part) in
        why.iter().zip(["schema 2", "cost must be", "not finite", "missing field", "not a replay record"])
    {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(answer["rejected"][0]["id"], json!(record(1).id));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn lines_are_taken_like_an_array_and_nonsense_is_answered_in_a_sentence() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let line = |n| serde_json::to_string(&record(n)).unwrap();
    let body = format!("{}\n\n{}\r\nnonsense\n", line(0), line(1));
    let answer = http.send(Method::POST, "/v1/replays", &[], body.into_bytes()).await.json();
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["index"]), (&json!(2), &json!(3)));
    let answer = http.send(Method::POST, "/v1/replays", &[], b"[{\"a\":".to_vec()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.message().starts_with("the batch is not a JSON array of records"));
    let answer = http.send(Method::POST, "/v1/replays", &[], vec![b' '; (32 << 20) + 1]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_prompt_is_kept_only_if_the_configuration_says_so() {
    let mut house = House::new();
    let mut told = record(0);
    told.prompt = Some("a secret".into());
    for (mode, kept) in [("none", false), ("full", true)] {
        house.document["privacy"] = json!({"store_prompts": mode});
        house.document["data_dir"] = json!(house.dir.path().join(mode));
        let (server, http) = house.serve().await;
        http.ingest(std::slice::from_ref(&told)).await;
        let stored = http.get(&format!("/v1/router_replay/{}", told.id)).await.json();
        assert_eq!(stored["record"]["prompt"] == json!("a secret"), kept);
        let metrics = http.get("/metrics").await;
        assert!(!String::from_utf8_lossy(&metrics.body).contains("secret"));
        server.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_context_of_another_encoder_is_kept_but_teaches_nothing() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let mut other = record(1);
    other.context =
        Some(dragoman_core::context::Context::new(Some(&[0.1; 3]), 3, &other.signals, &other.request));
    assert_eq!(http.ingest(&[other, record(2)]).await["accepted"], 2);
    http.learned(&server.public_key, 1).await;
    let metrics = http.get("/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("dragoman_replays_not_learned_total 1"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn many_senders_at_once_lose_nothing() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let http = std::sync::Arc::new(http);
    let senders = (0..20).map(|i| {
        let http = http.clone();
        tokio::spawn(
            async move { http.ingest(&records(i * 20..i * 20 + 20)).await["accepted"].as_u64().unwrap() },
        )
    });
    let mut accepted = 0;
    for sender in senders.collect::<Vec<_>>() {
        accepted += sender.await.unwrap();
    }
    assert_eq!(accepted, 400);
    http.learned(&server.public_key, 400).await;
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_filter_with_another_encoder_is_noticed_and_its_records_are_kept() {
    let house = House::new();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dragoman-small/model.fused");
    std::fs::copy(model, house.dir.path().join("model.fused")).unwrap();
    let (server, http) = house.serve().await;
    let batch = serde_json::to_vec(&records(0..3)).unwrap();
    let noticed = async || {
        let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
        metrics.contains("dragoman_foreign_encoder_batches_total 1")
    };
    http.send(Method::POST, "/v1/replays", &[], batch.clone()).await;
    assert!(!noticed().await, "who says nothing may hold any");
    let other = [("x-dragoman-encoder", "00000000")];
    let answer = http.send(Method::POST, "/v1/replays", &other, batch).await.json();
    assert_eq!(answer["duplicates"], 3);
    assert!(noticed().await);
    server.shutdown().await.unwrap();
}
