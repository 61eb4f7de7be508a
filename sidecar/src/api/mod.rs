//! The sidecar's HTTP API: one table of routes, described for clients by `openapi.json`.
//!
//! This room reads requests and writes answers. It must not know SQL, the learner or Envoy.

mod door;
mod embeddings;
mod error;
mod evidence;
mod explain;
mod guard;
mod ingest;
mod page;
mod rate;
mod reload;
mod replays;
mod snapshots;
mod status;
mod train;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use dragoman_core::config::Config;
use tokio::sync::watch;

use crate::access::Gate;
use crate::embed::{Pool, Twin};
use crate::judge::Judge;
use crate::log::Reader;
use crate::metrics::Metrics;
use crate::publish::Published;
use crate::reload::Reloads;
use crate::writer::Writer;

pub use error::ApiError;

/// The API's description for clients and their tools.
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// Largest batch of records, bytes.
const MAX_BATCH: usize = 32 << 20;
/// Largest list of texts to embed, bytes.
const MAX_TEXTS: usize = 8 << 20;
/// Largest feedback, bytes.
const MAX_FEEDBACK: usize = 16 << 10;

/// What the handlers share.
pub struct Shared {
    /// Sends records and feedback to the loop.
    pub writer: Writer,
    /// Has sampled answers scored.
    pub judge: Judge,
    /// Reads the log.
    pub reader: Reader,
    /// Counters.
    pub metrics: Metrics,
    /// The newest snapshot.
    pub published: watch::Receiver<Option<Published>>,
    /// Whether the learner is rebuilt and the loop runs.
    pub ready: AtomicBool,
    /// The configuration in use.
    pub config: watch::Receiver<Arc<Config>>,
    /// Asks for the configuration to be read again; `None` if it is no file.
    pub reloads: Option<Reloads>,
    /// Encodes texts, if that is done here.
    pub encoder: Option<Pool>,
    /// Which encoder filters should hold.
    pub twin: Twin,
    /// The log's file.
    pub log_path: PathBuf,
    /// Who may ask what.
    pub gate: Gate,
}

/// [`Shared`], as handlers get it.
pub type App = Arc<Shared>;

/// Every route: method, path and handler. `openapi.json` describes the same.
fn table() -> Vec<(&'static str, &'static str, MethodRouter<App>)> {
    vec![
        ("post", "/v1/replays", post(ingest::ingest).layer(DefaultBodyLimit::max(MAX_BATCH))),
        ("get", "/v1/router_replay", get(replays::list)),
        ("get", "/v1/router_replay/{id}", get(replays::one)),
        (
            "post",
            "/v1/router_replay/{id}/feedback",
            post(rate::rate).layer(DefaultBodyLimit::max(MAX_FEEDBACK)),
        ),
        ("post", "/v1/embeddings", post(embeddings::embed).layer(DefaultBodyLimit::max(MAX_TEXTS))),
        ("post", "/v1/reload", post(reload::reload)),
        ("post", "/v1/train", post(train::train)),
        ("get", "/v1/snapshot", get(snapshots::latest)),
        ("get", "/v1/snapshots", get(snapshots::list)),
        ("post", "/v1/snapshots/{version}/tag", post(guard::tag)),
        ("get", "/v1/guard", get(guard::status)),
        ("post", "/v1/rollback", post(guard::roll_back)),
        ("post", "/v1/resume", post(guard::resume)),
        ("get", "/v1/models", get(status::models)),
        ("get", "/metrics", get(status::metrics)),
        ("get", "/healthz", get(status::healthz)),
        ("get", "/readyz", get(status::readyz)),
        ("get", "/openapi.json", get(openapi)),
        ("get", "/", get(page::page)),
    ]
}

/// The whole API.
pub fn router(app: App) -> Router {
    let guarded = |router: Router<App>, (_, path, handler): (_, &str, MethodRouter<App>)| {
        let door = (Arc::clone(&app), door::Door::of(path));
        router.route(path, handler.layer(from_fn_with_state(door, door::check)))
    };
    table()
        .into_iter()
        .fold(Router::new(), guarded)
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "there is nothing here; see /openapi.json"))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path has another method; see /openapi.json")
        })
        .with_state(app)
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

impl Shared {
    /// Runs work that waits for the disk where waiting is allowed.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Reader) -> Result<T, crate::log::LogError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let app = Arc::clone(self);
        let result = tokio::task::spawn_blocking(move || work(&app.reader)).await;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(ApiError::internal(&e)),
            Err(e) => Err(ApiError::internal(&e)),
        }
    }

    /// The configuration in use.
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// Whether the learner is rebuilt and the loop runs.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut described: Vec<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |m| (m.clone(), path.clone())))
            .filter(|(method, _)| method != "parameters")
            .collect();
        let mut served: Vec<(String, String)> =
            table().iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        described.sort();
        served.sort();
        assert_eq!(described, served);
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        fn walk(value: &Value, root: &Value) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{reference}");
            }
            match value {
                Value::Object(map) => map.values().for_each(|v| walk(v, root)),
                Value::Array(items) => items.iter().for_each(|v| walk(v, root)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        walk(&document, &document);
    }
}
