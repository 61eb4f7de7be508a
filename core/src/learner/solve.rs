//! From the statistics of routes that compete to their parameters: a hierarchical linear model.
//!
//! Every route's weights are what all of them have in common plus its own part,
//!
//! ```text
//! θₐ = s + dₐ,   s ~ N(0, ρτ²I),   dₐ ~ N(0, (1 − ρ)τ²I),   r = θₐᵀz + ε,   ridge = σ²/τ²
//! ```
//!
//! so what is hard for one model is expected to be hard for the next, and a route that is new starts from what the
//! others learned (Gelman et al., "Bayesian Data Analysis", ch. 5 and 15; hybrid LinUCB of Li et al. 2010 is the case
//! of a flat prior). Given s the routes are independent, so all comes from `k × k` matrices: with `δ = ridge/(1 − ρ)`,
//! `Aₐ = Vₐ + δI` and the Schur complement `M = (ridge/ρ)I + Σₐ δ(I − δAₐ⁻¹)`,
//!
//! ```text
//! s = M⁻¹ Σₐ δAₐ⁻¹bₐ,   θₐ = Aₐ⁻¹(bₐ + δs),   Cov θₐ = σₐ²(Aₐ⁻¹ + δ²Aₐ⁻¹M⁻¹Aₐ⁻¹)
//! ```
#![allow(clippy::indexing_slicing)] // packed triangles: every index is below k by its loop

use super::arm::ArmStats;
use super::cholesky::{Cholesky, packed, root, times, triangle};
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
    let own = ridge / (1.0 - sharing);
    let inverses: Option<Vec<_>> =
        arms.iter().map(|arm| Some(Cholesky::of(&arm.v, k, own)?.inverse_square())).collect();
    let inverses = inverses?;
    let common = match sharing > 0.0 {
        true => Some(complement(&inverses, k, own, ridge / sharing)?),
        false => None,
    };
    let part = |of: fn(&ArmStats) -> &[f64]| weights(arms, &inverses, common.as_ref(), own, of);
    let (rewards, lengths) = (part(|a| &a.reward), part(|a| &a.length));
    let pooled = pooled_variance(arms, &rewards);
    let solved = arms.iter().zip(inverses).zip(rewards.into_iter().zip(lengths));
    solved
        .map(|((arm, inverse), (theta, length))| {
            let variance = noise(arm, &theta, pooled);
            let covariance = match &common {
                Some(factor) => covariance(inverse, factor, k, own),
                None => inverse,
            };
            let factor = Factor::Triangle(root(covariance, k, variance.sqrt())?);
            Some(params(arm, &theta, length, (k.checked_sub(1)?, f64::from(BIAS)), factor))
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
    RouteParams { theta: scaled(theta, 1.0), length: scaled(&length, 1.0), factor }
}

/// M, factorised.
fn complement(inverses: &[Vec<f64>], k: usize, own: f64, shared: f64) -> Option<Cholesky> {
    let mut m = vec![0.0; triangle(k)];
    for inverse in inverses {
        m.iter_mut().zip(inverse).for_each(|(m, x)| *m -= own * own * x);
    }
    Cholesky::of(&m, k, shared + own * inverses.len() as f64)
}

/// θ of every arm, for one of its two targets.
fn weights(
    arms: &[&ArmStats],
    inverses: &[Vec<f64>],
    common: Option<&Cholesky>,
    own: f64,
    target: fn(&ArmStats) -> &[f64],
) -> Vec<Vec<f64>> {
    let alone: Vec<Vec<f64>> = arms.iter().zip(inverses).map(|(a, x)| times(x, target(a))).collect();
    let Some(common) = common else { return alone };
    let mut sum = vec![0.0; alone.first().map_or(0, Vec::len)];
    for theta in &alone {
        sum.iter_mut().zip(theta).for_each(|(s, t)| *s += own * t);
    }
    let shared = common.solve(&sum);
    let toward = |(mut theta, inverse): (Vec<f64>, &Vec<f64>)| {
        theta.iter_mut().zip(times(inverse, &shared)).for_each(|(t, s)| *t += own * s);
        theta
    };
    alone.into_iter().zip(inverses).map(toward).collect()
}

/// `A⁻¹ + δ²A⁻¹M⁻¹A⁻¹`: with `Y = δL⁻¹A⁻¹` that is `A⁻¹ + YᵀY`.
fn covariance(mut inverse: Vec<f64>, common: &Cholesky, k: usize, own: f64) -> Vec<f64> {
    let full: Vec<f64> = (0..k * k).map(|at| inverse[packed(at / k, at % k)]).collect();
    let lower = common.inverse();
    let mut y = vec![0.0; k];
    for i in 0..k {
        y.fill(0.0);
        for (m, l) in lower[triangle(i)..triangle(i + 1)].iter().enumerate() {
            let row = &full[m * k..(m + 1) * k];
            y.iter_mut().zip(row).for_each(|(y, x)| *y += own * l * x);
        }
        for (j, yj) in y.iter().enumerate() {
            let row = &mut inverse[triangle(j)..triangle(j + 1)];
            row.iter_mut().zip(&y).for_each(|(x, y)| *x += yj * y);
        }
    }
    inverse
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
