//! `/v1/embeddings` by the shipped encoder.

use axum::http::StatusCode;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::common::{House, Http};
use dragoman_sidecar::Server;

fn shipped() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dragoman-small").to_owned()
}

async fn encoding() -> (House, Server, Http) {
    let mut house = House::new();
    house.document["encoder"] = json!({"mode": "sidecar", "path": shipped(), "threads": 2});
    let (server, http) = house.serve().await;
    (house, server, http)
}

async fn ask(http: &Http, question: &Value) -> (StatusCode, Value) {
    let answer = http.post("/v1/embeddings", question).await;
    (answer.status, answer.json())
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[tokio::test]
async fn texts_become_the_vectors_that_the_model_ships_with() {
    let (_house, server, http) = encoding().await;
    let file = std::fs::read_to_string(format!("{}/vectors.json", shipped())).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&file).unwrap();
    let texts: Vec<&Value> = vectors.iter().map(|v| &v["text"]).collect();
    let (status, answer) = ask(&http, &json!({"input": texts, "model": "any"})).await;
    assert_eq!(
        (status, answer["object"].as_str(), answer["model"].as_str()),
        (StatusCode::OK, Some("list"), Some("any"))
    );
    for (i, (item, expected)) in answer["data"].as_array().unwrap().iter().zip(&vectors).enumerate() {
        assert_eq!(item["index"], i);
        let pairs = numbers(&item["embedding"]).into_iter().zip(numbers(&expected["embedding"]));
        let cosine: f32 = pairs.map(|(a, b)| a * b).sum();
        assert!(cosine >= 0.999, "{}: {cosine}, less than int8 gives", expected["text"]);
    }
    let tokens: usize = vectors.iter().map(|v| v["ids"].as_array().unwrap().len()).sum();
    assert_eq!(answer["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    // One text, its numbers in base64.
    let one = json!({"input": texts[3], "encoding_format": "base64"});
    let (_, packed) = ask(&http, &one).await;
    let text = packed["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let (words, _) = bytes.as_chunks::<4>();
    let read: Vec<f32> = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
    assert_eq!(read, numbers(&answer["data"][3]["embedding"]));
    assert!(
        String::from_utf8_lossy(&http.get("/metrics").await.body)
            .contains(&format!("dragoman_embeddings_total {}", vectors.len() + 1))
    );
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_no_question_is_refused_in_openais_shape() {
    let (_house, server, http) = encoding().await;
    for (question, code) in [
        (json!({}), "invalid_input"),
        (json!({"input": 1}), "invalid_input"),
        (json!({"input": []}), "invalid_input"),
        (json!({"input": [[1, 2]]}), "invalid_input"),
        (json!({"input": vec!["x"; 257]}), "invalid_input"),
        (json!({"input": "x", "encoding_format": "hex"}), "invalid_input"),
        (json!({"input": "x", "dimensions": 7}), "invalid_dimensions"),
    ] {
        let (status, answer) = ask(&http, &question).await;
        let error = &answer["error"];
        assert_eq!((status, error["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)), "{answer}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().is_some_and(|m| m.contains(' ')), "{answer}");
    }
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let (_house, server, http) = encoding().await;
    // Different texts, long enough that the first 256 still wait when the others come.
    let texts =
        |salt: &str| (0..256).map(|i| format!("{salt} {i} {}", "word ".repeat(200))).collect::<Vec<_>>();
    let asked = ["a", "b", "c"].map(|salt| json!({"input": texts(salt)}));
    let answers = tokio::join!(ask(&http, &asked[0]), ask(&http, &asked[1]), ask(&http, &asked[2]),);
    let refused: Vec<_> =
        [answers.0, answers.1, answers.2].into_iter().filter(|a| a.0 != StatusCode::OK).collect();
    assert!(!refused.is_empty());
    for (status, answer) in refused {
        assert_eq!(
            (status, answer["error"]["code"].as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, Some("queue_full"))
        );
    }
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_that_mode_no_encoder_runs_here() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let (status, answer) = ask(&http, &json!({"input": "x"})).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (StatusCode::NOT_FOUND, Some("no_encoder")));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_folder_without_a_usable_model_stops_the_start_with_a_sentence() {
    let mut house = House::new();
    house.document["encoder"]["mode"] = json!("sidecar");
    let why = Server::start(house.config()).await.err().unwrap().to_string();
    assert!(why.contains("has no model.fused or model.onnx; point encoder.path"), "{why}");
    for name in ["model.onnx", "tokenizer.json"] {
        std::fs::copy(format!("{}/{name}", shipped()), house.dir.path().join(name)).unwrap();
    }
    let why = Server::start(house.config()).await.err().unwrap().to_string();
    assert!(why.contains("the model gives 384 numbers and projection.safetensors is for 8"), "{why}");
}
