//! Which field of a body names the conversation.
//!
//! First that is a non-empty string of at most 256 bytes wins, in this order:
//!
//! 1. `conversation` (Responses; a string or `{id}`),
//! 2. `metadata.conversation_id`, `metadata.session_id`, `metadata.thread_id`, `metadata.chat_id`,
//! 3. `previous_response_id` (Responses; changes with every turn, but points into one conversation),
//! 4. `prompt_cache_key` (agents put their conversation here; an application may share one),
//! 5. `metadata.user_id` (Messages has no other field; Claude Code writes its session into it).
//!
//! OpenAI's `user` is never taken: it names a person, who may hold many conversations at once, and a
//! complaint in one must not count against an answer in another.

use serde::Deserialize;

use super::node::{Key, Node};

/// A longer name is no name; it would only fill records and session slots.
const MAX_BYTES: usize = 256;

/// The entries of `metadata` that may name a conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object (metadata)")]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    conversation_id: Node<'a>,
    #[serde(borrow)]
    session_id: Node<'a>,
    #[serde(borrow)]
    thread_id: Node<'a>,
    #[serde(borrow)]
    chat_id: Node<'a>,
    #[serde(borrow)]
    user_id: Node<'a>,
}

/// The fields of a body that may name a conversation.
pub(super) struct Names<'n, 'a> {
    pub(super) conversation: &'n Node<'a>,
    pub(super) previous_response: &'n Node<'a>,
    pub(super) prompt_cache_key: &'n Node<'a>,
    pub(super) metadata: Option<&'n Metadata<'a>>,
}

// === impl Names ===

impl Names<'_, '_> {
    /// The conversation's name by the table above.
    pub(super) fn session(&self) -> Option<String> {
        let meta = |pick: fn(&'_ Metadata<'_>) -> Option<String>| self.metadata.and_then(pick);
        name(self.conversation)
            .or_else(|| name(self.conversation.get(Key::Id)))
            .or_else(|| meta(|m| name(&m.conversation_id)))
            .or_else(|| meta(|m| name(&m.session_id)))
            .or_else(|| meta(|m| name(&m.thread_id)))
            .or_else(|| meta(|m| name(&m.chat_id)))
            .or_else(|| name(self.previous_response))
            .or_else(|| name(self.prompt_cache_key))
            .or_else(|| meta(|m| name(&m.user_id)))
    }
}

/// The node's text, if it can be a name.
pub(super) fn name(node: &Node<'_>) -> Option<String> {
    let text = node.as_text()?.trim();
    (!text.is_empty() && text.len() <= MAX_BYTES).then(|| text.to_owned())
}
