//! Whether a decision's conditions hold for a request's signals.

use crate::config::{Condition, SignalName};
use crate::signals::Signals;

/// Whether `condition` holds. A threshold itself is not above it.
pub(crate) fn holds(condition: &Condition, signals: &Signals) -> bool {
    match condition {
        Condition::Keyword(rule) => signals.keywords.iter().any(|hit| hit.rule == *rule),
        Condition::Embedding(rule) => signals.embeddings.iter().any(|hit| hit.rule == *rule),
        Condition::Above(signal, threshold) => score_of(*signal, signals) > *threshold,
        Condition::Domain(name, threshold) => signals.domain.of(name) > *threshold,
        Condition::Mode(mode) => signals.mode.kind == *mode,
        Condition::Language(language) => signals.language == *language,
        Condition::Feedback(kind) => signals.feedback.kind == *kind,
        Condition::Complexity(level) => signals.complexity_level == *level,
        Condition::All(list) => list.iter().all(|c| holds(c, signals)),
        Condition::Any(list) => list.iter().any(|c| holds(c, signals)),
        Condition::Not(inner) => !holds(inner, signals),
    }
}

pub(crate) fn score_of(name: SignalName, signals: &Signals) -> f32 {
    match name {
        SignalName::Code => signals.code,
        SignalName::Math => signals.math,
        SignalName::Question => signals.question,
        SignalName::Complexity => signals.complexity,
        SignalName::FactCheck => signals.fact_check,
    }
}
