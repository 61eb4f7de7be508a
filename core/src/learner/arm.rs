//! The sufficient statistics of one route: sums over its observations, each weighted γᵃ by its age a.

use serde::{Deserialize, Serialize};

use super::checkpoint::f64s;
use super::cholesky::triangle;

/// Sums over the observations of one route, f64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmStats {
    /// `V = Σ γᵃ zzᵀ`: lower triangle, packed row by row.
    #[serde(with = "f64s")]
    pub(super) v: Vec<f64>,
    /// `Σ γᵃ r z` `[k]`.
    #[serde(with = "f64s")]
    pub(super) reward: Vec<f64>,
    /// `Σ γᵃ l z` `[k]`, l the answer's excess length.
    #[serde(with = "f64s")]
    pub(super) length: Vec<f64>,
    /// `Σ γᵃ`.
    pub(super) weight: f64,
    /// `Σ γᵃ r²`.
    pub(super) reward_square: f64,
    /// `Σ γᵃ l²`.
    pub(super) length_square: f64,
    observations: u64,
}

impl ArmStats {
    /// No observations in `k` dimensions.
    pub fn new(k: usize) -> Self {
        Self {
            v: vec![0.0; triangle(k)],
            reward: vec![0.0; k],
            length: vec![0.0; k],
            weight: 0.0,
            reward_square: 0.0,
            length_square: 0.0,
            observations: 0,
        }
    }

    /// No sums in `k` dimensions, but the next observation is number `observations` + 1.
    pub(super) fn after(k: usize, observations: u64) -> Self {
        Self { observations, ..Self::new(k) }
    }

    /// Whether all sums are of `k` dimensions.
    pub(super) fn fits(&self, k: usize) -> bool {
        self.v.len() == triangle(k) && self.reward.len() == k && self.length.len() == k
    }

    /// How many observations were added.
    pub fn observations(&self) -> u64 {
        self.observations
    }

    /// Adds one observation; all earlier ones fade by `forgetting`.
    pub fn observe(&mut self, z: &[f64], reward: f64, length: f64, forgetting: f64) {
        let mut rows = self.v.as_mut_slice();
        for (i, zi) in z.iter().enumerate() {
            let Some((row, rest)) = rows.split_at_mut_checked(i + 1) else { break };
            rows = rest;
            add_scaled(row, forgetting, z, *zi);
        }
        add_scaled(&mut self.reward, forgetting, z, reward);
        add_scaled(&mut self.length, forgetting, z, length);
        self.weight = self.weight * forgetting + 1.0;
        self.reward_square = self.reward_square * forgetting + reward * reward;
        self.length_square = self.length_square * forgetting + length * length;
        self.observations += 1;
    }

    /// The reward of an observation already in the sums, whose weight is now `weight`, was `before` and is `after`.
    pub fn revise(&mut self, z: &[f64], before: f64, after: f64, weight: f64) {
        add_scaled(&mut self.reward, 1.0, z, weight * (after - before));
        self.reward_square += weight * (after * after - before * before);
    }
}

/// `sum = fade · sum + scale · z` over the shorter of the two.
fn add_scaled(sum: &mut [f64], fade: f64, z: &[f64], scale: f64) {
    sum.iter_mut().zip(z).for_each(|(s, z)| *s = fade * *s + scale * z);
}
