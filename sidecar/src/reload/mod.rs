//! Taking over a changed `dragoman.yaml` while everything runs: asked for by SIGHUP or `POST /v1/reload`, or because
//! the file has changed.
//!
//! This room owns what may change while running and in which order: clusters for new models into Envoy → the new
//! configuration to the loop → the snapshot that names them → the clusters of removed models out of Envoy. A
//! document that is refused changes nothing. It must not know how learning or a snapshot works.

mod changes;
mod envoy;
mod file;
mod fixed;

use std::sync::Arc;
use std::time::Duration;

use dragoman_core::config::{Config, Routing};
use log::{error, info, warn};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::key::Secrets;
use crate::learn;
use crate::metrics::Metrics;
use crate::publish::Published;
use crate::signals::Models;
use crate::writer::{Rules, Writer};

pub use changes::Change;
pub(crate) use envoy::Live;
pub use envoy::write;
pub use file::Source;

/// How long a removed model keeps its cluster once no new decision names it: retries of requests under way may
/// still go there.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// Longest wait for the snapshot of a new configuration.
const SNAPSHOT: Duration = Duration::from_secs(30);

/// A configuration that was taken over, or was in use already.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reloaded {
    /// Version of the first snapshot that goes by it.
    pub version: u64,
    /// What changed in the document; empty if nothing did.
    pub changes: Vec<Change>,
    /// What of it takes effect only after a restart: a sentence each, with the path and what to do.
    pub waiting: Vec<String>,
}

/// Why the old configuration stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReloaded {
    /// The document is wrong, or cannot be taken over while running: a sentence each, with its path.
    Refused(Vec<String>),
    /// The document is good, but something failed; it may be tried again.
    Failed(String),
}

type Reply = oneshot::Sender<Result<Reloaded, NotReloaded>>;

/// Asks for the document to be read again; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<Option<Reply>>);

/// Takes over documents, one after the other.
pub(crate) struct Reloader {
    pub(crate) source: Source,
    pub(crate) models: Models,
    pub(crate) config: watch::Sender<Arc<Config>>,
    pub(crate) writer: Writer,
    /// What filters hash with.
    pub(crate) secrets: Secrets,
    pub(crate) published: watch::Receiver<Option<Published>>,
    pub(crate) metrics: Metrics,
    /// Envoy's folder, if it has one.
    pub(crate) live: Option<Live>,
    /// When clusters that nothing asks for can go, and the snapshot that must be in use by then.
    pub(crate) trim: Option<(Instant, u64)>,
}

// === impl Reloads ===

impl Reloads {
    /// A way to ask, and where the questions come out.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Option<Reply>>) {
        let (sender, receiver) = mpsc::channel(8);
        (Self(sender), receiver)
    }

    /// Asks and waits for the outcome.
    pub async fn ask(&self) -> Result<Reloaded, NotReloaded> {
        let (reply, outcome) = oneshot::channel();
        let stopping = |_| NotReloaded::Failed("the sidecar is stopping".into());
        self.0.send(Some(reply)).await.map_err(|e| stopping(e.0.map(drop)))?;
        outcome.await.unwrap_or_else(|_| Err(stopping(None)))
    }

    /// Asks; the log tells the outcome.
    pub fn request(&self) {
        // A full queue reads the file often enough.
        drop(self.0.try_send(None));
    }
}

// === impl Reloader ===

impl Reloader {
    /// Works until nobody can ask any more.
    pub(crate) async fn run(mut self, mut asked: mpsc::Receiver<Option<Reply>>) {
        loop {
            let watch = self.config.borrow().reload.watch_seconds;
            let trim = self.trim;
            tokio::select! {
                question = asked.recv() => match question {
                    None => return,
                    Some(None) => drop(self.reload().await),
                    Some(Some(reply)) => drop(reply.send(self.reload().await)),
                },
                () = pause(watch) => if self.source.has_changed() {
                    drop(self.reload().await);
                },
                () = until(trim) => self.trim().await,
            }
        }
    }

