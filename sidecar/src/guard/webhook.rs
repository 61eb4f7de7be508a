//! Posts notices to `alerts.webhook`. Nobody waits for it: a few tries, then it is counted and dropped.

use std::time::Duration;

use axum::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use log::warn;
use tokio::sync::mpsc;

use super::Notice;
use crate::metrics::Metrics;

/// Notices that may wait; more are dropped.
const QUEUE: usize = 64;
/// Tries, and the wait before the second; it doubles.
const TRIES: (u32, Duration) = (4, Duration::from_millis(500));
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A notice and where it goes.
pub type Posted = (String, Notice);

/// Where notices are put, and where they come out.
pub fn channel() -> (mpsc::Sender<Posted>, mpsc::Receiver<Posted>) {
    mpsc::channel(QUEUE)
}

/// Posts what comes, one after the other.
pub async fn run(mut notices: mpsc::Receiver<Posted>, metrics: Metrics) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    while let Some((url, notice)) = notices.recv().await {
        let Ok(body) = serde_json::to_vec(&notice) else { continue };
        let (mut wait, mut tries) = (TRIES.1, 0);
        loop {
            let request = Request::builder()
                .method(Method::POST)
                .uri(&url)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body.clone())));
            let why = match request {
                Err(e) => e.to_string(),
                Ok(request) => match tokio::time::timeout(TIMEOUT, client.request(request)).await {
                    Ok(Ok(answer)) if answer.status().is_success() => break,
                    Ok(Ok(answer)) => format!("it answered {}", answer.status()),
                    Ok(Err(e)) => e.to_string(),
                    Err(_) => format!("it did not answer within {TIMEOUT:?}"),
                },
            };
            tries += 1;
            if tries == TRIES.0 {
                metrics.guard.webhook_failures.inc();
                warn!(
                    "the webhook {url} did not take \"{}\": {why}; given up after {tries} tries",
                    notice.kind
                );
                break;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
}
