//! What a user's turn says of the answer before it.

use serde::{Deserialize, Serialize};

/// The kinds of what a turn says of the answer before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// Nothing: a new task or question.
    #[default]
    None,
    /// It was good.
    Satisfied,
    /// It was not understood.
    NeedClarification,
    /// Another version is wanted.
    WantDifferent,
    /// It is false or does not work.
    WrongAnswer,
}

/// The kind that a turn most probably is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeedbackSignal {
    /// The kind.
    pub kind: FeedbackKind,
    /// Its probability, 0..=1.
    pub score: f32,
}
