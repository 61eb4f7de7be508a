//! The signal optimizer: tunes what decides, by what the decisions earned.
//!
//! This room owns the knobs (thresholds, aggregations, models' scores, keywords' weights, decisions' priorities), what
//! a sample says of each, and the limits of a step. A step is a pure function of the newest samples; its outcome is a
//! proposal, which counts once it is promoted ([`Tuner`]). It must not know the log, clocks, or who judges a proposal.
//!
//! Nothing is explored for its sake. A threshold is identified by the discontinuity at itself: the prompts just above
//! it are decided by the rule and those just below it by what comes after, and the two meet where they are worth the
//! same. Models' scores stand on the propensities that routing explores with anyway. What samples cannot tell, such as
//! what a decision would earn from prompts it never gets, the canary of the proposal measures; if it does not hold,
//! the knob goes back and rests.
#![deny(clippy::indexing_slicing)]

mod adapter;
mod aggregation;
mod evidence;
mod keyword;
mod memory;
mod priority;
mod score;
mod threshold;
mod tuner;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::config::{Bounds, OptimizerConfig};

pub use adapter::{Seen, Tried, apply, dials};
pub use evidence::{Both, Draw, Evidence, Rewarded, Side};
pub use tuner::{Setting, Step, Tuner};

/// Something that can be tuned, by the names of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Knob {
    /// From where on a signal counts for a decision.
    Threshold {
        /// The decision.
        decision: String,
        /// The signal.
        signal: String,
    },
    /// From where on an embedding rule fires.
    Embedding {
        /// The rule.
        rule: String,
    },
    /// How an embedding rule's candidates make one number: 0 is their maximum, 1 their mean.
    Aggregation {
        /// The rule.
        rule: String,
    },
    /// What a model is worth to a decision.
    Score {
        /// The decision.
        decision: String,
        /// The model.
        model: String,
    },
    /// What a keyword counts in its rule.
    Keyword {
        /// The rule.
        rule: String,
        /// The keyword.
        keyword: String,
    },
    /// Which of the decisions that hold decides.
    Priority {
        /// The decision.
        decision: String,
    },
}

/// A knob as it stands, and what the samples say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dial {
    /// Which.
    pub knob: Knob,
    /// Its value in the configuration.
    pub configured: f64,
    /// Its value now.
    pub value: f64,
    /// The samples.
    pub evidence: Evidence,
}

/// What samples say of one knob.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Finding {
    /// The value they speak for.
    pub(crate) target: f64,
    /// What they found, in the unit that `error` is in: a difference of rewards, of a score, of a likelihood.
    pub(crate) gain: f64,
    /// Its standard error.
    pub(crate) error: f64,
    /// How many they are.
    pub(crate) samples: usize,
}

/// One knob turned, with the evidence for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub knob: Knob,
    /// Its value in the configuration; if that is changed, the change no longer applies.
    pub configured: f64,
    /// Its value before.
    pub before: f64,
    /// Its value after.
    pub after: f64,
    /// The value that the samples speak for.
    pub target: f64,
    /// What they found: for thresholds and priorities a difference of mean rewards, for scores and weights the distance
    /// to the target, for an aggregation a difference of log-likelihoods.
    pub gain: f64,
    /// Its standard error.
    pub error: f64,
    /// How many samples said so.
    pub samples: usize,
}

/// Less than this is no change.
const LEAST: f64 = 1e-4;

/// One step: every dial whose samples suffice turns towards what they say, within its bounds.
///
/// `value ← value + rate · shrink · (target − value)`, |Δ| ≤ step, with `shrink = g²/(g² + e²)` for a gain g with the
/// standard error e: what may be chance moves little, so a knob at its optimum rests (the positive-part idea of James
/// & Stein 1961, for one number). Where an embedding rule gets another aggregation, its threshold waits for samples by
/// the new one.
pub fn step(dials: &[Dial], config: &OptimizerConfig) -> Vec<Change> {
    let mut changes: Vec<Change> = dials.iter().filter_map(|dial| dial.turn(config)).collect();
    let switched =
        |knob: &Knob| if let Knob::Aggregation { rule } = knob { Some(rule.clone()) } else { None };
    let switched: Vec<String> = changes.iter().filter_map(|change| switched(&change.knob)).collect();
    changes.retain(|change| !matches!(&change.knob, Knob::Embedding { rule } if switched.contains(rule)));
    changes
}

// === impl Dial ===

impl Dial {
    fn turn(&self, config: &OptimizerConfig) -> Option<Change> {
        let found = memory::finding(&self.evidence, self.value, config)?;
        let after = match &self.knob {
            Knob::Aggregation { .. } => found.target,
            Knob::Priority { .. } => config.priority.towards(self.value, found.target).round(),
            knob => {
                let shrink =
                    found.gain.powi(2) / (found.gain.powi(2) + found.error.powi(2)).max(f64::MIN_POSITIVE);
                // An average with what lies outside the bounds would never get all the way to the bound.
                let bounds = knob.bounds(config);
                let target = found.target.max(bounds.low).min(bounds.high);
                bounds.towards(self.value, self.value + config.rate * shrink * (target - self.value))
            }
        };
        let moved = after.is_finite() && (after - self.value).abs() >= LEAST;
        moved.then(|| Change {
            knob: self.knob.clone(),
            configured: self.configured,
            before: self.value,
            after,
            target: found.target,
            gain: found.gain,
            error: found.error,
            samples: found.samples,
        })
    }
}

// === impl Knob ===

impl Knob {
    fn bounds(&self, config: &OptimizerConfig) -> Bounds {
        match self {
            Self::Threshold { .. } | Self::Embedding { .. } => config.threshold,
            Self::Aggregation { .. } => Bounds { low: 0.0, high: 1.0, step: 1.0 },
            Self::Score { .. } => config.score,
            Self::Keyword { .. } => config.keyword,
            Self::Priority { .. } => config.priority,
        }
    }
}

impl std::fmt::Display for Knob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Threshold { decision, signal } => write!(f, "threshold of {signal} for {decision}"),
            Self::Embedding { rule } => write!(f, "threshold of embedding rule {rule}"),
            Self::Aggregation { rule } => write!(f, "aggregation of embedding rule {rule} (0 max, 1 mean)"),
            Self::Score { decision, model } => write!(f, "score of {model} for {decision}"),
            Self::Keyword { rule, keyword } => write!(f, "weight of `{keyword}` in {rule}"),
            Self::Priority { decision } => write!(f, "priority of {decision}"),
        }
    }
}
