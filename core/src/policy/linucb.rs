//! LinUCB (Li et al. 2010, "A contextual-bandit approach to personalized news article recommendation", algorithm 1),
//! scored through a factor of the covariance of θ. How arms share what they know is the learner's.

use dragoman_lanes::dot;

use super::curve::Curve;
use super::factor::Factor;

/// The parameters of one arm, borrowed from a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct ArmParams<'a> {
    /// θ `[k]`: reward per unit of feature.
    pub theta: &'a [f32],
    /// Output length `[k]`: ln(completion tokens + 1) above its prior, per unit of feature.
    pub length: &'a [f32],
    /// Of Cov θ.
    pub factor: Factor<&'a [f32]>,
    /// What bends rewards, where one difficulty moves all arms.
    pub curve: Option<Curve>,
}

/// What the policy says of one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// q̂ = θᵀz, bent by the arm's curve if it has one: the predicted reward.
    pub reward: f32,
    /// √(zᵀ Cov(θ) z), times the curve's slope there: the standard deviation of q̂.
    pub width: f32,
    /// The predicted ln(completion tokens + 1) above its prior.
    pub length: f32,
}

impl ArmParams<'_> {
    /// Scores the features `z` `[k]` of a context.
    pub fn score(&self, z: &[f32]) -> Score {
        let (straight, width) = (dot(self.theta, z), self.factor.width(z));
        let (reward, slope) = self.curve.map_or((straight, 1.0), |curve| curve.bend(straight));
        Score { reward, width: width * slope, length: dot(self.length, z) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{packed_index, packed_len};
    use proptest::prelude::*;

    /// R as a dense matrix times z.
    fn dense_width(factor: &[f32], z: &[f32]) -> f32 {
        let k = z.len();
        let mut full = vec![0.0f64; k * k];
        for i in 0..k {
            for j in 0..=i {
                full[i * k + j] = f64::from(factor[packed_index(i, j)]);
            }
        }
        let rows = (0..k).map(|i| (0..k).map(|j| full[i * k + j] * f64::from(z[j])).sum::<f64>());
        rows.map(|v| v * v).sum::<f64>().sqrt() as f32
    }

    proptest! {
        #[test]
        fn the_packed_factor_gives_the_dense_width(
            (z, triangle) in (1usize..40).prop_flat_map(|k| {
                let numbers = |n| prop::collection::vec(-1f32..1.0, n);
                (numbers(k), numbers(k * (k + 1) / 2))
            }),
        ) {
            let zero = vec![0.0; z.len()];
            let mut factor = vec![0.0; packed_len(z.len())];
            let places = (0..z.len()).flat_map(|i| (0..=i).map(move |j| packed_index(i, j)));
            places.zip(&triangle).for_each(|(place, value)| factor[place] = *value);
            let arm = ArmParams { theta: &zero, length: &zero, factor: Factor::Triangle(&factor), curve: None };
            let (width, dense) = (arm.score(&z).width, dense_width(&factor, &z));
            prop_assert!((width - dense).abs() < 1e-5 * (1.0 + dense), "{width} {dense}");
        }

        #[test]
        fn parameters_of_any_length_are_scored_without_a_panic(
            z in prop::collection::vec(-1f32..1.0, 0..9),
            params in prop::collection::vec(-1f32..1.0, 0..40),
        ) {
            for factor in [Factor::Triangle(&params[..]), Factor::LowRank { rows: &params, prior: 0.5 }] {
                for curve in [None, Curve::through(0.7)] {
                    let score = ArmParams { theta: &params, length: &params, factor, curve }.score(&z);
                    prop_assert!(score.width.is_finite() && score.reward.is_finite());
                }
            }
        }
    }
}
