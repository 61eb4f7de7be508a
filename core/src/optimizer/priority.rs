//! Which of two decisions that hold at once should decide: the one that earns more.

use super::{Finding, Rewarded};

/// Their order changes when the lower one is better by so many standard errors.
const SURE: f64 = 3.0;

pub(super) fn find(target: f64, lower: &[Rewarded], upper: &[Rewarded], least: usize) -> Option<Finding> {
    if lower.len().min(upper.len()) < least {
        return None;
    }
    let ((low, low_variance), (up, up_variance)) = (mean(lower), mean(upper));
    let (gain, error) = (low - up, (low_variance + up_variance).sqrt());
    (gain > SURE * error).then_some(Finding { target, gain, error, samples: lower.len() + upper.len() })
}

/// The weighted mean and its variance.
fn mean(rewards: &[Rewarded]) -> (f64, f64) {
    let total: f64 = rewards.iter().map(|r| r.weight).sum();
    let mean = rewards.iter().map(|r| r.weight * r.reward).sum::<f64>() / total;
    let variance = rewards.iter().map(|r| (r.weight * (r.reward - mean)).powi(2)).sum::<f64>();
    (mean, variance / (total * total))
}
