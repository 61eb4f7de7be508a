use dragoman_core::config::{Config, Tls};
use dragoman_core::signals::{Aggregation, SignalRules};
use serde_json::{Value, json};

use super::*;
use crate::client::Client;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dragoman-small");

fn config(encoder: Value, candidates: &[&str]) -> Config {
    let rule = json!({"name": "r", "candidates": candidates, "threshold": 0.9});
    let document = json!({
        "models": {"a": {"endpoint": "http://h", "price": {}}}, "default_model": "a", "encoder": encoder,
        "signals": {"embeddings": if candidates.is_empty() { json!([]) } else { json!([rule]) }},
    });
    Config::from_value(&document).unwrap()
}

fn models() -> Models {
    Models::new(Client::new(&Tls::default()).unwrap())
}

#[tokio::test]
async fn candidates_are_embedded_once_and_as_the_filter_would() {
    let mut models = models();
    let encoder = json!({"path": SHIPPED});
    let model = models.of(&config(encoder.clone(), &["how do I reset my password?", "hello"])).await.unwrap();
    let length: f32 = model.candidates[0].iter().map(|v| v * v).sum();
    assert!((length - 1.0).abs() < 1e-3 && model.candidates[0].len() == 384, "{length}");
    let rules = &config(encoder.clone(), &["how do I reset my password?", "hello"]).routing.embeddings;
    assert_eq!(rules[0].aggregation_method, Aggregation::Max);
    let compiled = SignalRules::new(&[], rules, model.clone()).unwrap();
    let found = compiled.extract("x", &Default::default(), Some(&model.candidates[0]));
    assert_eq!((found.embeddings[0].candidate, found.embeddings[0].rule.as_str()), (0, "r"));
    // What is known needs no encoder any more.
    let empty = tempfile::tempdir().unwrap();
    let projection = crate::learn::projection::FILE;
    std::fs::copy(format!("{SHIPPED}/{projection}"), empty.path().join(projection)).unwrap();
    let again = models.of(&config(json!({"path": empty.path()}), &["hello"])).await.unwrap();
    assert_eq!(again.candidates[0], model.candidates[1]);
    let why = models.of(&config(json!({"path": empty.path()}), &["new"])).await.unwrap_err();
    assert!(why.starts_with("signals.embeddings: ") && why.contains("has no model.fused"), "{why}");
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_asked_is_told_in_a_sentence() {
    let encoder =
        |url: &str| json!({"path": SHIPPED, "mode": "endpoint", "endpoint": {"url": url, "model": "m"}});
    let ask = async |url: &str| models().of(&config(encoder(url), &["x"])).await.unwrap_err();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let why = ask(&url).await;
    assert!(why.contains("cannot be reached") && why.contains(&url), "{why}");
    assert!(why.contains("encoder.endpoint.url"), "{why}");
    assert!(models().of(&config(encoder(&url), &[])).await.is_ok(), "nobody is asked for nothing");
}

#[tokio::test]
async fn heads_that_are_broken_or_of_another_size_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = crate::learn::projection::FILE;
    std::fs::copy(format!("{SHIPPED}/{file}"), dir.path().join(file)).unwrap();
    std::fs::write(dir.path().join(heads::FILE), b"nonsense").unwrap();
    let why = models().of(&config(json!({"path": dir.path()}), &[])).await.unwrap_err();
    assert!(why.contains("heads.safetensors: is not a safetensors file"), "{why}");
    std::fs::write(dir.path().join(heads::FILE), fact_check(3)).unwrap();
    let why = models().of(&config(json!({"path": dir.path()}), &[])).await.unwrap_err();
    assert!(why.contains("its heads take embeddings of 3 numbers instead of 384"), "{why}");
    std::fs::write(dir.path().join(heads::FILE), fact_check(384)).unwrap();
    let model = models().of(&config(json!({"path": dir.path()}), &[])).await.unwrap();
    assert_eq!(model.heads.embedding_size(), Some(384));
}

/// A file with one head.
fn fact_check(columns: usize) -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView};
    let (weight, bias) = (vec![0; 4 * columns], vec![0; 4]);
    let views = [
        ("fact_check.weight", TensorView::new(Dtype::F32, vec![1, columns], &weight).unwrap()),
        ("fact_check.bias", TensorView::new(Dtype::F32, vec![1], &bias).unwrap()),
    ];
    safetensors::serialize(views, None).unwrap()
}