    /// Reads the document and takes it over; tells the log and the metrics.
    async fn reload(&mut self) -> Result<Reloaded, NotReloaded> {
        let outcome = self.take_over().await;
        let file = self.source.path().display();
        match &outcome {
            Ok(reloaded) if reloaded.changes.is_empty() => info!("{file}: read again, nothing changed"),
            Ok(Reloaded { version, changes, waiting }) => {
                self.metrics.reloads.inc();
                changes.iter().for_each(|change| info!("{file}: {change}"));
                waiting.iter().for_each(|sentence| warn!("{file}: {sentence}"));
                info!("{file}: taken over with snapshot {version}");
            }
            Err(NotReloaded::Refused(errors)) => {
                self.metrics.reload_failures.inc();
                errors.iter().for_each(|sentence| error!("{file}: {sentence}"));
                error!("{file}: refused; the old configuration stays");
            }
            Err(NotReloaded::Failed(why)) => {
                self.metrics.reload_failures.inc();
                error!("{file}: {why}");
            }
        }
        outcome
    }

    async fn take_over(&mut self) -> Result<Reloaded, NotReloaded> {
        let running = Arc::clone(&self.config.borrow());
        let (document, mut config) = self.source.read().map_err(NotReloaded::Refused)?;
        let waiting = fixed::keep(&mut config, &running).map_err(NotReloaded::Refused)?;
        let changes = changes::between(self.source.in_use(), &document);
        if changes.is_empty() && config == *running {
            let version = self.published.borrow().as_ref().map_or(0, |p| p.version);
            return Ok(Reloaded { version, changes, waiting });
        }
        let blank = learn::blank(&config).map_err(|why| NotReloaded::Refused(vec![why]))?;
        let signals = self.models.of(&config).await.map_err(|why| NotReloaded::Refused(vec![why]))?;
        let leaving = match &self.live {
            Some(live) => live.extend(&config).await.map_err(NotReloaded::Failed)?,
            None => false,
        };
        let rules = Rules::of(&config, blank, signals, self.secrets);
        let routing = Arc::clone(&rules.routing);
        let what = serde_json::to_string(&changes).map_err(|e| NotReloaded::Failed(e.to_string()))?;
        self.writer.reload(rules, what).await.map_err(|_| {
            NotReloaded::Failed("the learning loop is busy or stopping; the old configuration stays".into())
        })?;
        self.config.send_replace(Arc::new(config));
        self.source.take(document);
        let version = self.first_version(&routing).await.map_err(NotReloaded::Failed)?;
        self.trim = leaving.then(|| (Instant::now() + LINGER, version));
        Ok(Reloaded { version, changes, waiting })
    }

    /// Waits for the first snapshot of `routing`.
    async fn first_version(&mut self, routing: &Arc<Routing>) -> Result<u64, String> {
        let of = |p: &Published| Arc::ptr_eq(&p.configured, routing);
        let made = self.published.wait_for(|p| p.as_ref().is_some_and(of));
        match tokio::time::timeout(SNAPSHOT, made).await {
            Ok(Ok(published)) => Ok(published.as_ref().map_or(0, |p| p.version)),
            _ => Err("the new configuration is in use here, but no snapshot of it could be made".into()),
        }
    }

    /// Clusters that nothing asks for go.
    async fn trim(&mut self) {
        let (Some(live), Some((_, version))) = (&self.live, self.trim.take()) else { return };
        let config = Arc::clone(&self.config.borrow());
        if !live.trim(&config, version).await {
            self.trim = Some((Instant::now() + LINGER, version));
        }
    }
}

/// Waits; for ever if `seconds` is 0.
async fn pause(seconds: u64) {
    match seconds {
        0 => std::future::pending().await,
        seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
    }
}

/// Waits until the moment; for ever if there is none.
async fn until(moment: Option<(Instant, u64)>) {
    match moment {
        None => std::future::pending().await,
        Some((at, _)) => tokio::time::sleep_until(at).await,
    }
}
