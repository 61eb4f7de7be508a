//! The door of each path: who may pass.
//!
//! What is not named here is the admin's: a new path is locked before anybody thinks of it.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiError, App};
use crate::access::Role;

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Anybody.
    Open,
    /// Anybody, unless `access.metrics: token`.
    Metrics,
    /// Anybody who knows a replay's id, unless `access.feedback: token`.
    Feedback,
    /// Envoy's filters and the admin.
    Filter,
    /// The admin.
    Admin,
}

/// Every path that is not the admin's alone.
const DOORS: [(&str, Door); 8] = [
    ("/healthz", Door::Open),
    ("/readyz", Door::Open),
    ("/openapi.json", Door::Open),
    ("/metrics", Door::Metrics),
    ("/v1/router_replay/{id}/feedback", Door::Feedback),
    ("/v1/replays", Door::Filter),
    ("/v1/snapshot", Door::Filter),
    ("/v1/embeddings", Door::Filter),
];

// === impl Door ===

impl Door {
    pub(super) fn of(path: &str) -> Self {
        DOORS.iter().find(|(named, _)| *named == path).map_or(Self::Admin, |(_, door)| *door)
    }

    /// Whether `role` passes; `locked` says whether there is an admin's token at all.
    fn lets(self, role: Role, locked: bool, access: &dragoman_core::config::Access) -> bool {
        match self {
            Self::Open => true,
            Self::Metrics => !access.metrics_need_token || role == Role::Admin,
            Self::Feedback => !access.feedback_needs_token || matches!(role, Role::Admin | Role::Feedback),
            Self::Filter => !locked || matches!(role, Role::Admin | Role::Filter),
            Self::Admin => !locked || role == Role::Admin,
        }
    }
}

/// Lets a request pass or answers it here.
pub(super) async fn check(State((app, door)): State<(App, Door)>, request: Request, next: Next) -> Response {
    let role = app.gate.role(request.headers());
    if door.lets(role, app.gate.is_locked(), &app.config().access) {
        return next.run(request).await;
    }
    app.metrics.unauthorized.inc();
    let token = match door {
        Door::Feedback => "the token of access.feedback_token",
        Door::Filter => "the token that `dragoman render envoy` writes, or that of access.token",
        _ => "the token of access.token",
    };
    let error = ApiError::new(
        StatusCode::UNAUTHORIZED,
        format!("this needs {token}: send it as `authorization: Bearer TOKEN`"),
    );
    let mut response = error.into_response();
    // A browser asks for the token and sends it as a password.
    let ways = HeaderValue::from_static("Bearer, Basic realm=\"dragoman: the token is the password\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, ways);
    response
}
