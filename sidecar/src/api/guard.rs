//! `GET /v1/guard`, `POST /v1/rollback`, `/v1/resume` and `/v1/snapshots/{version}/tag`: looking at the guard and
//! stepping in.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App};

/// Longest name of a snapshot, bytes.
const MAX_NAME: usize = 64;

pub(super) async fn status(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    app.writer.guard_status().await?.map(Json).map_err(conflict)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    version: Option<u64>,
}

pub(super) async fn roll_back(State(app): State<App>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let wanted = match body.is_empty() {
        true => Wanted::default(),
        false => read(&body, "{\"version\": 12}, or nothing")?,
    };
    let done = app.writer.roll_back(wanted.version).await?.map_err(conflict)?;
    Ok(Json(json!({
        "version": done.version,
        "from": done.from,
        "message": format!(
            "snapshot {} is in use again, as version {}; nothing else is published until POST /v1/resume or \
             `dragoman rollback --resume`",
            done.from, done.version
        ),
    })))
}

pub(super) async fn resume(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let held = app.writer.resume().await?.map_err(conflict)?;
    let message = match held {
        true => "what is learned is published again",
        false => "nothing was held: what is learned is being published",
    };
    Ok(Json(json!({"resumed": held, "message": message})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

pub(super) async fn tag(
    State(app): State<App>,
    Path(version): Path<u64>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Named { name } = read(&body, "{\"name\": \"before-the-sale\"}")?;
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!("name must be a line of 1 to {MAX_NAME} bytes")));
    }
    let named = app.writer.name_snapshot(version, name.clone()).await?;
    named.map_err(|why| ApiError::new(StatusCode::NOT_FOUND, why))?;
    Ok(Json(json!({"version": version, "name": name})))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8], like: &str) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request(format!("the body must be like {like}: {e}")))
}

fn conflict(why: String) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, why)
}
