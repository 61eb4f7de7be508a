//! The fields of responses and events that are read; all else is skipped unread.
//!
//! Fields that only feed a count are lenient about types (`lenient.rs`, `output.rs`), since servers that
//! speak these APIs differ in details; texts are counted where they lie and never copied.

use std::borrow::Cow;

use serde::Deserialize;

use super::lenient::{Count, Id, Present};
use super::output::Output;

/// A string, borrowed where it has no escapes.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Word<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A whole body, or an event, of chat and completions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choices<'a> {
    pub(super) id: Id,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Present,
}

/// One choice: `message` in a body, `delta` in an event, `text` in completions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    pub(super) message: Option<Said>,
    pub(super) delta: Option<Said>,
    pub(super) text: Output,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Word<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    pub(super) content: Output,
    pub(super) refusal: Output,
    pub(super) tool_calls: Present,
    pub(super) function_call: Present,
}

/// All servers' counts; chat says `prompt_tokens`, the two others `input_tokens`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) prompt_tokens: Count,
    pub(super) completion_tokens: Count,
    pub(super) input_tokens: Count,
    pub(super) output_tokens: Count,
    pub(super) prompt_tokens_details: Option<Details>,
    pub(super) input_tokens_details: Option<Details>,
    pub(super) cache_read_input_tokens: Count,
    pub(super) cache_creation_input_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) cached_tokens: Count,
}

/// An event of the Responses API.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponseEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    pub(super) delta: Output,
    pub(super) item: Output,
    #[serde(borrow)]
    pub(super) response: Option<ResponseBody<'a>>,
}

/// A body of the Responses API.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponseBody<'a> {
    pub(super) id: Id,
    #[serde(borrow)]
    pub(super) status: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) incomplete_details: Option<Incomplete<'a>>,
    pub(super) output: Output,
    pub(super) usage: Option<Usage>,
    pub(super) error: Present,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incomplete<'a> {
    #[serde(borrow)]
    pub(super) reason: Option<Word<'a>>,
}

/// An event of the Messages API.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<MessageBody<'a>>,
    pub(super) content_block: Output,
    #[serde(borrow)]
    pub(super) delta: Option<MessageDelta<'a>>,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageDelta<'a> {
    pub(super) text: Output,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Word<'a>>,
}

/// A body of the Messages API.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageBody<'a> {
    pub(super) id: Id,
    pub(super) content: Output,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Word<'a>>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Present,
}
