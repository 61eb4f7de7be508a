//! `GET /v1/router_replay` and `/v1/router_replay/{id}`: what was decided, and why.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use dragoman_core::reward::Evidence;
use serde::Deserialize;
use serde_json::{Value, json};

use super::evidence::sentences;
use super::explain::explain;
use super::ingest::check_id;
use super::{ApiError, App};
use crate::learn;
use crate::log::Filter;

/// Records in a list, unless asked otherwise, and at most.
const LIMIT: (u32, u32) = (50, 1000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    limit: Option<u32>,
    model: Option<String>,
    decision: Option<String>,
    session: Option<String>,
    before: Option<i64>,
}

pub(super) async fn list(
    State(app): State<App>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(Wanted { limit, model, decision, session, before }) =
        wanted.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let (usual, most) = LIMIT;
    let limit = limit.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit must be from 1 to {most}, not {limit}")));
    }
    let filter = Filter { model, decision, session, before, limit };
    let items = app.read(move |log| log.list(&filter)).await?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| last.seq);
    Ok(Json(json!({"items": items, "next": next})))
}

pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    check_id(&id).map_err(ApiError::bad_request)?;
    let wanted = id.clone();
    let stored = app.read(move |log| log.stored(&wanted)).await?.ok_or_else(|| {
        let message = format!("there is no replay {id}; records come a moment after their answers");
        ApiError::new(StatusCode::NOT_FOUND, message)
    })?;
    let known: Vec<_> = stored.evidence.iter().map(|heard| heard.evidence).collect();
    let config = app.config();
    let reward = learn::reward(&config.reward, &stored.record, &known);
    let mut explanation = explain(&stored.record, &config.routing);
    if let Some(told) = explanation["sentences"].as_array_mut() {
        told.extend(sentences(&stored.evidence).into_iter().map(Value::from));
    }
    let inferred: Vec<_> =
        stored.evidence.iter().filter(|h| !matches!(h.evidence, Evidence::Feedback { .. })).collect();
    Ok(Json(json!({
        "id": stored.record.id,
        "seq": stored.seq,
        "explanation": explanation,
        "reward": reward,
        "feedback": stored.feedback,
        "evidence": inferred,
        "record": stored.record,
    })))
}
