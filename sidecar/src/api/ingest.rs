//! `POST /v1/replays`: a batch of records, as a JSON array or one JSON object a line.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use dragoman_core::config::Privacy;
use dragoman_core::privacy::stored;
use dragoman_core::replay::{ENCODER_HEADER, ReplayRecord, SCHEMA};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ApiError, App};

/// Longest record, bytes of JSON.
const MAX_RECORD: usize = 1 << 20;
/// Longest id; a UUID has 36.
const MAX_ID: usize = 64;

/// The answer to a batch.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Answer {
    accepted: usize,
    duplicates: usize,
    rejected: Vec<Rejected>,
}

/// A record that was refused; the others of its batch were not.
#[derive(Debug, PartialEq, Serialize)]
struct Rejected {
    /// Its place in the batch, from 0; of lines, the line's, empty ones counted.
    index: usize,
    /// Its id, where that could be read.
    id: Option<String>,
    why: String,
}

/// What of a record must be readable before anything else is.
#[derive(Deserialize)]
struct Envelope {
    schema: u32,
    #[serde(default)]
    id: Option<String>,
}

pub(super) async fn ingest(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, ApiError> {
    let body =
        body.map_err(|e| ApiError::new(e.status(), format!("the batch was not taken: {}", e.body_text())))?;
    if app.twin.differs(headers.get(ENCODER_HEADER).and_then(|value| value.to_str().ok())) {
        app.metrics.foreign_encoders.inc();
    }
    let privacy = app.config().routing.privacy.keyed(app.gate.hash_key);
    let read = tokio::task::spawn_blocking(move || read(&body, &privacy)).await;
    let (mut records, rejected) = read.map_err(|e| ApiError::internal(&e))?.map_err(ApiError::bad_request)?;
    // What is for the judge goes nowhere else.
    let taken = records.iter_mut().filter_map(|r| r.sample.take().map(|sample| (r.id.clone(), sample)));
    let samples: Vec<_> = taken.collect();
    let written = match records.is_empty() {
        true => crate::writer::Ingested::default(),
        false => app.writer.ingest(records).await?,
    };
    samples.into_iter().for_each(|(id, sample)| app.judge.hand_in(id, sample));
    let count = |n: usize| n as u64;
    app.metrics.ingested.inc_by(count(written.accepted));
    app.metrics.duplicates.inc_by(count(written.duplicates));
    app.metrics.rejected.inc_by(count(rejected.len()));
    Ok(Json(Answer { accepted: written.accepted, duplicates: written.duplicates, rejected }))
}

/// The records of a batch, and those that are none. A sentence if the batch itself is not readable.
fn read(body: &[u8], privacy: &Privacy) -> Result<(Vec<ReplayRecord>, Vec<Rejected>), String> {
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for (index, text) in split(body)? {
        match record(text) {
            Ok(mut record) => {
                // The filter does not send what it must not; this is the second lock on the same door.
                record.prompt = record.prompt.and_then(|prompt| stored(privacy, &prompt));
                records.push(record);
            }
            Err((id, why)) => rejected.push(Rejected { index, id, why }),
        }
    }
    Ok((records, rejected))
}

/// The texts of a batch with their places.
fn split(body: &[u8]) -> Result<Vec<(usize, &[u8])>, String> {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if first == Some(&b'[') {
        let items: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|e| format!("the batch is not a JSON array of records: {e}"))?;
        return Ok(items.iter().map(|item| item.get().as_bytes()).enumerate().collect());
    }
    let lines = body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).enumerate();
    Ok(lines.filter(|(_, line)| !line.is_empty()).collect())
}

/// One record; else its id, where that is readable, and why it is none.
fn record(text: &[u8]) -> Result<ReplayRecord, (Option<String>, String)> {
    if text.len() > MAX_RECORD {
        return Err((None, format!("the record has {} bytes, more than {MAX_RECORD}", text.len())));
    }
    let Envelope { schema, id } =
        serde_json::from_slice(text).map_err(|e| (None, format!("this is not a replay record: {e}")))?;
    if schema != SCHEMA {
        let why = format!("the record has schema {schema}, this build reads {SCHEMA}: use matching versions");
        return Err((id, why));
    }
    let record: ReplayRecord =
        serde_json::from_slice(text).map_err(|e| (id.clone(), format!("the record is not readable: {e}")))?;
    check(&record).map_err(|why| (id, why))?;
    Ok(record)
}

fn check(record: &ReplayRecord) -> Result<(), String> {
    check_id(&record.id)?;
    if !(record.cost.is_finite() && record.cost >= 0.0) {
        return Err(format!("cost must be dollars from 0, not {}", record.cost));
    }
    if !(0.0..=1.0).contains(&record.propensity) {
        return Err(format!("propensity must be from 0 to 1, not {}", record.propensity));
    }
    if record.model.is_empty() {
        return Err("model must not be empty".into());
    }
    Ok(())
}

/// A sentence unless `id` can be a replay id.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    match plain && (1..=MAX_ID).contains(&id.len()) {
        true => Ok(()),
        false => Err(format!("a replay id has 1 to {MAX_ID} letters, digits, '-' and '_', such as a UUID")),
    }
}

#[cfg(test)]
mod tests;
