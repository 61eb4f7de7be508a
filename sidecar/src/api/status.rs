//! Health, metrics and the models with their prices.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{ApiError, App};

pub(super) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    match app.is_ready() {
        true => Ok(Json(json!({"status": "ready"}))),
        false => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the learner is being rebuilt from the log, or the log cannot be read (see the sidecar's log)",
        )),
    }
}

pub(super) async fn models(State(app): State<App>) -> Json<Value> {
    let config = app.config();
    let models = config.routing.models.iter().map(|m| json!({"name": m.name, "price": m.price}));
    Json(models.collect())
}

pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    let size = |suffix: &str| {
        let path = format!("{}{suffix}", app.log_path.display());
        std::fs::metadata(path).map_or(0, |m| i64::try_from(m.len()).unwrap_or(i64::MAX))
    };
    app.metrics.db_bytes.set(size("") + size("-wal"));
    let text = app.metrics.text().map_err(|e| ApiError::internal(&e))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}
