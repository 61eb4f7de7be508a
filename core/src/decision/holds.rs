//! Whether a decision's conditions hold for a request's signals.

use crate::config::{Condition, SignalName};
use crate::signals::Signals;

/// Whether `condition` holds. A threshold itself is not above it.
pub(crate) fn holds(condition: &Condition, signals: &Signals) -> bool {
    holds_by(condition, &|single| holds_alone(single, signals))
}

/// Whether `condition` holds, by the truth of the conditions in it that are no trees themselves.
pub(crate) fn holds_by(condition: &Condition, truth: &impl Fn(&Condition) -> bool) -> bool {
    match condition {
        Condition::All(list) => list.iter().all(|c| holds_by(c, truth)),
        Condition::Any(list) => list.iter().any(|c| holds_by(c, truth)),
        Condition::Not(inner) => !holds_by(inner, truth),
        single => truth(single),
    }
}

fn holds_alone(condition: &Condition, signals: &Signals) -> bool {
    match condition {
        Condition::Keyword(rule) => signals.keywords.iter().any(|hit| hit.rule == *rule),
        Condition::Embedding(rule) => signals.embeddings.iter().any(|hit| hit.rule == *rule),
        Condition::Above(signal, threshold) => score_of(*signal, signals) > *threshold,
        Condition::Domain(name, threshold) => signals.domain.of(name) > *threshold,
        Condition::Mode(mode) => signals.mode.kind == *mode,
        Condition::Language(language) => signals.language == *language,
        Condition::Feedback(kind) => signals.feedback.kind == *kind,
        Condition::Complexity(level) => signals.complexity_level == *level,
        tree @ (Condition::All(_) | Condition::Any(_) | Condition::Not(_)) => holds(tree, signals),
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
