//! Renders an [`Answer`] in the four dialects, whole and as server-sent events. Nothing here decides
//! what the answer is.

use serde_json::{Value, json};

use super::ask::Dialect;
use super::outcome::Answer;

mod anthropic;
mod openai;
mod responses;

/// The events of a streamed answer.
pub(super) struct Events {
    /// Sent before the first token.
    pub(super) opening: Vec<String>,
    /// One per token.
    pub(super) tokens: Vec<String>,
    /// Sent after the last token.
    pub(super) closing: Vec<String>,
}

/// The whole answer in one JSON body. `created` is in seconds since 1970.
pub(super) fn whole(dialect: Dialect, answer: &Answer, created: u64) -> Value {
    match dialect {
        Dialect::Chat => openai::chat(answer, created),
        Dialect::Completions => openai::completion(answer, created),
        Dialect::Responses => responses::whole(answer, created),
        Dialect::Messages => anthropic::whole(answer),
    }
}

/// The answer as server-sent events. `created` is in seconds since 1970.
pub(super) fn events(dialect: Dialect, answer: &Answer, created: u64, include_usage: bool) -> Events {
    match dialect {
        Dialect::Chat => openai::chat_events(answer, created, include_usage),
        Dialect::Completions => openai::completion_events(answer, created, include_usage),
        Dialect::Responses => responses::events(answer, created),
        Dialect::Messages => anthropic::events(answer),
    }
}

/// An error body as the dialect's API gives it.
pub(super) fn error(dialect: Dialect, kind: &str, code: &str, message: &str) -> Value {
    match dialect {
        Dialect::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        _ => json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    }
}

/// An event without a name, as OpenAI's older APIs send it.
fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event named by its own `type`.
fn named(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or("message"))
}
