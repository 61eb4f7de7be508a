//! From knowledge to Envoy: builds a snapshot of what was learned, signs it, keeps it and pushes it.
//!
//! This room owns versions and the push. It must not know what a record is or how learning works. Nothing here
//! can hold up the loop: knowledge that is overtaken before it is built is skipped.

mod push;

use std::sync::Arc;

use bytes::Bytes;
use dragoman_core::config::Routing;
use dragoman_core::snapshot::{Canary, SigningKey, Snapshot, SnapshotError};
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
    pub blob: Bytes,
}

/// Makes snapshots.
pub struct Publisher {
    /// Signs every snapshot.
    pub key: SigningKey,
    /// Version of the candidate that was last kept by itself; 0 at first.
    pub tried: u64,
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
        let (version, created_ms, tag) = (known.version, now_ms(), known.tag.clone());
        if let Some(trial) = known.trial.as_ref().filter(|t| t.snapshot.meta.version != self.tried) {
            // By itself as well, for those who look at it later.
            let (meta, candidate) = (&trial.snapshot.meta, Arc::clone(&trial.snapshot));
            let blob = self.signed(move || Ok(Snapshot::clone(&candidate))).await?;
            let (version, created_ms) = (meta.version, meta.created_ms);
            self.keep(NewSnapshot { version, created_ms, tag: "candidate".into(), blob }).await?;
            self.tried = version;
        }
        let learned = Arc::clone(known);
        let blob = self.signed(move || build(&learned, created_ms)).await?;
        self.keep(NewSnapshot { version, created_ms, tag: tag.clone(), blob: blob.clone() }).await?;
        self.metrics.snapshots.inc();
        self.metrics.snapshot_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        match tag.as_ref() {
            "stream" => log::debug!("snapshot {version} ({tag}, {} bytes)", blob.len()),
            _ => info!("snapshot {version} ({tag}, {} bytes)", blob.len()),
        }
        Ok(Published { version, configured: Arc::clone(&known.configured), blob })
    }

    /// The signed blob of what `build` makes, where waiting is allowed.
    async fn signed(
        &self,
        build: impl FnOnce() -> Result<Snapshot, SnapshotError> + Send + 'static,
    ) -> Result<Bytes, String> {
        let key = self.key.clone();
        let work = move || build().and_then(|snapshot| snapshot.encode(&key));
        let blob = tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?;
        blob.map(Bytes::from).map_err(|e| e.to_string())
    }

    async fn keep(&self, snapshot: NewSnapshot) -> Result<(), String> {
        let kept = self.writer.keep(snapshot).await;
        kept.map_err(|_| "it could not be kept in the replay log".to_owned())
    }
}

/// What was learned, or stands in for it, beside what is on trial.
fn build(known: &Knowledge, created_ms: u64) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = match &known.pinned {
        Some(pinned) => Snapshot::clone(pinned),
        None => {
            let mut routing = Routing::clone(&known.routing);
            routing.policy.alpha *= known.alpha as f32;
            let learned = known.learner.snapshot(routing, known.version, created_ms)?;
            learned.with_signals(Arc::clone(&known.signals))?
        }
    };
    (snapshot.meta.version, snapshot.meta.created_ms) = (known.version, created_ms);
    let canary = known
        .trial
        .as_ref()
        .map(|trial| Canary { split: trial.split, snapshot: Box::new(Snapshot::clone(&trial.snapshot)) });
    snapshot.with_canary(canary)
}
