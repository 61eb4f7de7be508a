//! From knowledge to Envoy: builds a snapshot of what was learned, signs it, keeps it and pushes it.
//!
//! This room owns versions and the push. It must not know what a record is or how learning works. Nothing here
//! can hold up the loop: knowledge that is overtaken before it is built is skipped.

mod push;

use std::sync::Arc;

use dragoman_core::config::Routing;
use dragoman_core::snapshot::SigningKey;
use log::{error, info};
use tokio::sync::watch;

use crate::clock::now_ms;
use crate::metrics::Metrics;
use crate::writer::{Knowledge, NewSnapshot, Writer};

pub use push::{Pusher, run as push};

/// A snapshot as it is served and pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its version.
    pub version: u64,
    /// The configuration it was made of, before anything was tuned.
    pub configured: Arc<Routing>,
    /// The signed blob.
    pub blob: bytes::Bytes,
}

/// Makes snapshots.
pub struct Publisher {
    /// Signs every snapshot.
    pub key: SigningKey,
    /// Version of the last snapshot that was ever made here.
    pub version: u64,
    /// Where snapshots are kept.
    pub writer: Writer,
    /// Counters.
    pub metrics: Metrics,
}

// === impl Publisher ===

impl Publisher {
    /// Makes a snapshot of each knowledge that comes, until there is no more.
    pub async fn run(
        mut self,
        mut knowledge: watch::Receiver<Option<Arc<Knowledge>>>,
        published: watch::Sender<Option<Published>>,
    ) {
        while knowledge.changed().await.is_ok() {
            let Some(known) = knowledge.borrow_and_update().clone() else { continue };
            match self.publish(&known).await {
                Ok(snapshot) => drop(published.send_replace(Some(snapshot))),
                Err(why) => {
                    self.metrics.snapshot_failures.inc();
                    error!("no snapshot was made: {why}; the last one stays");
                }
            }
        }
    }

    async fn publish(&mut self, known: &Arc<Knowledge>) -> Result<Published, String> {
        let (version, created_ms, tag) = (self.version + 1, now_ms(), known.tag.clone());
        let (configured, key, known) = (Arc::clone(&known.configured), self.key.clone(), Arc::clone(known));
        let build = move || {
            let routing = Routing::clone(&known.routing);
            let snapshot = known.learner.snapshot(routing, version, created_ms).map_err(|e| e.to_string())?;
            snapshot.encode(&key).map_err(|e| e.to_string())
        };
        let blob = tokio::task::spawn_blocking(build).await.map_err(|e| e.to_string())??;
        let blob = bytes::Bytes::from(blob);
        let kept =
            self.writer.keep(NewSnapshot { version, created_ms, tag: tag.clone(), blob: blob.clone() }).await;
        kept.map_err(|_| "it could not be kept in the replay log".to_owned())?;
        self.version = version;
        self.metrics.snapshots.inc();
        self.metrics.snapshot_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        match tag.as_ref() {
            "stream" => log::debug!("snapshot {version} ({tag}, {} bytes)", blob.len()),
            _ => info!("snapshot {version} ({tag}, {} bytes)", blob.len()),
        }
        Ok(Published { version, configured, blob })
    }
}
