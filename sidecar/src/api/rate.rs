//! `POST /v1/router_replay/{id}/feedback`: what a user says of an answer.
//!
//! One voice per record unless raters tell themselves apart by the header `x-dragoman-rater`. A rater's first word
//! counts; several raters count as their mean. How often one may speak, and how much a word weighs, says
//! [`crate::access::Gate`].

use std::net::SocketAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use dragoman_core::reward::{Feedback, Reward};
use serde_json::{Value, json};

use super::ingest::check_id;
use super::{ApiError, App};
use crate::access::Voice;
use crate::clock::now_ms;
use crate::writer::{Rating, Said};

/// Names the rater.
const RATER: &str = "x-dragoman-rater";
/// Longest name of a rater, bytes.
const MAX_RATER: usize = 128;

/// A field: its name, whether a value fits it, and what a value must be.
type Field = (&'static str, fn(&Value) -> bool, &'static str);

/// Fields of feedback.
const FIELDS: [Field; 4] = [
    ("rating", is_rating, "must be a whole number from 1 to 5"),
    ("correct", Value::is_boolean, "must be true or false"),
    ("helpful", Value::is_boolean, "must be true or false"),
    ("model_fit", Value::is_boolean, "must be true or false"),
];

pub(super) async fn rate(
    State(app): State<App>,
    Path(id): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body
        .map_err(|e| ApiError::new(e.status(), format!("the feedback was not taken: {}", e.body_text())))?;
    check_id(&id).map_err(ApiError::bad_request)?;
    let feedback = read(&body).map_err(ApiError::bad_request)?;
    let named = rater(&headers).map_err(ApiError::bad_request)?;
    let rater = app.gate.believes(app.gate.role(&headers), peer.ip()).then_some(named);
    let voice = match &rater {
        Some(name) if name.is_empty() => Voice::Application,
        Some(name) => Voice::Rater(name),
        None => Voice::Stranger(peer.ip()),
    };
    let time_ms = now_ms();
    let weight = app.gate.speak(&app.config().access, voice, time_ms).map_err(|seconds| {
        app.metrics.feedback_limited.inc();
        let limit = "that is more feedback than one rater may send (access.feedback_per_minute)";
        ApiError::too_many(seconds, format!("{limit}; wait {seconds} s"))
    })?;
    let said = Said { replay_id: id.clone(), rater: rater.unwrap_or_default(), feedback, time_ms, weight };
    let answer = |status, word, reward: Option<Reward>| {
        (status, Json(json!({"id": id, "status": word, "reward": reward}))).into_response()
    };
    match app.writer.rate(said).await? {
        Rating::Counted(reward) => Ok(answer(StatusCode::OK, "counted", Some(reward))),
        Rating::SaidBefore(reward) => Ok(answer(StatusCode::OK, "said_before", Some(reward))),
        Rating::Waiting => Ok(answer(StatusCode::ACCEPTED, "waiting", None)),
        Rating::TooOld => Err(ApiError::new(
            StatusCode::GONE,
            "this record is older than the log keeps records (retention.days): feedback on it can no longer count",
        )),
        Rating::TooManyWaiting => Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too much feedback waits for records that have not come; is Envoy sending replays to this sidecar?",
        )),
    }
}

fn rater(headers: &HeaderMap) -> Result<String, String> {
    let Some(value) = headers.get(RATER) else { return Ok(String::new()) };
    let name = value.to_str().ok().filter(|name| name.len() <= MAX_RATER);
    name.map(str::to_owned).ok_or_else(|| format!("{RATER} must have at most {MAX_RATER} ASCII characters"))
}

/// Feedback of a body, or a sentence. Read by hand, because the sentence is for people who try it with curl.
fn read(body: &[u8]) -> Result<Feedback, String> {
    let value: Value = serde_json::from_slice(body).map_err(|e| format!("feedback must be JSON: {e}"))?;
    let Value::Object(fields) = &value else {
        return Err("feedback must be a JSON object such as {\"rating\": 5}".into());
    };
    for (name, given) in fields {
        let Some((_, fits, must)) = FIELDS.iter().find(|(known, ..)| known == name) else {
            let known: Vec<&str> = FIELDS.iter().map(|(known, ..)| *known).collect();
            return Err(format!("feedback has no \"{name}\"; it has {}", known.join(", ")));
        };
        if !given.is_null() && !fits(given) {
            return Err(format!("{name} {must}, not {given}"));
        }
    }
    let feedback: Feedback = serde_json::from_value(value).map_err(|e| e.to_string())?;
    feedback.check().map(|()| feedback)
}

fn is_rating(value: &Value) -> bool {
    value.as_u64().is_some_and(|n| (1..=5).contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_that_is_not_understood_is_answered_in_a_sentence() {
        let cases = [
            ("{\"rating\": 6}", "rating must be a whole number from 1 to 5, not 6"),
            ("{\"rating\": 4.5}", "rating must be a whole number from 1 to 5, not 4.5"),
            ("{\"correct\": \"yes\"}", "correct must be true or false, not \"yes\""),
            ("{\"stars\": 5}", "feedback has no \"stars\"; it has rating, correct, helpful, model_fit"),
            ("[]", "feedback must be a JSON object such as {\"rating\": 5}"),
            ("{}", "feedback must have at least one of rating, correct, helpful and model_fit"),
        ];
        for (body, sentence) in cases {
            assert_eq!(read(body.as_bytes()).unwrap_err(), sentence);
        }
        assert!(read(b"{").unwrap_err().starts_with("feedback must be JSON"));
    }

    #[test]
    fn feedback_is_read() {
        let said = read(b"{\"rating\": 4, \"helpful\": true, \"correct\": null}").unwrap();
        assert_eq!(said, Feedback { rating: Some(4), helpful: Some(true), ..Default::default() });
    }
}
