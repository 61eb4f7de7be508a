//! What the integration tests share: a started simulator, and requests over real HTTP.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use dragoman_demo::driver::Client;
use dragoman_demo::sim::{ModelConfig, SimConfig, SimLlm};
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// A response read to its end, or to where it broke.
pub struct Heard {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// When each chunk arrived, counted from the sending of the request.
    pub arrivals: Vec<Duration>,
    /// Whether the body ended as HTTP says it should.
    pub ended: bool,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The JSON of every `data:` line.
    pub fn events(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// One model named `small`, as `set` wants it.
pub fn small(set: impl FnOnce(&mut ModelConfig)) -> SimLlm {
    let mut model = ModelConfig::named("small");
    set(&mut model);
    SimLlm::start(SimConfig { seed: 7, prompts: None, models: vec![model] }).unwrap()
}

pub fn chat(prompt: &str) -> Value {
    json!({"model": "small", "messages": [{"role": "user", "content": prompt}]})
}

pub fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

pub async fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Heard {
    let begun = Instant::now();
    let response = Client::default().send(Method::POST, url, headers, Some(body)).await.unwrap();
    let (parts, mut body) = response.into_parts();
    let (mut bytes, mut arrivals, mut ended) = (Vec::new(), Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                bytes.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()));
                arrivals.push(begun.elapsed());
            }
            Err(_) => {
                ended = false;
                break;
            }
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    Heard { status: parts.status, headers: parts.headers, text, arrivals, ended }
}

pub async fn get(url: &str) -> (StatusCode, Value) {
    let (status, _, bytes) = Client::default().fetch(Method::GET, url, None).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}
