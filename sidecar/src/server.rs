//! Puts the sidecar together and takes it apart: files, loop, publisher, API.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dragoman_core::config::{Config, PublicKey};
use dragoman_core::snapshot::{SigningKey, Snapshot, VerifyingKey};
use log::{error, info, warn};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle as Task;
use tokio::time::Instant;

use crate::access::Gate;
use crate::api::{self, Shared};
use crate::client::Client;
use crate::embed::{self, Pool, Twin};
use crate::guard::webhook;
use crate::judge::Judge;
use crate::key::Secrets;
use crate::learn::{self, State};
use crate::log::{DirLock, Log, LogError, Reader};
use crate::metrics::Metrics;
use crate::publish::{self, Published, Publisher, Pusher};
use crate::reload::{LINGER, Live, Reloader, Reloads, Source};
use crate::signals::Models;
use crate::writer::{self, Knowledge, Rules, Setup, Writer};
use crate::{key, log as replay_log};

/// Longest wait for requests under way when stopping.
const GRACE: Duration = Duration::from_secs(5);

/// A running sidecar. Dropping it stops nothing in order; call [`Server::shutdown`].
pub struct Server {
    /// Where the API listens; the real port where the configuration says 0.
    pub addr: SocketAddr,
    /// The public half of the key that snapshots are signed with.
    pub public_key: VerifyingKey,
    writer: Writer,
    thread: JoinHandle<Result<(), LogError>>,
    tasks: Vec<Task<()>>,
    http: Task<()>,
    stop_http: oneshot::Sender<()>,
    knowledge: watch::Receiver<Option<Arc<Knowledge>>>,
    reloads: Option<Reloads>,
}

/// Why the sidecar did not start: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError(String);

/// The files a sidecar starts from, all open.
struct Opened {
    lock: DirLock,
    key: SigningKey,
    log: Log,
    log_path: PathBuf,
    blank: State,
    encoder: Option<Pool>,
    metrics: Metrics,
    gate: Gate,
    client: Client,
}

// === impl Server ===

impl Server {
    /// Opens the files, binds the address and starts. The learner is rebuilt from the log meanwhile: see
    /// [`Server::ready`] and `/readyz`. Relative paths of the configuration start from the working directory.
    ///
    /// # Errors
    ///
    /// A file cannot be used or the address is taken.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::run(config, None).await
    }

    /// The same with the configuration of a file, whose changes it takes over: see [`Server::reloads`].
    ///
    /// # Errors
    ///
    /// The configuration cannot be used, a file cannot, or the address is taken.
    pub async fn from_file(path: &Path) -> Result<Self, StartError> {
        let (source, config) = Source::open(path).map_err(StartError)?;
        Self::run(config, Some(source)).await
    }

    async fn run(config: Config, source: Option<Source>) -> Result<Self, StartError> {
        let Opened { lock, key, log, log_path, blank, encoder, metrics, gate, client } =
            Opened::open(&config)?;
        let listener = TcpListener::bind(config.listen.sidecar).await.map_err(|e| {
            StartError(format!("cannot listen on {} (listen.sidecar): {e}", config.listen.sidecar))
        })?;
        let addr = listener.local_addr().map_err(|e| StartError(e.to_string()))?;
        let public_key = key.verifying_key();
        let version = log.last_version()?;
        let reader = Reader::new(&log_path);
        let (published, newest) = watch::channel(last_published(&reader, &public_key)?);
        let (known, knowledge) = watch::channel(None);
        let mut models = Models::new(client.clone());
        let signals = models.of(&config).await.map_err(StartError)?;
        let secrets = Secrets::of(&key);
        let rules = Rules::of(&config, blank, signals, secrets);
        let path = log_path.clone();
        let (notices, told) = webhook::channel();
        let setup = Setup { lock, log, path, rules, metrics: metrics.clone(), notices, knowledge: known };
        let (writer, thread) =
            writer::start(setup).map_err(|e| StartError(format!("cannot start the learning loop: {e}")))?;
        let (live, trim) = live(&config, &public_key, version + 1).await;
        let pusher = Pusher::new(config.listen.push, metrics.clone());
        let (in_use, config) = watch::channel(Arc::new(config));
        let (reloads, asked) = Reloads::channel();
        let reloads = source.is_some().then_some(reloads);
        let (judge, judging) = Judge::start(config.clone(), writer.clone(), metrics.clone(), client.clone());
        let twin = Twin::of(&config.borrow().encoder);
        let app = Arc::new(Shared {
            writer: writer.clone(),
            judge,
            reader,
            metrics: metrics.clone(),
            published: newest.clone(),
            ready: AtomicBool::new(false),
            config,
            reloads: reloads.clone(),
            encoder,
            twin,
            log_path,
            gate,
        });
        let publisher = Publisher { key, tried: 0, writer: writer.clone(), metrics: metrics.clone() };
        let mut tasks = vec![
            tokio::spawn(publisher.run(knowledge.clone(), published)),
            tokio::spawn(publish::push(pusher, newest.clone())),
            judging,
            tokio::spawn(webhook::run(told, metrics.clone(), client)),
            tokio::spawn(watch_readiness(Arc::clone(&app), knowledge.clone())),
        ];
        if let Some(source) = source {
            let (config, writer) = (in_use, writer.clone());
            let published = newest;
            let reloader =
                Reloader { source, models, config, writer, secrets, published, metrics, live, trim };
            tasks.push(tokio::spawn(reloader.run(asked)));
        }
        let (stop_http, stopped) = oneshot::channel();
        let http = tokio::spawn(serve(listener, app, stopped));
        Ok(Self { addr, public_key, writer, thread, tasks, http, stop_http, knowledge, reloads })
    }

    /// Asks for the file to be read again; `None` if the configuration came from none.
    pub fn reloads(&self) -> Option<&Reloads> {
        self.reloads.as_ref()
    }

    /// Sends to the loop, as the API does.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Waits until the learner is rebuilt. False if that failed.
    pub async fn ready(&self) -> bool {
        self.knowledge.clone().wait_for(Option::is_some).await.is_ok()
    }

    /// Waits until the loop has ended by itself, which it does only when the log cannot be read.
    pub async fn failed(&self) {
        let mut knowledge = self.knowledge.clone();
        while knowledge.changed().await.is_ok() {}
    }

    /// Stops in order: no new requests, everything that waits written, the log folded into one file.
    ///
    /// # Errors
    ///
    /// The log could not be written or folded; what was acknowledged is safe.
    pub async fn shutdown(self) -> Result<(), StartError> {
        // Nobody listens only when the API has ended already.
        let _ = self.stop_http.send(());
        let mut http = self.http;
        if tokio::time::timeout(GRACE, &mut http).await.is_err() {
            warn!("requests were still under way after {GRACE:?}; they are cut off");
            http.abort();
        }
        self.writer.stop().await;
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        self.tasks.iter().for_each(Task::abort);
        match ended {
            Ok(Ok(result)) => Ok(result?),
            _ => Err(StartError("the learning loop broke off".into())),
        }
    }
}

