//! The reward of one request (DESIGN.md §5): `R = w₁·quality + w₂·satisfaction + w₃·efficiency`.
//!
//! This room owns what each piece of evidence is worth. Evidence comes in steps — the response at once, explicit
//! feedback, later turns and scores after it — and every step computes the whole reward anew from all evidence, so
//! the learner can be revised exactly by the difference. It must not know where evidence comes from.

mod evidence;
mod feedback;
mod score;

use serde::{Deserialize, Serialize};

use crate::config::RewardConfig;
use crate::response::ResponseFacts;

pub use evidence::{Evidence, agreement};
pub use feedback::Feedback;
pub use score::{BEST, read_score};

/// A reward and its parts, as shown in the explanation of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Reward {
    /// Of the response itself, −1.0..=1.5 by the constants' defaults.
    pub quality: f64,
    /// Of the user, −1..=1; 0 while nothing is known.
    pub satisfaction: f64,
    /// Minus the normalised cost, −1..=0.
    pub efficiency: f64,
    /// The weighted sum.
    pub total: f64,
}

impl Reward {
    /// The lowest and the highest total that there can be.
    pub fn range(config: &RewardConfig) -> (f64, f64) {
        let extras = [config.cache_hit, config.complete_stream, config.valid_body];
        let least = config.ok + extras.iter().map(|e| e.min(0.0)).sum::<f64>();
        let most = config.ok + extras.iter().map(|e| e.max(0.0)).sum::<f64>();
        // 0: the client left before the answer.
        let ends = [least, most, config.client_error, config.server_error, 0.0];
        let low = ends.into_iter().fold(0.0, f64::min);
        let high = ends.into_iter().fold(0.0, f64::max);
        let low = config.quality * low - config.satisfaction - config.efficiency;
        (low, config.quality * high + config.satisfaction)
    }

    /// The reward of one answer. `cost` is in dollars; `evidence` in the order in which it came.
    pub fn of(config: &RewardConfig, response: &ResponseFacts, cost: f64, evidence: &[Evidence]) -> Self {
        let quality = quality(config, response);
        let satisfaction = evidence::satisfaction(config, evidence);
        let efficiency = -(cost / config.cost_reference).clamp(0.0, 1.0);
        let total =
            config.quality * quality + config.satisfaction * satisfaction + config.efficiency * efficiency;
        Self { quality, satisfaction, efficiency, total }
    }
}

fn quality(config: &RewardConfig, r: &ResponseFacts) -> f64 {
    let when = |holds: bool, points: f64| if holds { points } else { 0.0 };
    match r.status {
        200..=299 => {
            config.ok
                + when(r.cache_hit, config.cache_hit)
                + when(r.stream && r.stream_complete, config.complete_stream)
                + when(r.body_valid && r.has_content, config.valid_body)
        }
        // The client left before the model answered: that says nothing of the model.
        0 => 0.0,
        400..=499 => config.client_error,
        _ => config.server_error,
    }
}

#[cfg(test)]
mod tests;
