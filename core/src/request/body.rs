//! The fields of a request body, and how each API's make up a request.

use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::conversation::{Conversation, chars};
use super::error::RequestError;
use super::measure::{Length, saturate};
use super::node::{Key, Node};
use super::session::{Metadata, Names, name};
use super::thread::ThreadHasher;
use super::{Api, PromptRequest, RequestFacts, Thread, ThreadKey};

/// All known fields of all APIs. An API looks only at its own: nodes take any shape, so that a field
/// which means something else elsewhere (`prompt`, `text`) does no harm.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct Body<'a> {
    #[serde(borrow, deserialize_with = "raw_or_null")]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    #[serde(borrow)]
    messages: Node<'a>,
    #[serde(borrow)]
    prompt: Node<'a>,
    #[serde(borrow)]
    input: Node<'a>,
    #[serde(borrow)]
    instructions: Node<'a>,
    #[serde(borrow)]
    system: Node<'a>,
    #[serde(borrow)]
    tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    functions: Option<Vec<&'a RawValue>>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(borrow)]
    response_format: Node<'a>,
    #[serde(borrow)]
    text: Node<'a>,
    #[serde(borrow)]
    output_format: Node<'a>,
    #[serde(borrow)]
    output_config: Node<'a>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    conversation: Node<'a>,
    #[serde(borrow)]
    previous_response_id: Node<'a>,
    #[serde(borrow)]
    prompt_cache_key: Node<'a>,
    #[serde(borrow)]
    user: Node<'a>,
}

/// A plain `Option` would read `"model": null` as no field, and a second `model` would be inserted.
fn raw_or_null<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&'a RawValue>::deserialize(deserializer).map(Some)
}

// === impl Body ===

impl<'a> Body<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, RequestError> {
        let text = std::str::from_utf8(body).map_err(|error| RequestError::NotJson {
            line: 1,
            column: error.valid_up_to() + 1,
            what: "bytes that are not UTF-8".to_owned(),
        })?;
        let parsed = crate::json::from_str(text).map_err(|error| RequestError::from_serde(&error));
        let is_json = !matches!(parsed, Err(RequestError::NotJson { .. }));
        if is_json && text.trim_start().starts_with('[') {
            // serde would fill the fields from an array's elements, one by one.
            return Err(RequestError::wrong_type("the top level", "an object"));
        }
        parsed
    }

    pub(super) fn into_request(
        self,
        api: Api,
        body: &[u8],
        key: Option<&ThreadKey>,
    ) -> Result<PromptRequest, RequestError> {
        let model = self.model_name()?;
        let mut conversation = Conversation::hashed_by(self.hasher(api, key));
        match api {
            Api::ChatCompletions => conversation.read_messages("messages", &self.messages)?,
            Api::Completions => conversation.read_user("prompt", &self.prompt)?,
            Api::Responses => {
                conversation.read_system("instructions", &self.instructions)?;
                match &self.input {
                    Node::Text(_) => conversation.read_user("input", &self.input)?,
                    items => conversation.read_messages("input", items)?,
                }
            }
            Api::Messages => {
                conversation.read_system("system", &self.system)?;
                conversation.read_messages("messages", &self.messages)?;
            }
        }
        let prompt = conversation.prompt().ok_or(RequestError::NoPrompt)?;
        Ok(PromptRequest {
            api,
            facts: self.facts(&conversation, &prompt),
            prompt,
            model,
            stream: self.stream.unwrap_or(false),
            session: self.names().session(),
            thread: self.thread(api, &conversation),
            model_span: self.model.and_then(|raw| span_of(raw.get(), body)),
        })
    }

    /// Hashes the conversation, if the body is to have all of it or names the answer that it follows.
    fn hasher(&self, api: Api, key: Option<&ThreadKey>) -> Option<ThreadHasher> {
        let kept = name(&self.conversation).is_some() || name(self.conversation.get(Key::Id)).is_some();
        let origin = [self.user.as_text(), self.previous_response_id.as_text()];
        key.filter(|_| api != Api::Completions && !kept).map(|key| ThreadHasher::new(key, origin))
    }

    fn thread(&self, api: Api, conversation: &Conversation<'_>) -> Thread {
        let hashes = conversation.thread.as_ref().map(ThreadHasher::hashes);
        let (whole, follows) = hashes.unwrap_or_default();
        Thread {
            whole,
            follows,
            previous_response: name(&self.previous_response_id),
            continues: conversation.continues,
            complains: api != Api::Completions && conversation.complains(),
        }
    }

    fn model_name(&self) -> Result<Option<String>, RequestError> {
        match self.model.map(|raw| serde_json::from_str::<Option<String>>(raw.get())) {
            None => Ok(None),
            Some(Ok(name)) => Ok(name),
            Some(Err(_)) => Err(RequestError::wrong_type("model", "a string")),
        }
    }

    fn facts(&self, conversation: &Conversation<'_>, prompt: &str) -> RequestFacts {
        let tools = || self.tools.iter().chain(&self.functions).flatten();
        let tool_bytes = tools().map(|tool| tool.get().len() as u64).sum();
        let tokens = conversation.total.tokens(conversation.messages, conversation.images, tool_bytes);
        let max_output = self.max_output_tokens.or(self.max_completion_tokens).or(self.max_tokens);
        RequestFacts {
            // A harness's words alone are a turn where nobody else has said anything.
            user_turns: conversation.user_turns.max(1),
            turns: conversation.turns.max(1),
            replies: conversation.last_user_replies || name(&self.previous_response_id).is_some(),
            complaints: conversation.complaints,
            images: conversation.images,
            tools: saturate(tools().count() as u64),
            json_output: self.wants_json(),
            stream: self.stream.unwrap_or(false),
            prompt_chars: chars(Length::of(prompt)),
            system_chars: chars(conversation.system),
            total_chars: chars(conversation.total),
            token_estimate: saturate(tokens),
            max_output_tokens: max_output.map(saturate),
        }
    }

    /// Chat and completions say it in `response_format`, Responses in `text.format`, Messages in
    /// `output_format` or `output_config.format`: always as `{"type": "json_…"}`.
    fn wants_json(&self) -> bool {
        let formats = [
            &self.response_format,
            self.text.get(Key::Format),
            &self.output_format,
            self.output_config.get(Key::Format),
        ];
        formats.iter().any(|format| format.kind().is_some_and(|kind| kind.starts_with("json")))
    }

    fn names(&self) -> Names<'_, 'a> {
        Names {
            conversation: &self.conversation,
            previous_response: &self.previous_response_id,
            prompt_cache_key: &self.prompt_cache_key,
            metadata: self.metadata.as_ref(),
        }
    }
}

/// Where `part`, a slice of `whole`, lies in it; `None` if it does not. A raw value is borrowed from the
/// body, so the distance of the two addresses is its place.
fn span_of(part: &str, whole: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (whole.get(start..end)? == part.as_bytes()).then_some(start..end)
}
