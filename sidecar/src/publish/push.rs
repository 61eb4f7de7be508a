//! Pushes every new snapshot to Envoy's push listener, again and again until it is taken or overtaken.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use log::{info, warn};
use tokio::sync::watch;

use super::Published;
use crate::clock::now_ms;
use crate::metrics::Metrics;

/// Longest wait for Envoy's answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// First and longest wait between tries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Bytes of a refusal that are read.
const MAX_REASON: usize = 4096;

/// Pushes to one Envoy.
pub struct Pusher {
    client: Client<HttpConnector, Full<Bytes>>,
    to: SocketAddr,
    metrics: Metrics,
    /// How the last try failed, if it did; only a change is worth a line in the log.
    last: Option<Option<StatusCode>>,
}

/// A push that failed.
struct Failure {
    /// Envoy's answer; 503 if there was none.
    status: StatusCode,
    why: String,
}

// === impl Failure ===

impl Failure {
    fn away(why: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, why }
    }
}

// === impl Pusher ===

impl Pusher {
    /// A pusher to Envoy's listener at `to`.
    pub fn new(to: SocketAddr, metrics: Metrics) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, to, metrics, last: None }
    }

    async fn push(&mut self, snapshot: &Published) -> bool {
        let sent = tokio::time::timeout(TIMEOUT, self.send(snapshot)).await;
        let result =
            sent.unwrap_or_else(|_| Err(Failure::away(format!("it did not answer within {TIMEOUT:?}"))));
        match &result {
            Ok(()) => {
                self.metrics.pushes.inc();
                self.metrics.last_push.set(now_ms() as f64 / 1e3);
            }
            Err(_) => self.metrics.push_failures.inc(),
        }
        let outcome = result.as_ref().err().map(|failure| failure.status);
        if self.last.replace(outcome) != Some(outcome) {
            let (to, version) = (self.to, snapshot.version);
            match &result {
                Ok(()) => info!("Envoy at {to} takes snapshots; it has {version}"),
                Err(Failure { why, .. }) => {
                    warn!("Envoy at {to} did not take snapshot {version}: {why}; trying again");
                }
            }
        }
        result.is_ok()
    }

    async fn send(&self, snapshot: &Published) -> Result<(), Failure> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}/v1/snapshot", self.to))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(snapshot.blob.clone()))
            .map_err(|e| Failure::away(e.to_string()))?;
        let sent = self.client.request(request).await;
        let response = sent.map_err(|e| Failure::away(cause(&e)))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(());
        }
        let body = Limited::new(response.into_body(), MAX_REASON).collect().await;
        let body = body.map(|b| b.to_bytes()).unwrap_or_default();
        if status == StatusCode::CONFLICT && version_in(&body) == Some(snapshot.version) {
            // Envoy fetched it itself after a restart.
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&body).trim().to_owned();
        Err(Failure { status, why: format!("it answered {status} {reason}") })
    }
}

/// Pushes each snapshot that comes, the newest only, until there are no more.
pub async fn run(mut pusher: Pusher, mut published: watch::Receiver<Option<Published>>) {
    let (first, longest) = BACKOFF;
    while published.changed().await.is_ok() {
        let mut wait = first;
        loop {
            let Some(snapshot) = published.borrow_and_update().clone() else { break };
            if pusher.push(&snapshot).await {
                break;
            }
            // A newer snapshot does not shorten the wait: an Envoy that is away is not asked more often for it.
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }
}

/// The version Envoy says it has, in a refusal.
fn version_in(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get("version")?.as_u64()
}

/// The innermost cause says what happened ("connection refused"); the outer ones only that something did.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}
