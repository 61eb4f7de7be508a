//! The simulator's HTTP side: routes, refusals and the pace at which an answer leaves.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::ask::{Ask, Dialect};
use super::config::{BreakStream, Latency, ModelConfig};
use super::outcome::{Answer, Draw, Outcome};
use super::render;
use super::state::{Control, LastRequest, Model, State};

/// A body may be so large, so that a gateway's own limits can be tested.
const BODY_LIMIT: usize = 64 << 20;

/// One model's port.
#[derive(Clone)]
struct Port {
    state: Arc<State>,
    index: usize,
}

/// A refusal: status, type, code and a sentence.
type Refusal = (StatusCode, &'static str, &'static str, String);

/// The routes of the model at `index`.
pub(super) fn router(state: Arc<State>, index: usize) -> Router {
    let port = Port { state, index };
    let mut router = Router::new();
    for dialect in Dialect::ALL {
        let port = port.clone();
        let handler = move |headers: HeaderMap, body: Bytes| async move {
            port.generate(dialect, &headers, &body).await
        };
        router = router.route(dialect.path(), post(handler));
    }
    let [models, stats, last, control] = [(); 4].map(|()| port.clone());
    router
        .route("/v1/models", get(async move || models.list()))
        .route("/stats", get(async move || Json(stats.state.stats())))
        .route("/last", get(async move || last.last()))
        .route("/control", post(async move |body: Bytes| control.control(&body)))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

// === impl Port ===

impl Port {
    fn model(&self) -> &Model {
        &self.state.models[self.index]
    }

    fn list(&self) -> Json<Value> {
        let model = json!({"id": self.model().name, "object": "model", "created": 0, "owned_by": "sim"});
        Json(json!({"object": "list", "data": [model]}))
    }

    fn last(&self) -> Response {
        match self.model().stats().last_request {
            Some(request) => Json(request).into_response(),
            None => (StatusCode::NOT_FOUND, "no request has reached this model yet\n").into_response(),
        }
    }

    fn control(&self, body: &[u8]) -> Response {
        let change =
            serde_json::from_slice::<Control>(body).map_err(|error| format!("not a change: {error}"));
        let done = change.and_then(|change| {
            let name = change.model.as_deref().unwrap_or(&self.model().name);
            self.state.control(name, &change)
        });
        match done {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(why) => (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response(),
        }
    }

    async fn generate(&self, dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Response {
        let begun = Instant::now();
        self.state.arrived(self.model(), LastRequest::new(dialect.path(), headers, body));
        let config = self.model().config();
        let answered = self.draw(&config, dialect, headers, body);
        let status = answered.as_ref().map_or_else(|refusal| refusal.0, |_| StatusCode::OK);
        self.model().responded(status.as_u16());
        match answered {
            Ok((ask, answer)) => {
                self.model().answered(&answer, ask.stream);
                let pace = Pace { begun, latency: config.latency_ms };
                if ask.stream {
                    pace.stream(dialect, &answer, ask.include_usage, config.break_stream)
                } else {
                    pace.whole(dialect, &answer).await
                }
            }
            Err(refusal) => refuse(dialect, refusal),
        }
    }

    fn draw(
        &self,
        config: &ModelConfig,
        dialect: Dialect,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Ask, Answer), Refusal> {
        if let Some((name, value)) = config.api_key()
            && headers.get(&name) != Some(&value)
        {
            let why = format!("the header `{name}` is missing or holds a wrong key");
            return Err((StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key", why));
        }
        let invalid = |why| (StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_request", why);
        let body: Value =
            serde_json::from_slice(body).map_err(|error| invalid(format!("not JSON: {error}")))?;
        let ask = dialect.read(&body).map_err(invalid)?;
        if config.name != "*" && config.name != ask.model {
            let why =
                format!("the model `{}` does not exist here; this port serves `{}`", ask.model, config.name);
            return Err((StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found", why));
        }
        let told = headers.get("x-sim-category").and_then(|value| value.to_str().ok());
        let category = self.state.prompts.categorise(&ask.prompt).or(told).unwrap_or("default");
        let repetition = self.model().repetition(&ask.prompt);
        match Outcome::draw(config, &ask, Draw { seed: self.state.seed, category, repetition }) {
            Outcome::Answer(answer) => Ok((ask, answer)),
            Outcome::Error => {
                let why = "the simulated model is out of order (error_rate)".to_owned();
                Err((StatusCode::SERVICE_UNAVAILABLE, "server_error", "overloaded", why))
            }
            Outcome::RateLimit => {
                let why = "the simulated rate limit is reached (rate_limit_rate)".to_owned();
                Err((StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded", why))
            }
        }
    }
}

fn refuse(dialect: Dialect, (status, kind, code, message): Refusal) -> Response {
    let body = Json(render::error(dialect, kind, code, &message));
    if status == StatusCode::TOO_MANY_REQUESTS {
        return (status, [(header::RETRY_AFTER, "1")], body).into_response();
    }
    (status, body).into_response()
}

/// When each token of an answer is due.
#[derive(Clone, Copy)]
struct Pace {
    begun: Instant,
    latency: Latency,
}

// === impl Pace ===

impl Pace {
    /// Due times count from the request's arrival, so that a timer's coarseness does not add up.
    fn due(self, tokens: usize) -> Instant {
        let milliseconds = self.latency.first + self.latency.per_token * tokens as f64;
        self.begun + Duration::from_secs_f64(milliseconds / 1e3)
    }

    async fn whole(self, dialect: Dialect, answer: &Answer) -> Response {
        sleep_until(self.due(answer.pieces.len())).await;
        Json(render::whole(dialect, answer, now())).into_response()
    }

    fn stream(self, dialect: Dialect, answer: &Answer, include_usage: bool, how: BreakStream) -> Response {
        let events = render::events(dialect, answer, now(), include_usage);
        let last = events.tokens.len();
        let opening = events.opening.into_iter().map(|event| (0, event));
        let tokens = events.tokens.into_iter().enumerate();
        let closing = events.closing.into_iter().map(|event| (last, event));
        let mut frames: Vec<_> = opening
            .chain(tokens)
            .chain(closing)
            .map(|(index, event)| (index, Ok(Bytes::from(event))))
            .collect();
        if let Some(pieces) = answer.broken_after {
            frames.retain(|(index, _)| *index < pieces);
            if how == BreakStream::Reset {
                // hyper aborts the connection when a body fails.
                frames.push((pieces, Err(std::io::Error::other("the stream was cut on purpose"))));
            }
        }
        let body = stream::iter(frames).then(move |(index, frame)| async move {
            sleep_until(self.due(index)).await;
            frame
        });
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        (headers, Body::from_stream(body)).into_response()
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
