//! Errors as clients see them: `{"error": {"message": "a sentence"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use log::error;
use serde_json::json;

use crate::writer::Refused;

/// A status and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    /// Where several things are wrong: a sentence for each.
    errors: Vec<String>,
    /// Seconds after which a busy sidecar may be asked again.
    retry_after: u64,
}

// === impl ApiError ===

impl ApiError {
    /// An error with a sentence that says what to do.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: Vec::new(), retry_after: 1 }
    }

    /// A document with these errors was refused.
    pub fn refused(errors: Vec<String>) -> Self {
        let message = "the configuration was refused, the old one stays: see `errors`";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, message) }
    }

    /// Too much of it: to be sent again after so many seconds.
    pub fn too_many(seconds: u64, message: impl Into<String>) -> Self {
        Self { retry_after: seconds, ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// The request is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Something here is broken: the log has it, the client only hears that.
    pub fn internal(why: &dyn std::error::Error) -> Self {
        error!("a request failed: {why}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the sidecar failed; its own log says why")
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = match refused {
            Refused::Busy => "too many writes wait already; send this again after Retry-After",
            Refused::Failed => {
                "this was not written (the sidecar is stopping, or its disk is full: its own log says why); send it again"
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({"error": {"message": self.message}});
        if !self.errors.is_empty() {
            body["error"]["errors"] = self.errors.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after));
        }
        response
    }
}
