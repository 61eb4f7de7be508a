//! The folder that Envoy watches (`envoy.live`), kept so that a model has its cluster before any traffic and until
//! the last of it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use bytes::Bytes;
use dragoman_core::config::{Config, PublicKey};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use log::warn;

use crate::render::live::{self, File};
use crate::render::{GATEWAY, RenderOptions};

/// Longest wait until Envoy has taken new files; a name that must be resolved may take a few seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between looks.
const LOOK: Duration = Duration::from_millis(50);
/// Envoy's main thread says that it has a cluster a moment before its workers do.
const SETTLE: Duration = Duration::from_millis(100);
/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// The folder and the Envoy that watches it.
pub(crate) struct Live {
    folder: PathBuf,
    options: RenderOptions,
    admin: SocketAddr,
    push: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

// === impl Live ===

impl Live {
    /// The folder of `config`, if it has one.
    pub(crate) fn of(config: &Config, public_key: PublicKey) -> Option<Self> {
        Some(Self {
            folder: config.envoy.live.as_ref()?.into(),
            options: RenderOptions::of(config, public_key),
            admin: config.listen.admin,
            push: config.listen.push,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Adds what is new in `config`, keeps what `config` has no more, and waits until Envoy has taken it. True if
    /// clusters are left that can go once nothing asks for them: see [`Live::trim`].
    ///
    /// # Errors
    ///
    /// A sentence: a file cannot be written, or Envoy does not take them; then they are as they were.
    pub(crate) async fn extend(&self, config: &Config) -> Result<bool, String> {
        let earlier = live::FILES.map(|name| fs::read_to_string(self.folder.join(name)).ok());
        let leaving =
            earlier[0].as_deref().map(|clusters| live::leaving(clusters, config)).unwrap_or_default();
        let files = live::files(config, &self.options, &leaving);
        let serving = self.is_serving().await;
        write(&self.folder, &files)?;
        if !serving || self.taken(&files).await {
            return Ok(!leaving.is_empty());
        }
        for (name, text) in live::FILES.iter().zip(earlier) {
            if let Some(Err(why)) = text.map(|text| replace(&self.folder, name, &text)) {
                warn!("{why}");
            }
        }
        Err(format!(
            "Envoy did not take the clusters and routes in {} within {PATIENCE:?} (its own log says why); they are \
             as they were",
            self.folder.display()
        ))
    }

    /// Takes out what `config` has no more, if Envoy decides by snapshot `version` or a newer one. False if it does
    /// not yet.
    pub(crate) async fn trim(&self, config: &Config, version: u64) -> bool {
        if self.snapshot().await.is_some_and(|has| has < version) {
            return false;
        }
        if let Err(why) = write(&self.folder, &live::files(config, &self.options, &[])) {
            warn!("{why}; clusters that nothing asks for stay in Envoy");
        }
        true
    }

    /// Whether Envoy serves. One that is away or still starting reads the files when it has started.
    async fn is_serving(&self) -> bool {
        self.get(self.admin, "/ready").await.is_some_and(|said| said.starts_with(b"LIVE"))
    }

    async fn taken(&self, files: &[File; 2]) -> bool {
        let started = tokio::time::Instant::now();
        while started.elapsed() < PATIENCE {
            if self.has(files).await {
                tokio::time::sleep(SETTLE).await;
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    async fn has(&self, [clusters, routes]: &[File; 2]) -> bool {
        let filter = "/stats?filter=(version_text|warming_clusters)$".replace('|', "%7C");
        let stats = self.get(self.admin, &filter).await.unwrap_or_default();
        let stats = String::from_utf8_lossy(&stats);
        let wanted = [
            format!("cluster_manager.cds.version_text: \"{}\"", clusters.version),
            format!("http.{GATEWAY}.rds.{GATEWAY}.version_text: \"{}\"", routes.version),
            "cluster_manager.warming_clusters: 0".to_owned(),
        ];
        wanted.iter().all(|wanted| stats.lines().any(|line| line == wanted))
    }

    /// Version of the snapshot that Envoy decides by; `None` if it is away.
    async fn snapshot(&self) -> Option<u64> {
        let answer = self.get(self.push, "/").await?;
        serde_json::from_slice::<serde_json::Value>(&answer).ok()?.get("version")?.as_u64()
    }

    async fn get(&self, at: SocketAddr, path: &str) -> Option<Bytes> {
        let uri: Uri = format!("http://{at}{path}").parse().ok()?;
        let answer = async {
            let response = self.client.get(uri).await.ok()?;
            Limited::new(response.into_body(), MAX_ANSWER).collect().await.ok()
        };
        Some(tokio::time::timeout(TIMEOUT, answer).await.ok()??.to_bytes())
    }
}

/// Writes the files of `envoy.live`, each whole or not at all.
///
/// # Errors
///
/// A sentence with the path.
pub fn write(folder: &Path, files: &[File; 2]) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("cannot make {} (envoy.live): {e}", folder.display()))?;
    files.iter().try_for_each(|file| replace(folder, file.name, &file.text))
}

/// Envoy looks at a file when another is renamed over it. A file that stays as it is is left alone.
fn replace(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let (path, new) = (folder.join(name), folder.join(format!(".{name}.new")));
    if fs::read_to_string(&path).is_ok_and(|now| now == text) {
        return Ok(());
    }
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
    written.map_err(|e| format!("cannot write {} (envoy.live): {e}", path.display()))
}
