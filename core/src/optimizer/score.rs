//! What a model is worth to a decision: its mean reward over all prompts of the decision, brought into the score's
//! bounds.
//!
//! A bandit gives a model the prompts it does well on, so a plain mean flatters it. Each reward is weighted by one over
//! its propensity (SNIPS: Swaminathan & Joachims 2015, "The self-normalized estimator for counterfactual learning").

use super::{Draw, Finding};
use crate::config::OptimizerConfig;

/// The rewards that make the least and the greatest score: those of DESIGN.md §5 lie between them.
const REWARDS: [f64; 2] = [-1.0, 1.0];
/// Of the required samples, the part that must be left when weights are counted in (Kish's effective size).
const EFFECTIVE: f64 = 0.1;

pub(super) fn find(now: f64, draws: &[Draw], config: &OptimizerConfig) -> Option<Finding> {
    if draws.len() < config.samples {
        return None;
    }
    let weighted = || {
        let drawn = draws.iter().filter(|d| d.propensity > 0.0);
        drawn.map(|d| (d.got.weight / d.propensity, d.got.reward))
    };
    let total: f64 = weighted().map(|(w, _)| w).sum();
    let squares: f64 = weighted().map(|(w, _)| w * w).sum();
    if total <= 0.0 || total * total / squares < EFFECTIVE * config.samples as f64 {
        return None;
    }
    let mean = weighted().map(|(w, r)| w * r).sum::<f64>() / total;
    let variance = weighted().map(|(w, r)| (w * (r - mean)).powi(2)).sum::<f64>() / (total * total);
    let ([least, most], bounds) = (REWARDS, config.score);
    let unit = (bounds.high - bounds.low) / (most - least);
    let target = bounds.low + unit * (mean.clamp(least, most) - least);
    Some(Finding { target, gain: target - now, error: unit * variance.sqrt(), samples: draws.len() })
}
