//! What may be written down about people.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// What of a prompt goes into the replay log; see [`crate::privacy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorePrompts {
    /// Nothing.
    #[default]
    None,
    /// A keyed hash: equal prompts can be told, their text cannot.
    Hash,
    /// The text without what names people or opens doors.
    Redacted,
    /// The text.
    Full,
}

/// The privacy of a gateway's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Privacy {
    /// What of a prompt is stored.
    pub store_prompts: StorePrompts,
    /// Keys the hash. The document has no such key: the sidecar derives it from its signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<[u8; 16]>,
}

impl Privacy {
    pub(super) fn read(section: &Section) -> Self {
        const MODES: [(&str, StorePrompts); 4] = [
            ("none", StorePrompts::None),
            ("hash", StorePrompts::Hash),
            ("redacted", StorePrompts::Redacted),
            ("full", StorePrompts::Full),
        ];
        let store_prompts = section.choice("store_prompts", &MODES, StorePrompts::None);
        section.finish();
        Self { store_prompts, hash_key: None }
    }

    /// The same with the key of its hashes, if it makes any.
    pub fn keyed(self, key: [u8; 16]) -> Self {
        let hash_key = (self.store_prompts == StorePrompts::Hash).then_some(key);
        Self { hash_key, ..self }
    }
}
