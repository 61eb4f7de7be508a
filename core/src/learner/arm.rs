//! The sufficient statistics of one route: `V = Σ γᵃ zzᵀ`, `b = Σ γᵃ r z`, a the observation's age.

use super::cholesky::{Factor, triangle};
use crate::snapshot::RouteParams;

/// Sums over the observations of one route, f64.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmStats {
    /// V without its ridge: lower triangle, packed row by row.
    v: Vec<f64>,
    /// Reward-weighted sum `[k]`.
    reward: Vec<f64>,
    /// Length-weighted sum `[k]`.
    length: Vec<f64>,
    observations: u64,
}

impl ArmStats {
    /// No observations in `k` dimensions.
    pub fn new(k: usize) -> Self {
        Self { v: vec![0.0; triangle(k)], reward: vec![0.0; k], length: vec![0.0; k], observations: 0 }
    }

    /// How many observations were added.
    pub fn observations(&self) -> u64 {
        self.observations
    }

    /// Adds one observation; all earlier ones fade by `forgetting`.
    pub fn observe(&mut self, z: &[f64], reward: f64, length: f64, forgetting: f64) {
        if forgetting < 1.0 {
            let sums = self.v.iter_mut().chain(&mut self.reward).chain(&mut self.length);
            sums.for_each(|s| *s *= forgetting);
        }
        let mut rows = self.v.as_mut_slice();
        for (i, zi) in z.iter().enumerate() {
            let Some((row, rest)) = rows.split_at_mut_checked(i + 1) else { break };
            rows = rest;
            add_scaled(row, z, *zi);
        }
        add_scaled(&mut self.reward, z, reward);
        add_scaled(&mut self.length, z, length);
        self.observations += 1;
    }

    /// Adds `delta` to the reward of an observation already in the sums.
    pub fn revise(&mut self, z: &[f64], delta: f64) {
        add_scaled(&mut self.reward, z, delta);
    }

    /// Solves for θ and R with V + ridge·I = LLᵀ, R = L⁻¹. Solved from the sums each time, so no error builds up
    /// over updates. `None` if the sums are not finite.
    pub fn params(&self, ridge: f64) -> Option<RouteParams> {
        let factor = Factor::of(&self.v, self.reward.len(), ridge)?;
        let narrow = |values: Vec<f64>| -> Vec<f32> { values.iter().map(|v| *v as f32).collect() };
        Some(RouteParams {
            theta: narrow(factor.solve(&self.reward)),
            length: narrow(factor.solve(&self.length)),
            factor: narrow(factor.inverse_packed()),
        })
    }
}

/// `sum += scale · z` over the shorter of the two.
fn add_scaled(sum: &mut [f64], z: &[f64], scale: f64) {
    sum.iter_mut().zip(z).for_each(|(s, z)| *s += scale * z);
}
