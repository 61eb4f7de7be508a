//! `POST /v1/train`: learns everything anew, now, and answers what became of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::{ApiError, App};
use crate::writer::Trained;

pub(super) async fn train(State(app): State<App>) -> Result<Json<Trained>, ApiError> {
    let outcome = app.writer.train().await?;
    outcome.map(Json).map_err(|why| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why))
}
