//! What the routes of a decision have in common, and what each has of its own: a hierarchical linear model.
//!
//! ```text
//! θₐ = Wₐs + dₐ,   s ~ N(0, ρτ²I),   dₐ ~ N(0, (1 − ρ)τ²I),   r = θₐᵀz + ε,   ridge = σ²/τ²
//! ```
//!
//! so what is hard for one model is expected to be hard for the next, and a route that is new starts from what the
//! others learned (Gelman et al., "Bayesian Data Analysis", ch. 5 and 15; hybrid LinUCB of Li et al. 2010 is the case
//! of a flat prior). `Wₐ` is the route's slope, how strongly what is common moves it, and 1 for the constant feature.
//! Given s the routes are independent, so all comes from `k × k` matrices: with `δ = ridge/(1 − ρ)`, `Aₐ = Vₐ + δI` and
//! the Schur complement `M = (ridge/ρ)I + Σₐ Wₐδ(I − δAₐ⁻¹)Wₐ`,
//!
//! ```text
//! s = M⁻¹ Σₐ WₐδAₐ⁻¹bₐ,   θₐ = Aₐ⁻¹(bₐ + δWₐs),   Cov θₐ = σ²(Aₐ⁻¹ + δ²Aₐ⁻¹WₐM⁻¹WₐAₐ⁻¹)
//! ```
#![allow(clippy::indexing_slicing)] // packed triangles: every index is below k by its loop

use super::arm::ArmStats;
use super::cholesky::{Cholesky, packed, times, triangle};
use super::evidence::log_likelihood;

/// What a statistic's regression is on: the rewards or the lengths.
pub(super) type Target = fn(&ArmStats) -> &[f64];

/// Routes under one assumption of what they share, as far as their contexts and no target tell.
pub(super) struct Hierarchy {
    k: usize,
    /// δ.
    own: f64,
    /// Aₐ⁻¹, and Σₐ ln|Aₐ/δ|.
    inverses: Vec<Vec<f64>>,
    volume: f64,
    slopes: Vec<f64>,
    /// M, and ln|M·ρ/ridge|; nothing where nothing is shared.
    common: Option<(Cholesky, f64)>,
}

// === impl Hierarchy ===

impl Hierarchy {
    /// Of `arms` in `k` dimensions; `sharing` is ρ, in 0..1, and `slopes` are theirs. `None` if the sums are not finite.
    pub(super) fn of(
        arms: &[&ArmStats],
        k: usize,
        ridge: f64,
        sharing: f64,
        slopes: Vec<f64>,
    ) -> Option<Self> {
        let own = ridge / (1.0 - sharing);
        let factors: Option<Vec<_>> = arms.iter().map(|arm| Cholesky::of(&arm.v, k, own)).collect();
        let factors = factors?;
        let volume = factors.iter().map(|f| f.log_determinant() - k as f64 * libm::log(own)).sum();
        let inverses = factors.iter().map(Cholesky::inverse_square).collect();
        let mut hierarchy = Self { k, own, inverses, volume, slopes, common: None };
        if sharing > 0.0 {
            let expected = ridge / sharing;
            let common = Cholesky::of(&hierarchy.complement(), k, expected)?;
            let volume = common.log_determinant() - k as f64 * libm::log(expected);
            hierarchy.common = Some((common, volume));
        }
        Some(hierarchy)
    }

    /// θ of every arm.
    pub(super) fn weights(&self, arms: &[&ArmStats], target: Target) -> Vec<Vec<f64>> {
        let alone = self.alone(arms, target);
        let Some((common, _)) = &self.common else { return alone };
        let shared = common.solve(&self.pooled(&alone));
        let toward = |((mut theta, inverse), slope): ((Vec<f64>, &Vec<f64>), &f64)| {
            let expected = self.sloped(&shared, *slope);
            theta.iter_mut().zip(times(inverse, &expected)).for_each(|(t, s)| *t += self.own * s);
            theta
        };
        alone.into_iter().zip(&self.inverses).zip(&self.slopes).map(toward).collect()
    }

