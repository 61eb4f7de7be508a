//! How hard a task is, in three levels, for rules that people write.

use serde::{Deserialize, Serialize};

/// From this complexity on a task is moderate…
const MODERATE: f32 = 0.2;
/// …and from this on complex.
const COMPLEX: f32 = 0.55;

/// The level of a complexity score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// Below 0.2: a greeting, a plain question.
    #[default]
    Trivial,
    /// From 0.2 on: a task with a demand or two.
    Moderate,
    /// From 0.55 on: long, with many demands.
    Complex,
}

// === impl Complexity ===

impl Complexity {
    /// The level of `score`, which lies in 0..=1.
    pub fn of(score: f32) -> Self {
        match score {
            _ if score >= COMPLEX => Self::Complex,
            _ if score >= MODERATE => Self::Moderate,
            _ => Self::Trivial,
        }
    }
}
