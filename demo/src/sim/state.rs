//! What the simulator remembers: each model's live configuration, its counters, and the last request.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{BreakStream, Latency, ModelConfig, OutputTokens, Price};
use super::outcome::{Answer, fnv};
use crate::prompts::Prompts;

/// A model's counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelStats {
    /// Requests to one of the four generating endpoints, whatever became of them.
    pub requests: u64,
    /// Answers sent as streams.
    pub streams: u64,
    /// Responses by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Good answers.
    pub good: u64,
    /// Bad answers.
    pub bad: u64,
    /// Tokens read for the answers.
    pub input_tokens: u64,
    /// Tokens written in the answers, those of a cut stream's lost half included.
    pub output_tokens: u64,
    /// What the answers cost, in dollars.
    pub dollars: f64,
    /// The price now, in dollars per million tokens.
    pub price: Price,
    /// The last request that reached this model.
    pub last_request: Option<LastRequest>,
}

/// The last request, as it arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRequest {
    /// Its path.
    pub path: String,
    /// Its headers by lower-case name; repeated ones joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// Its body; a string if it was not JSON.
    pub body: Value,
}

/// Everything `GET /stats` tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// By model name.
    pub models: BTreeMap<String, ModelStats>,
    /// The last request to any model.
    pub last_request: Option<LastRequest>,
}

/// A live change to a model: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of ModelConfig")]
pub struct Control {
    /// Which model; over HTTP the one whose port was asked, if absent.
    pub model: Option<String>,
    pub price: Option<Price>,
    pub latency_ms: Option<LatencyChange>,
    /// Merged into the model's skills, category by category.
    pub skill: BTreeMap<String, f64>,
    pub output_tokens: Option<OutputTokens>,
    pub error_rate: Option<f64>,
    pub rate_limit_rate: Option<f64>,
    pub truncation_rate: Option<f64>,
    pub break_stream_rate: Option<f64>,
    pub break_stream: Option<BreakStream>,
}

/// A live change to a latency, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyChange {
    /// Until the first token.
    pub first: Option<f64>,
    /// Between one token and the next.
    pub per_token: Option<f64>,
}

pub(super) struct State {
    pub(super) seed: u64,
    pub(super) prompts: Prompts,
    pub(super) models: Vec<Model>,
    last: Mutex<Option<LastRequest>>,
}

pub(super) struct Model {
    pub(super) name: String,
    config: Mutex<ModelConfig>,
    stats: Mutex<ModelStats>,
    /// How often each prompt, by its hash, was asked.
    asked: Mutex<HashMap<u64, u64>>,
}

/// A panic elsewhere must not hide the counters from the test that looks for its cause.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Control ===

impl Control {
    fn apply(&self, model: &mut ModelConfig) {
        fn set<T: Copy>(slot: &mut T, change: Option<T>) {
            *slot = change.unwrap_or(*slot);
        }
        set(&mut model.price, self.price);
        set(&mut model.output_tokens, self.output_tokens);
        set(&mut model.error_rate, self.error_rate);
        set(&mut model.rate_limit_rate, self.rate_limit_rate);
        set(&mut model.truncation_rate, self.truncation_rate);
        set(&mut model.break_stream_rate, self.break_stream_rate);
        set(&mut model.break_stream, self.break_stream);
        let Latency { first, per_token } = &mut model.latency_ms;
        set(first, self.latency_ms.and_then(|latency| latency.first));
        set(per_token, self.latency_ms.and_then(|latency| latency.per_token));
        model.skill.extend(self.skill.clone());
    }
}

// === impl State ===

impl State {
    pub(super) fn new(seed: u64, prompts: Prompts, models: Vec<ModelConfig>) -> Self {
        let models = models.into_iter().map(Model::new).collect();
        Self { seed, prompts, models, last: Mutex::default() }
    }

    /// Changes the named model, or refuses in a sentence and changes nothing.
    pub(super) fn control(&self, name: &str, change: &Control) -> Result<(), String> {
        let model = self.models.iter().find(|model| model.name == name).ok_or_else(|| {
            let names: Vec<_> = self.models.iter().map(|model| model.name.as_str()).collect();
            format!("there is no model `{name}`; the models are: {}", names.join(", "))
        })?;
        let mut config = lock(&model.config);
        let mut changed = config.clone();
        change.apply(&mut changed);
        let mistakes = changed.mistakes();
        if !mistakes.is_empty() {
            return Err(format!("nothing was changed: {}", mistakes.join("; ")));
        }
        *config = changed;
        Ok(())
    }

    pub(super) fn stats(&self) -> Stats {
        let models = self.models.iter().map(|model| (model.name.clone(), model.stats())).collect();
        Stats { models, last_request: lock(&self.last).clone() }
    }

    /// Notes the arrival of a request at a model.
    pub(super) fn arrived(&self, model: &Model, request: LastRequest) {
        *lock(&self.last) = Some(request.clone());
        let mut stats = lock(&model.stats);
        stats.requests += 1;
        stats.last_request = Some(request);
    }
}

// === impl Model ===

impl Model {
    fn new(config: ModelConfig) -> Self {
        let name = config.name.clone();
        Self { name, config: Mutex::new(config), stats: Mutex::default(), asked: Mutex::default() }
    }

    /// The configuration at this moment.
    pub(super) fn config(&self) -> ModelConfig {
        lock(&self.config).clone()
    }

    pub(super) fn stats(&self) -> ModelStats {
        let price = lock(&self.config).price;
        ModelStats { price, ..lock(&self.stats).clone() }
    }

    /// How often the prompt was asked before; this asking is counted.
    pub(super) fn repetition(&self, prompt: &str) -> u64 {
        let mut asked = lock(&self.asked);
        let count = asked.entry(fnv(prompt.trim().as_bytes())).or_default();
        *count += 1;
        *count - 1
    }

    pub(super) fn responded(&self, status: u16) {
        *lock(&self.stats).statuses.entry(status).or_default() += 1;
    }

    pub(super) fn answered(&self, answer: &Answer, stream: bool) {
        let dollars = lock(&self.config).price.dollars(answer.input_tokens, answer.output_tokens());
        let mut stats = lock(&self.stats);
        stats.streams += u64::from(stream);
        stats.good += u64::from(answer.good);
        stats.bad += u64::from(!answer.good);
        stats.input_tokens += answer.input_tokens;
        stats.output_tokens += answer.output_tokens();
        stats.dollars += dollars;
    }
}

// === impl LastRequest ===

impl LastRequest {
    pub(super) fn new(path: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut named = BTreeMap::<String, String>::new();
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            named
                .entry(name.as_str().to_owned())
                .and_modify(|earlier| *earlier = format!("{earlier}, {value}"))
                .or_insert_with(|| value.into_owned());
        }
        let body = serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        Self { path: path.to_owned(), headers: named, body }
    }
}
