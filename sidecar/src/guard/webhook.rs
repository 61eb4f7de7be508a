//! Posts notices to `alerts.webhook`. Nobody waits for it: a few tries, then it is counted and dropped.

use std::time::Duration;

use axum::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::Full;
use log::warn;
use tokio::sync::mpsc;

use super::Notice;
use crate::client::Client;
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

/// Posts what comes, one after the other. An address may have a secret in its path: no line of the log repeats it.
pub async fn run(mut notices: mpsc::Receiver<Posted>, metrics: Metrics, client: Client) {
    while let Some((url, notice)) = notices.recv().await {
        let Ok(body) = serde_json::to_vec(&notice) else { continue };
        if let Err(why) = insist(&client, &url, body.into()).await {
            metrics.guard.webhook_failures.inc();
            let (kind, tries) = (&notice.kind, TRIES.0);
            warn!(
                "the webhook (alerts.webhook) did not take \"{kind}\": {why}; given up after {tries} tries"
            );
        }
    }
}

/// Posts until it is taken, or tells why the last try failed.
async fn insist(client: &Client, url: &str, body: Bytes) -> Result<(), String> {
    let (tries, mut wait) = TRIES;
    for _ in 1..tries {
        if post(client, url, body.clone()).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    post(client, url, body).await
}

async fn post(client: &Client, url: &str, body: Bytes) -> Result<(), String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|_| "its address is no URL".to_owned())?;
    match tokio::time::timeout(TIMEOUT, client.send(request)).await {
        Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
        Ok(Ok(answer)) => Err(format!("it answered {}", answer.status())),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("it did not answer within {TIMEOUT:?}")),
    }
}