// === impl Opened ===

impl Opened {
    fn open(config: &Config) -> Result<Self, StartError> {
        let data_dir = Path::new(&config.data_dir);
        let key = key::load_or_create(data_dir).map_err(StartError)?;
        let gate = Gate::open(&config.access, &key, |name| std::env::var(name).ok()).map_err(StartError)?;
        let client = Client::new(&config.tls).map_err(StartError)?;
        let lock = DirLock::take(data_dir).map_err(StartError)?;
        let blank = learn::blank(config).map_err(StartError)?;
        let encoder = embed::start(config).map_err(StartError)?;
        let log_path = replay_log::path(data_dir);
        let log = Log::open(&log_path).map_err(|e| StartError(format!("{}: {e}", log_path.display())))?;
        let metrics = Metrics::new().map_err(|e| StartError(e.to_string()))?;
        Ok(Self { lock, key, log, log_path, blank, encoder, metrics, gate, client })
    }
}

/// Brings Envoy's folder up to date before the first snapshot, and says when snapshot `version` lets clusters go.
async fn live(config: &Config, key: &VerifyingKey, version: u64) -> (Option<Live>, Option<(Instant, u64)>) {
    let Some(live) = Live::of(config, PublicKey(*key)) else { return (None, None) };
    // An Envoy that takes nothing new still serves what it has; so must we.
    let leaving = live.extend(config).await.unwrap_or_else(|why| {
        error!("{why}");
        false
    });
    (Some(live), leaving.then(|| (Instant::now() + LINGER, version)))
}

/// The last snapshot of an earlier run, so that an Envoy that restarts at the same time has one at once.
fn last_published(reader: &Reader, key: &VerifyingKey) -> Result<Option<Published>, LogError> {
    let kept = reader.latest_snapshot()?;
    // Of another key or format it would only be refused.
    Ok(kept.and_then(|(version, blob)| {
        let configured = Snapshot::decode(&blob, key).ok()?.meta.routing.into();
        Some(Published { version, configured, blob: blob.into() })
    }))
}

/// Ready from the first knowledge until the loop ends.
async fn watch_readiness(app: Arc<Shared>, mut knowledge: watch::Receiver<Option<Arc<Knowledge>>>) {
    if knowledge.wait_for(Option::is_some).await.is_ok() {
        app.ready.store(true, Ordering::Release);
        info!("ready");
    }
    while knowledge.changed().await.is_ok() {}
    app.ready.store(false, Ordering::Release);
}

async fn serve(listener: TcpListener, app: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let until = async move { drop(stopped.await) };
    let service = api::router(app).into_make_service_with_connect_info::<SocketAddr>();
    if let Err(e) = axum::serve(listener, service).with_graceful_shutdown(until).await {
        error!("the API has ended: {e}");
    }
}

impl From<LogError> for StartError {
    fn from(e: LogError) -> Self {
        Self(e.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
