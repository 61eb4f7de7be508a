//! `GET /v1/snapshot` and `/v1/snapshots`: what filters fetch after a restart, and what there is.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App};

#[derive(Deserialize)]
pub(super) struct Wanted {
    newer_than: Option<u64>,
}

pub(super) async fn latest(
    State(app): State<App>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(wanted) = wanted.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let newest = app.published.borrow().clone();
    let newest = newest.ok_or_else(|| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there is no snapshot yet; see /readyz")
    })?;
    let etag = format!("\"{}\"", newest.version);
    let has = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let known = has.is_some_and(|tags| tags.split(',').any(|tag| matches(tag.trim(), &etag)));
    let tag = [(header::ETAG, etag)];
    if known || wanted.newer_than.is_some_and(|version| version >= newest.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((tag, kind, newest.blob).into_response())
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let current = app.published.borrow().as_ref().map(|p| p.version);
    let items = app.read(|log| log.snapshots()).await?;
    Ok(Json(json!({"current": current, "items": items})))
}

fn matches(tag: &str, etag: &str) -> bool {
    tag == "*" || tag.trim_start_matches("W/") == etag
}
