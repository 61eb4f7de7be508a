//! The driver's HTTP client: one chat completion through the gateway, the sidecar's prices, a rating.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sim::Price;
use crate::users::Feedback;

/// No answer of the demo takes nearly as long; whatever does has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response whose body has not been read yet.
pub type Streaming = Response<axum::body::Body>;

/// A plain-HTTP client with a connection pool. Every error is a sentence that names the URL.
#[derive(Debug, Clone)]
pub struct Client {
    inner: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// An answer to a chat completion, with what the gateway's headers say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The assistant's text.
    pub text: String,
    /// `usage.prompt_tokens`.
    pub input_tokens: u64,
    /// `usage.completion_tokens`.
    pub output_tokens: u64,
    /// `x-vsr-replay-id`.
    pub replay_id: Option<String>,
    /// `x-vsr-selected-model`.
    pub selected_model: Option<String>,
}

// === impl Client ===

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { inner: legacy::Client::builder(TokioExecutor::new()).build(connector) }
    }
}

impl Client {
    /// Sends a request (with a JSON body, if one is given) and returns when the headers are there.
    ///
    /// # Errors
    /// A sentence, if the URL is wrong or nobody answers in 60 s.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Streaming, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request =
            request.body(Full::from(bytes)).map_err(|error| format!("{url} is no usable URL: {error}"))?;
        match tokio::time::timeout(PATIENCE, self.inner.request(request)).await {
            Ok(Ok(response)) => Ok(response.map(axum::body::Body::new)),
            Ok(Err(error)) => Err(format!("{url} cannot be reached: {}", cause(&error))),
            Err(_) => Err(format!("{url} sent no response within {PATIENCE:?}")),
        }
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// As for [`Client::send`], or if the body breaks off.
    pub async fn fetch(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let (parts, body) = self.send(method, url, &[], body).await?.into_parts();
        let bytes = match tokio::time::timeout(PATIENCE, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return Err(format!("{url} broke off its answer: {}", cause(&error))),
            Err(_) => return Err(format!("{url} did not finish its answer within {PATIENCE:?}")),
        };
        Ok((parts.status, parts.headers, bytes))
    }

    /// Asks the gateway one prompt of `user`, for the model `auto`.
    ///
    /// # Errors
    /// A sentence, if the status is not 200 or the answer is incomplete.
    pub async fn ask(&self, gateway: &str, user: &str, prompt: &str, stream: bool) -> Result<Reply, String> {
        let url = format!("{gateway}/v1/chat/completions");
        let mut body =
            json!({"model": "auto", "user": user, "messages": [{"role": "user", "content": prompt}]});
        if stream {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        let (status, headers, bytes) = self.fetch(Method::POST, &url, Some(&body)).await?;
        let text = String::from_utf8_lossy(&bytes);
        if status != StatusCode::OK {
            return Err(format!("{url} answered {status}: {}", text.chars().take(200).collect::<String>()));
        }
        let read = if stream { read_stream(&text) } else { read_whole(&text) };
        let reply = read.map_err(|why| format!("{url} sent an unusable answer: {why}"))?;
        let header =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        Ok(Reply {
            replay_id: header("x-vsr-replay-id"),
            selected_model: header("x-vsr-selected-model"),
            ..reply
        })
    }

    /// The price of every model that the sidecar knows.
    ///
    /// # Errors
    /// A sentence, if the sidecar does not answer with a list of models and prices.
    pub async fn prices(&self, sidecar: &str) -> Result<BTreeMap<String, Price>, String> {
        #[derive(Deserialize)]
        struct Listed {
            name: String,
            price: Price,
        }
        let url = format!("{sidecar}/v1/models");
        let (status, _, bytes) = self.fetch(Method::GET, &url, None).await?;
        if status != StatusCode::OK {
            return Err(format!("{url} answered {status}; is this the sidecar?"));
        }
        let listed: Vec<Listed> = serde_json::from_slice(&bytes)
            .map_err(|error| format!("{url} sent no list of models with prices: {error}"))?;
        Ok(listed.into_iter().map(|model| (model.name, model.price)).collect())
    }

    /// Posts a rating once; `false` if the sidecar does not know the replay (yet).
    ///
    /// # Errors
    /// A sentence, if the sidecar does not answer or refuses the rating itself.
    pub async fn rate(&self, sidecar: &str, replay_id: &str, feedback: Feedback) -> Result<bool, String> {
        let url = format!("{sidecar}/v1/router_replay/{replay_id}/feedback");
        match self.fetch(Method::POST, &url, Some(&json!(feedback))).await? {
            (status, ..) if status.is_success() => Ok(true),
            (StatusCode::NOT_FOUND, ..) => Ok(false),
            (status, ..) => Err(format!("{url} answered {status}")),
        }
    }
}

/// The innermost cause says what happened ("connection refused"); the outer ones only that something did.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}

fn read_whole(text: &str) -> Result<Reply, String> {
    let body: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let text = body["choices"][0]["message"]["content"].as_str().ok_or("it has no message")?;
    let mut reply = Reply { text: text.to_owned(), ..Reply::default() };
    reply.read_usage(&body)?;
    Ok(reply)
}

fn read_stream(text: &str) -> Result<Reply, String> {
    let mut reply = Reply::default();
    let mut counted = false;
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
        if data == "[DONE]" {
            return if counted { Ok(reply) } else { Err("the stream has no usage".to_owned()) };
        }
        let chunk: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        reply.text += chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        counted |= reply.read_usage(&chunk).is_ok();
    }
    Err("the stream ended without [DONE]".to_owned())
}

// === impl Reply ===

impl Reply {
    fn read_usage(&mut self, body: &Value) -> Result<(), String> {
        let count =
            |name: &str| body["usage"][name].as_u64().ok_or_else(|| format!("it has no usage.{name}"));
        self.input_tokens = count("prompt_tokens")?;
        self.output_tokens = count("completion_tokens")?;
        Ok(())
    }
}
