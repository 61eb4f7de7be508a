//! This room reads one client request body: which API it speaks, what the prompt is, which model it
//! names, what the conversation looks like. It also puts another model's name into that body.
//!
//! It must not know routes, policies, signals or hosts: it sees bytes and a path, and gives facts.
//! A body is read in one pass, leniently about fields it does not know and strictly about the types
//! of those it does. Texts are borrowed from the body; only the prompt is copied.
#![deny(clippy::indexing_slicing)]

mod body;
mod complaints;
mod conversation;
mod error;
mod harness;
mod measure;
mod node;
mod rewrite;
mod session;
mod thread;

#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use error::RequestError;
pub use rewrite::{Rewritten, rewrite_model};
pub use thread::{Thread, ThreadHash, ThreadKey};

/// The request formats that are routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI chat completions.
    ChatCompletions,
    /// OpenAI's older text completions.
    Completions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

/// Every API with its request path and its name in metrics, configuration and records.
const APIS: [(Api, &str, &str); 4] = [
    (Api::ChatCompletions, "/v1/chat/completions", "chat_completions"),
    (Api::Completions, "/v1/completions", "completions"),
    (Api::Responses, "/v1/responses", "responses"),
    (Api::Messages, "/v1/messages", "messages"),
];

/// What one request asks, as far as routing cares.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptRequest {
    /// The format of the body.
    pub api: Api,
    /// What the user said last: the text of the last user turn without what an agent's harness put there (see
    /// `harness`), its parts joined by `\n`, trimmed; never empty.
    pub prompt: String,
    /// The model the client named; `None` when absent or null.
    pub model: Option<String>,
    /// Whether the client asked for a stream of events.
    pub stream: bool,
    /// Counts over the whole conversation.
    pub facts: RequestFacts,
    /// The conversation's name by the body, at most 256 bytes. The table in `session.rs` says which
    /// fields give it and in which order.
    pub session: Option<String>,
    /// What links it to the request before it; without hashes if there was no key.
    pub thread: Thread,
    /// Where the value of the top-level `model` lies in the body, in bytes.
    pub model_span: Option<Range<usize>>,
}

/// Counts over one request. Characters are Unicode scalar values; every count saturates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestFacts {
    /// User messages in which the user says something, the last one included.
    pub user_turns: u32,
    /// The same plus assistant messages; system and tool messages do not count.
    pub turns: u32,
    /// Whether the last user turn follows an answer, of this body or by `previous_response_id`.
    pub replies: bool,
    /// User turns before the last that complain about the answer they got.
    pub complaints: u32,
    /// Images in the whole conversation, those inside tool results included.
    pub images: u32,
    /// Tools (or legacy functions) that the model may call.
    pub tools: u32,
    /// Whether the client demands JSON as output.
    pub json_output: bool,
    /// Whether the client asked for a stream of events.
    pub stream: bool,
    /// Characters of the prompt, after trimming.
    pub prompt_chars: u32,
    /// Characters of system and developer text.
    pub system_chars: u32,
    /// Characters of all text of the conversation: system, user, assistant and tool results.
    pub total_chars: u32,
    /// The whole input in tokens, estimated: an ASCII character is 1/4, a character of Chinese,
    /// Japanese or Korean is 1, any other 1/2; then 4 for each turn, 765 for each image, and 1 for every
    /// 4 bytes of tool definitions.
    pub token_estimate: u32,
    /// The most tokens the client wants back.
    pub max_output_tokens: Option<u32>,
}

// === impl Api ===

impl Api {
    /// The API that a request path (`:path`, with or without a query) speaks; `None` for any path
    /// but the four known ones, to the byte.
    pub fn from_path(path: &[u8]) -> Option<Api> {
        let path = path.split(|&b| b == b'?').next()?;
        APIS.iter().find(|(_, known, _)| known.as_bytes() == path).map(|&(api, ..)| api)
    }

    /// The request path it is served at.
    pub fn path(self) -> &'static str {
        APIS.iter().find(|(api, ..)| *api == self).map_or("/", |&(_, path, _)| path)
    }

    /// The name in metrics and records, the same as in serialised form: `chat_completions` and so on.
    pub fn name(self) -> &'static str {
        APIS.iter().find(|(api, ..)| *api == self).map_or("unknown", |&(.., name)| name)
    }
}

/// Reads a request body.
///
/// # Errors
///
/// [`RequestError::NotJson`] for bytes that are not JSON, [`RequestError::WrongType`] for a known field
/// that holds something else than its API says (or that is there twice), and
/// [`RequestError::NoPrompt`] when no user turn holds text. No error repeats text of the body.
pub fn parse(api: Api, body: &[u8]) -> Result<PromptRequest, RequestError> {
    parse_thread(api, body, None)
}

/// The same, with the conversation hashed by `key`, if there is one.
///
/// # Errors
///
/// See [`parse`].
pub fn parse_thread(api: Api, body: &[u8], key: Option<&ThreadKey>) -> Result<PromptRequest, RequestError> {
    body::Body::read(body)?.into_request(api, body, key)
}
