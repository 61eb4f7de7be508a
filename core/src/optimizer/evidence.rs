//! Samples, by the question that a knob asks of them.

use super::{Finding, aggregation, keyword, priority, score, threshold};
use crate::config::OptimizerConfig;

/// A reward and how much it counts (1 for the newest sample).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rewarded {
    /// The reward as it is known now.
    pub reward: f64,
    /// Its weight.
    pub weight: f64,
}

/// A prompt that a threshold told on which side it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    /// The signal's score.
    pub signal: f64,
    /// Whether it was decided as those above the threshold are (by the rule, unless that asks for the contrary).
    pub above: bool,
    /// What the answer was worth.
    pub got: Rewarded,
}

/// A prompt that a decision gave to a model with a known probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// That probability.
    pub propensity: f64,
    /// What the answer was worth.
    pub got: Rewarded,
}

/// A prompt as an embedding rule sees it in both ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Both {
    /// The similarity to the nearest candidate.
    pub max: f64,
    /// The mean similarity to the candidates.
    pub mean: f64,
    /// Whether it was decided as those are for which the rule fires.
    pub above: bool,
    /// What the answer was worth.
    pub got: Rewarded,
}

/// Samples for one knob.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Of a threshold: prompts on both of its sides, that hinge on nothing else.
    Threshold(Vec<Side>),
    /// Of an aggregation: the same, seen both ways.
    Aggregation(Vec<Both>),
    /// Of a model's score: what it got of the decision's prompts.
    Score(Vec<Draw>),
    /// Of a keyword's weight.
    Keyword {
        /// Prompts of the rule's decision that have the keyword.
        hits: Vec<Rewarded>,
        /// Prompts that other decisions had.
        others: Vec<Rewarded>,
    },
    /// Of a priority: two decisions that hold at once.
    Priority {
        /// What the lower one earned.
        lower: Vec<Rewarded>,
        /// What the upper one earned where both held.
        upper: Vec<Rewarded>,
        /// The priority that would change their order.
        target: f64,
    },
}

// === impl Evidence ===

impl Evidence {
    /// The same with half the half-life: a weight of 2⁻ᵃ/ʰ, squared, is 2⁻²ᵃ/ʰ.
    pub(super) fn newer(mut self) -> Self {
        let square = |got: &mut Rewarded| got.weight *= got.weight;
        match &mut self {
            Self::Threshold(sides) => sides.iter_mut().for_each(|s| square(&mut s.got)),
            Self::Aggregation(prompts) => prompts.iter_mut().for_each(|p| square(&mut p.got)),
            Self::Score(draws) => draws.iter_mut().for_each(|d| square(&mut d.got)),
            Self::Keyword { hits: one, others: two } | Self::Priority { lower: one, upper: two, .. } => {
                one.iter_mut().chain(two).for_each(square);
            }
        }
        self
    }

    pub(super) fn finding(&self, value: f64, config: &OptimizerConfig) -> Option<Finding> {
        match self {
            Self::Threshold(sides) => threshold::find(value, sides, config.samples),
            Self::Aggregation(prompts) => aggregation::find(value, prompts, config.samples),
            Self::Score(draws) => score::find(value, draws, config),
            Self::Keyword { hits, others } => keyword::find(value, hits, others, config.samples),
            Self::Priority { lower, upper, target } => priority::find(*target, lower, upper, config.samples),
        }
    }
}
