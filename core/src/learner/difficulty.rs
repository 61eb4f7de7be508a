//! Whether one difficulty moves all routes of a decision, and what follows from it.
//!
//! Usually routes have as much of their own as in common. Exam questions are otherwise: what is hard is hard for all of
//! them, and the weaker a route the more it suffers. On the scale of log odds that is one shift for all (Rasch 1960;
//! [`crate::policy::Curve`]), so a route whose mean reward is p is moved in proportion to `p(1 − p)`. Then one regression
//! learns from all answers, and where a strong route pays is where the weak one fails. Which of the two holds is for the
//! evidence to say. It is asked only where every answer was right or wrong: of graded rewards the model does not speak,
//! and in the demo's world, whose rewards are graded, half of the runs ended lower with it.

use super::arm::ArmStats;
use super::hierarchy::Hierarchy;
use crate::policy::{BIAS, Curve};

/// Under one difficulty, how much more is in common against what is a route's own than usual (odds); and, before there
/// is evidence, how much less probable that is.
const TIMES: f64 = 19.0;
/// A mean reward nearer to 0 or 1 counts as this near: of so few exceptions nobody can say how they come.
const NEAREST: f64 = 0.02;
/// Observations that the mean of all routes counts as in the mean of one.
const PRIOR_WEIGHT: f64 = 10.0;
/// Sums of rewards that are 0 or 1 and of their squares differ by rounding only, per observation.
const ROUNDING: f64 = 1e-9;

/// The hierarchy under one difficulty, and the routes' curves, where every reward was 0 or 1 and they make it more
/// probable than the `usual` one. `None` if the sums are not finite.
pub(super) fn or_usual(
    usual: Hierarchy,
    arms: &[&ArmStats],
    k: usize,
    ridge: f64,
    sharing: f64,
) -> Option<(Hierarchy, Vec<Option<Curve>>)> {
    let straight = vec![None; arms.len()];
    if sharing <= 0.0 || arms.len() < 2 || !arms.iter().all(|arm| right_or_wrong(arm)) {
        return Some((usual, straight));
    }
    let means = means(arms);
    let odds = TIMES * sharing / (1.0 - sharing);
    let common = Hierarchy::of(arms, k, ridge, odds / (1.0 + odds), slopes(&means))?;
    if common.evidence(arms) - libm::log(TIMES) <= usual.evidence(arms) {
        return Some((usual, straight));
    }
    Some((common, means.iter().map(|mean| Curve::through(*mean as f32)).collect()))
}

/// The mean reward of every route, within 0..1.
fn means(arms: &[&ArmStats]) -> Vec<f64> {
    let sums = |of: fn(&ArmStats) -> f64| arms.iter().map(|arm| of(arm)).sum::<f64>();
    let all = (sums(rewards) + 0.5 * PRIOR_WEIGHT) / (sums(|arm| arm.weight) + PRIOR_WEIGHT);
    let mean = |arm: &ArmStats| (rewards(arm) + PRIOR_WEIGHT * all) / (arm.weight + PRIOR_WEIGHT);
    arms.iter().map(|arm| mean(arm).clamp(NEAREST, 1.0 - NEAREST)).collect()
}

/// p(1 − p), with a mean square of 1.
fn slopes(means: &[f64]) -> Vec<f64> {
    let variances: Vec<f64> = means.iter().map(|p| p * (1.0 - p)).collect();
    let size = (variances.iter().map(|v| v * v).sum::<f64>() / variances.len() as f64).sqrt();
    variances.iter().map(|v| v / size).collect()
}

/// `Σ γᵃ r`, by the constant feature.
fn rewards(arm: &ArmStats) -> f64 {
    arm.reward.last().copied().unwrap_or_default() / f64::from(BIAS)
}

fn right_or_wrong(arm: &ArmStats) -> bool {
    (arm.reward_square - rewards(arm)).abs() <= ROUNDING * arm.weight
}
