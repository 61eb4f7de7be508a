//! The replay record: everything about one request that learning, explaining and judging need.
#![deny(clippy::indexing_slicing)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Price;
use crate::context::Context;
use crate::request::{Api, RequestFacts, Thread};
use crate::response::ResponseFacts;
use crate::signals::Signals;

/// Version of the record's format; a sidecar refuses any other.
pub const SCHEMA: u32 = 1;

/// The header in which a filter says what the records of a batch were embedded with, if it did that itself: the checksum of
/// its `model.fused`.
pub const ENCODER_HEADER: &str = "x-dragoman-encoder";

/// Characters of an answer that make a token, where its usage is not known.
const CHARS_PER_TOKEN: f64 = 4.0;

/// One request, decided and answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// UUIDv7, also the response's `x-vsr-replay-id`.
    pub id: String,
    /// When the request came, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The conversation it belongs to, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Version of the snapshot that decided; 0 if there was none.
    pub snapshot_version: u64,
    /// Arm of the A/B test between snapshots.
    pub arm: String,
    /// The request's format.
    pub api: Api,
    /// x, unless nothing was decided.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "context_f16")]
    pub context: Option<Context>,
    /// Name of the decision rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Every candidate, scored.
    #[serde(default)]
    pub candidates: Vec<CandidateRecord>,
    /// Name of the route taken; `None` for the default route outside the candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Name of the model first tried.
    pub model: String,
    /// Probability with which it was to be taken.
    pub propensity: f32,
    /// Whether chance took another route than the best.
    pub explored: bool,
    /// Whether the conversation was held on the model that answered it before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
    /// Why the default route was taken without a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_reason: Option<String>,
    /// What the prompt looked like.
    pub signals: Signals,
    /// Facts of the request.
    pub request: RequestFacts,
    /// Facts of the response.
    pub response: ResponseFacts,
    /// Set when the first model failed and this one answered instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_to: Option<Escalated>,
    /// Dollars of the answer, by the prices at the time.
    pub cost: f64,
    /// Time spent in the filter.
    pub stages: Stages,
    /// What of the prompt `privacy.store_prompts` lets be stored; nothing unless it asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Where it stands in its conversation.
    #[serde(default)]
    pub thread: Thread,
    /// What the judge is to see, of the few answers that are sampled for it. It passes through the sidecar and is
    /// never written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// The beginning of a prompt and of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Of the prompt.
    pub prompt: String,
    /// Of the answer.
    pub answer: String,
}

/// Where a failed request went on to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalated {
    /// Name of the model that answered.
    pub model: String,
    /// Its route within the same decision, if it was a candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

/// One candidate as it was scored; see [`crate::decision::Candidate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateRecord {
    /// Route name.
    pub route: String,
    /// q̂.
    pub reward: f32,
    /// Exploration bonus.
    pub bonus: f32,
    /// ĉ, dollars.
    pub cost: f64,
    /// Utility.
    pub utility: f32,
    /// Propensity.
    pub propensity: f32,
}

/// Microseconds of each stage in the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stages {
    /// Parsing the body.
    pub parse_us: u64,
    /// Tokenizing and embedding.
    pub embed_us: u64,
    /// Signals.
    pub signals_us: u64,
    /// Context, scores and choice.
    pub decide_us: u64,
    /// All of it, rewriting included.
    pub total_us: u64,
}

// === impl ReplayRecord ===

impl ReplayRecord {
    /// The route whose answer the client got; `None` if it was no route's.
    pub fn answering_route(&self) -> Option<&str> {
        match &self.escalated_to {
            None => self.route.as_deref(),
            Some(escalated) => escalated.route.as_deref(),
        }
    }
}

/// Completion tokens of an answer: its usage, or where that is missing (streams often have none) the estimate of
/// its text; `None` of a failed one, or of one that holds no text.
pub fn completion_tokens(response: &ResponseFacts) -> Option<u32> {
    let ok = matches!(response.status, 200..=299);
    let written = (f64::from(response.content_chars) / CHARS_PER_TOKEN) as u32;
    response.completion_tokens.or((written > 0).then_some(written)).filter(|_| ok)
}

/// Dollars of an answer; where its usage is not known, by the estimate of its text.
pub fn dollars(price: Price, request: &RequestFacts, response: &ResponseFacts) -> f64 {
    let prompt = response.prompt_tokens.unwrap_or(request.token_estimate);
    match response.status {
        200..=299 => price.dollars(f64::from(prompt), completion_tokens(response).map_or(0.0, f64::from)),
        _ => 0.0,
    }
}

/// Text of a UUIDv7 (RFC 9562 §5.7) from a time in milliseconds and ten random bytes.
pub fn replay_id(time_ms: u64, random: [u8; 10]) -> String {
    let mut bytes = [0u8; 16];
    let (time, rest) = bytes.split_at_mut(6);
    time.iter_mut().zip(time_ms.to_be_bytes().iter().skip(2)).for_each(|(b, t)| *b = *t);
    rest.iter_mut().zip(random).for_each(|(b, r)| *b = r);
    let n = u128::from_be_bytes(bytes);
    let n = n & !(0xf << 76) | 7 << 76; // version
    let n = n & !(0b11 << 62) | 0b10 << 62; // variant
    let hex = format!("{n:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// A context as the base64 of its f16 numbers, which carry it exactly.
pub mod context_f16 {
    use super::*;

    /// `None` as null.
    pub fn serialize<S: Serializer>(context: &Option<Context>, s: S) -> Result<S::Ok, S::Error> {
        context.as_ref().map(|c| STANDARD.encode(c.to_bytes())).serialize(s)
    }

    /// The inverse; numbers that are not finite are refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Context>, D::Error> {
        let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Context::from_bytes(&bytes)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom("the context has a number that is not finite"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_that_sorts_by_time() {
        let id = replay_id(0x0123_4567_89ab, [0xff; 10]);
        assert_eq!(id, "01234567-89ab-7fff-bfff-ffffffffffff");
        assert!(replay_id(1, [0xff; 10]) < replay_id(2, [0; 10]));
    }

    #[test]
    fn a_failed_answer_costs_nothing_and_one_without_usage_is_estimated() {
        let price = Price { input: 1.0, output: 2.0 };
        let request = RequestFacts { token_estimate: 100, ..Default::default() };
        let answer = |status, completion_tokens| ResponseFacts {
            status,
            completion_tokens,
            content_chars: 400,
            ..Default::default()
        };
        assert_eq!(dollars(price, &request, &answer(503, Some(9))), 0.0);
        assert!((dollars(price, &request, &answer(200, Some(50))) - 200e-6).abs() < 1e-12);
        assert!((dollars(price, &request, &answer(200, None)) - 300e-6).abs() < 1e-12);
    }
}
