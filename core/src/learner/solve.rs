//! From the statistics of routes that compete to their parameters.

use super::arm::ArmStats;
use super::cholesky::{Cholesky, root, times};
use super::difficulty;
use super::hierarchy::Hierarchy;
use super::lowrank;
use crate::context;
use crate::policy::{BIAS, Factor, packed_rows};
use crate::snapshot::RouteParams;

/// σ² of a reward before there is one: rewards are within about ±1.
const PRIOR_VARIANCE: f64 = 0.05;
/// Observations that a prior variance counts as.
const PRIOR_WEIGHT: f64 = 10.0;

/// Parameters of the routes in the order of `arms`, all in `k` dimensions. `sharing` is ρ, in 0..1.
///
/// `None` if the sums are not finite.
pub(super) fn together(arms: &[&ArmStats], k: usize, ridge: f64, sharing: f64) -> Option<Vec<RouteParams>> {
    let usual = Hierarchy::of(arms, k, ridge, sharing, vec![1.0; arms.len()])?;
    // How long answers are is not a matter of difficulty.
    let mut lengths = usual.weights(arms, |a| &a.length);
    // What others write at length says little of a route never asked, and a guess too high would keep it unasked.
    let never_asked = lengths.iter_mut().zip(arms).filter(|(_, arm)| arm.observations() == 0);
    never_asked.for_each(|(length, _)| length.fill(0.0));
    let (hierarchy, curves) = difficulty::or_usual(usual, arms, k, ridge, sharing)?;
    let rewards = hierarchy.weights(arms, |a| &a.reward);
    let pooled = pooled_variance(arms, &rewards);
    let solved = arms.iter().zip(hierarchy.covariances()).zip(rewards.into_iter().zip(lengths)).zip(curves);
    solved
        .map(|(((arm, covariance), (theta, length)), curve)| {
            let variance = noise(arm, &theta, pooled);
            let factor = Factor::Triangle(root(covariance, k, variance.sqrt())?);
            let constant = (k.checked_sub(1)?, f64::from(BIAS));
            Some(RouteParams { curve, ..params(arm, &theta, length, constant, factor) })
        })
        .collect()
}

/// Parameters of routes that learn from their own observations alone, in all `d` numbers of the context: what they
/// had in common would need covariances that have no few rows (so here ρ = 0). θ is exact; widths are never too small
/// ([`lowrank`]).
///
/// `None` if the sums are not finite.
pub(super) fn apart(arms: &[&ArmStats], d: usize, ridge: f64) -> Option<Vec<RouteParams>> {
    let weights = |arm: &&ArmStats| {
        let factor = Cholesky::of(&arm.v, d, ridge)?;
        Some((factor.solve(&arm.reward), factor.solve(&arm.length)))
    };
    let (rewards, lengths): (Vec<_>, Vec<_>) =
        arms.iter().map(weights).collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let pooled = pooled_variance(arms, &rewards);
    let solved = arms.iter().zip(rewards.into_iter().zip(lengths));
    solved
        .map(|(arm, (theta, length))| {
            let prior = noise(arm, &theta, pooled) / ridge;
            let known = lowrank::known(&arm.v, d, ridge)?;
            let mut rows: Vec<Vec<f32>> = known.iter().map(|row| scaled(row, prior.sqrt())).collect();
            rows.resize(lowrank::RANK, vec![]);
            let factor = Factor::LowRank { rows: packed_rows(&rows, d), prior: prior as f32 };
            let constant = d.saturating_sub(context::META) + context::BIAS;
            Some(params(arm, &theta, length, (constant, 1.0), factor))
        })
        .collect()
}

/// `constant` is where z has the constant feature, and its value.
fn params(
    arm: &ArmStats,
    theta: &[f64],
    mut length: Vec<f64>,
    constant: (usize, f64),
    factor: Factor<Vec<f32>>,
) -> RouteParams {
    correct_length(arm, &mut length, constant);
    RouteParams { theta: scaled(theta, 1.0), length: scaled(&length, 1.0), factor, curve: None }
}

/// `Σ γᵃ (t − θᵀz)²` of a target t, from the sums.
fn residual(v: &[f64], target: &[f64], square: f64, theta: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    (square - 2.0 * dot(theta, target) + dot(theta, &times(v, theta))).max(0.0)
}

/// σ² over all arms: what a route is thought to have before its own residuals say otherwise.
fn pooled_variance(arms: &[&ArmStats], thetas: &[Vec<f64>]) -> f64 {
    let residuals = arms.iter().zip(thetas).map(|(a, t)| residual(&a.v, &a.reward, a.reward_square, t));
    let weight: f64 = arms.iter().map(|a| a.weight).sum();
    (residuals.sum::<f64>() + PRIOR_WEIGHT * PRIOR_VARIANCE) / (weight + PRIOR_WEIGHT)
}

/// σₐ², a route's own noise.
fn noise(arm: &ArmStats, theta: &[f64], pooled: f64) -> f64 {
    let residual = residual(&arm.v, &arm.reward, arm.reward_square, theta);
    (residual + PRIOR_WEIGHT * pooled) / (arm.weight + PRIOR_WEIGHT)
}

/// Lengths are learned as logarithms, whose exponential is the median; the mean that dollars need is `exp(s²/2)`
/// above it for residuals of variance s² (log-normal). The constant feature takes that up.
fn correct_length(arm: &ArmStats, theta: &mut [f64], (constant, value): (usize, f64)) {
    let residual = residual(&arm.v, &arm.length, arm.length_square, theta);
    let variance = residual / (arm.weight + PRIOR_WEIGHT);
    if let Some(bias) = theta.get_mut(constant) {
        *bias += 0.5 * variance / value;
    }
}

fn scaled(values: &[f64], scale: f64) -> Vec<f32> {
    values.iter().map(|v| (v * scale) as f32).collect()
}
