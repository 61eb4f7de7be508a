//! Asks an OpenAI-compatible server for an embedding, as the filter does, but without Envoy between.

use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use dragoman_core::config::EncoderEndpoint;
use dragoman_core::embedding;
use http_body_util::{BodyExt, Full, Limited};

use crate::client::Client;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One server, to be asked again and again.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    client: Client,
    endpoint: EncoderEndpoint,
    dimensions: usize,
    url: String,
}

// === impl Asker ===

impl Asker {
    /// Asks `endpoint` for embeddings of `dimensions` numbers.
    pub(super) fn new(client: Client, endpoint: EncoderEndpoint, dimensions: usize) -> Self {
        let url = format!("{}{}", endpoint.home.url(), embedding::PATH);
        Self { client, endpoint, dimensions, url }
    }

    /// The embedding of `text`, of unit length.
    ///
    /// # Errors
    ///
    /// A sentence with the address; it never repeats the text or the answer.
    pub(super) async fn embed(&self, text: &str) -> Result<Vec<f32>, String> {
        let answer = tokio::time::timeout(TIMEOUT, self.send(text)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("there was no answer within {TIMEOUT:?}")));
        answer.map_err(|why| format!("{} (encoder.endpoint.url) gave no embedding: {why}", self.url))
    }

    async fn send(&self, text: &str) -> Result<Vec<f32>, String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.endpoint.home.api_key {
            let value = std::env::var(&key.env)
                .map_err(|_| format!("the environment variable {} is not set for the sidecar", key.env))?;
            request = request.header(&key.header, format!("{}{value}", key.prefix));
        }
        let question = embedding::question(&self.endpoint.model, text, false);
        let request = request.body(Full::new(question.into())).map_err(|e| e.to_string())?;
        let response = self.client.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), embedding::MAX_ANSWER).collect().await;
        let body = body.map_err(|e| format!("its answer cannot be read: {e}"))?.to_bytes();
        embedding::read(&body, self.dimensions).map_err(|e| e.to_string())
    }
}
