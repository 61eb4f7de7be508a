//! `POST /v1/reload`: reads `dragoman.yaml` again, now.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::{ApiError, App};
use crate::reload::{NotReloaded, Reloaded};

pub(super) async fn reload(State(app): State<App>) -> Result<Json<Reloaded>, ApiError> {
    let reloads = app.reloads.as_ref().ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "this sidecar was not started from a file, so there is none to read",
        )
    })?;
    match reloads.ask().await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(NotReloaded::Refused(errors)) => Err(ApiError::refused(errors)),
        Err(NotReloaded::Failed(why)) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why)),
    }
}