    /// ln p of the rewards, up to a constant that is the same for every hierarchy of these arms.
    pub(super) fn evidence(&self, arms: &[&ArmStats]) -> f64 {
        let alone = self.alone(arms, |a| &a.reward);
        let mut fit: f64 = alone.iter().zip(arms).map(|(theta, arm)| dot(theta, &arm.reward)).sum();
        let mut volume = self.volume;
        if let Some((common, of_common)) = &self.common {
            let pooled = self.pooled(&alone);
            fit += dot(&pooled, &common.solve(&pooled));
            volume += of_common;
        }
        let squares: f64 = arms.iter().map(|a| a.reward_square).sum();
        log_likelihood(arms.iter().map(|a| a.weight).sum(), squares - fit, volume)
    }

    /// Cov θₐ/σ² of every arm: with `Y = δL⁻¹WA⁻¹`, LLᵀ = M, that is `A⁻¹ + YᵀY`.
    pub(super) fn covariances(self) -> Vec<Vec<f64>> {
        let Some((common, _)) = &self.common else { return self.inverses };
        let (lower, k) = (common.inverse(), self.k);
        let widened = |(mut inverse, slope): (Vec<f64>, &f64)| {
            let full: Vec<f64> = (0..k * k)
                .map(|at| self.own * slope_at(*slope, at / k, k) * inverse[packed(at / k, at % k)])
                .collect();
            let mut y = vec![0.0; k];
            for i in 0..k {
                y.fill(0.0);
                for (m, l) in lower[triangle(i)..triangle(i + 1)].iter().enumerate() {
                    let row = &full[m * k..(m + 1) * k];
                    y.iter_mut().zip(row).for_each(|(y, x)| *y += l * x);
                }
                for (j, yj) in y.iter().enumerate() {
                    let row = &mut inverse[triangle(j)..triangle(j + 1)];
                    row.iter_mut().zip(&y).for_each(|(x, y)| *x += yj * y);
                }
            }
            inverse
        };
        self.inverses.into_iter().zip(&self.slopes).map(widened).collect()
    }

    /// `Aₐ⁻¹bₐ` of every arm.
    fn alone(&self, arms: &[&ArmStats], target: Target) -> Vec<Vec<f64>> {
        arms.iter().zip(&self.inverses).map(|(arm, inverse)| times(inverse, target(arm))).collect()
    }

    /// `Σₐ WₐδAₐ⁻¹bₐ`.
    fn pooled(&self, alone: &[Vec<f64>]) -> Vec<f64> {
        let mut sum = vec![0.0; self.k];
        for (theta, slope) in alone.iter().zip(&self.slopes) {
            let part = self.sloped(theta, *slope);
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += self.own * p);
        }
        sum
    }

    /// `Σₐ Wₐδ(I − δAₐ⁻¹)Wₐ`.
    fn complement(&self) -> Vec<f64> {
        let mut m = vec![0.0; triangle(self.k)];
        for (inverse, slope) in self.inverses.iter().zip(&self.slopes) {
            for i in 0..self.k {
                let (own, at) = (self.own * slope_at(*slope, i, self.k), triangle(i));
                for j in 0..=i {
                    m[at + j] -= own * self.own * inverse[at + j] * slope_at(*slope, j, self.k);
                }
                m[at + i] += own * slope_at(*slope, i, self.k);
            }
        }
        m
    }

    /// `Wx` of a slope.
    fn sloped(&self, x: &[f64], slope: f64) -> Vec<f64> {
        x.iter().enumerate().map(|(i, x)| x * slope_at(slope, i, self.k)).collect()
    }
}

/// W at feature `i` of `k`; the last is the constant.
fn slope_at(slope: f64, i: usize, k: usize) -> f64 {
    if i + 1 == k { 1.0 } else { slope }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
