//! What a turn says of the answer before it.

use serde::{Deserialize, Serialize};

/// What the user makes of the last answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// Nothing, or there is no answer before this turn.
    #[default]
    None,
    /// It was good.
    Satisfied,
    /// It was not clear.
    NeedClarification,
    /// It was not what was wanted.
    WantDifferent,
    /// It was wrong.
    WrongAnswer,
}

/// The likeliest kind and its probability, 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeedbackSignal {
    /// What kind.
    pub kind: FeedbackKind,
    /// How likely it is.
    pub score: f32,
}
