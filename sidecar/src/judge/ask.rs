//! One question to the judge and its answer.

use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use dragoman_core::config::Judge;
use dragoman_core::replay::Sample;
use dragoman_core::reward::read_score;
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};

use crate::client::Client;

/// Bytes of a reply that are read; models that think aloud write much.
const MAX_REPLY: usize = 256 << 10;

/// Asks an OpenAI-compatible chat model.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    client: Client,
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The judge's score, or why there is none. No error repeats what it wrote: it may quote the prompt.
    pub(super) async fn ask(&self, judge: &Judge, sample: &Sample) -> Result<u8, String> {
        let response = self.client.send(request(judge, sample)?).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(format!("it answered {status}"));
        }
        let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
        let body = body.map_err(|_| "its answer broke off or was too long".to_owned())?.to_bytes();
        score(&body).ok_or_else(|| "its answer has no score from 1 to 5".to_owned())
    }
}

/// Temperature and limits are left to the server: some models refuse one, some the other.
fn request(judge: &Judge, sample: &Sample) -> Result<Request<Full<Bytes>>, String> {
    let Sample { prompt, answer } = sample;
    let question = format!("<request>\n{prompt}\n</request>\n\n<answer>\n{answer}\n</answer>");
    let body = json!({
        "model": judge.model,
        "messages": [{"role": "system", "content": judge.prompt}, {"role": "user", "content": question}],
    });
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/v1/chat/completions", judge.home.url()))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = &judge.home.api_key {
        let value = std::env::var(&key.env).map_err(|_| {
            format!("the environment variable {} (judge.endpoint.api_key.env) is not set", key.env)
        })?;
        request = request.header(&key.header, format!("{}{value}", key.prefix));
    }
    request.body(Full::new(body.to_string().into())).map_err(|_| "the question is no HTTP request".to_owned())
}

fn score(body: &[u8]) -> Option<u8> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    reply.pointer("/choices/0/message/content").and_then(Value::as_str).and_then(read_score)
}
