//! `POST /v1/embeddings`, as OpenAI has it, for filters with `encoder.mode: sidecar`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dragoman_core::embedding::pack;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use crate::embed::{Busy, Encoded, MAX_WAITING};

#[derive(Deserialize)]
struct Question {
    input: Input,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    encoding_format: Format,
    #[serde(default)]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Float,
    Base64,
}

/// An error in OpenAI's shape.
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

pub(super) async fn embed(
    State(app): State<App>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let body = body.map_err(|e| Refusal::new(e.status(), "too_large", e.body_text()))?;
    let pool = app.encoder.as_ref().ok_or_else(|| {
        let why = "no encoder runs here: set encoder.mode: sidecar and restart the sidecar";
        Refusal::new(StatusCode::NOT_FOUND, "no_encoder", why)
    })?;
    let Question { input, model, encoding_format, dimensions } = read(&body)?;
    let texts = match input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > MAX_WAITING {
        let why = format!("input must have 1 to {MAX_WAITING} texts, not {}", texts.len());
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_input", why));
    }
    let asked = texts.len() as u64;
    let outcomes = pool.encode(texts).await.map_err(|busy| {
        app.metrics.embeddings_refused.inc_by(asked);
        Refusal::from(busy)
    })?;
    let failed = |why| {
        log::error!("a text cannot be encoded: {why}");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "encoder_failed",
            "the encoder failed; the log says why",
        )
    };
    let encoded = outcomes.into_iter().collect::<Result<Vec<Encoded>, _>>().map_err(failed)?;
    app.metrics.embeddings.inc_by(asked);
    check_size(dimensions, &encoded)?;
    Ok(Json(answer(&encoded, model, encoding_format)))
}

fn read(body: &[u8]) -> Result<Question, Refusal> {
    serde_json::from_slice(body).map_err(|e| {
        let why = format!("the body must be JSON with a text or a list of texts as \"input\": {e}");
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_input", why)
    })
}

fn check_size(wanted: Option<usize>, encoded: &[Encoded]) -> Result<(), Refusal> {
    let size = encoded.first().map_or(0, |e| e.vector.len());
    match wanted {
        Some(wanted) if wanted != size => {
            let why = format!("this model gives {size} dimensions, not {wanted}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_dimensions", why))
        }
        _ => Ok(()),
    }
}

fn answer(encoded: &[Encoded], model: Option<String>, format: Format) -> Value {
    let numbers = |vector: &[f32]| match format {
        Format::Float => json!(vector),
        Format::Base64 => pack(vector).into(),
    };
    let item = |(index, e): (usize, &Encoded)| json!({"object": "embedding", "index": index, "embedding": numbers(&e.vector)});
    let tokens: usize = encoded.iter().map(|e| e.tokens).sum();
    json!({
        "object": "list",
        "data": encoded.iter().enumerate().map(item).collect::<Vec<_>>(),
        "model": model.unwrap_or_else(|| "dragoman".into()),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

// === impl Refusal ===

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl From<Busy> for Refusal {
    fn from(Busy { waiting }: Busy) -> Self {
        let why = format!(
            "{waiting} of {MAX_WAITING} texts wait already: ask again later, or raise encoder.threads if there are cores"
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "queue_full", why)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = if self.status.is_client_error() { "invalid_request_error" } else { "server_error" };
        let error = json!({"message": self.message, "type": kind, "param": null, "code": self.code});
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
