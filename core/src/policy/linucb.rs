//! LinUCB with disjoint arms (Li et al. 2010, "A contextual-bandit approach to personalized news article
//! recommendation", algorithm 1), scored through a triangular factor.

/// Length of a packed lower-triangular `k × k` matrix.
pub const fn packed_len(k: usize) -> usize {
    k * (k + 1) / 2
}

/// The parameters of one arm, borrowed from a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct ArmParams<'a> {
    /// θ `[k]`: reward per unit of projected context.
    pub theta: &'a [f32],
    /// Output length `[k]`: ln(completion tokens + 1) above its prior, per unit of projected context.
    pub length: &'a [f32],
    /// R `[k(k+1)/2]` with V⁻¹ = RᵀR: lower-triangular, packed column by column (column j holds rows j..k).
    pub factor: &'a [f32],
}

/// What the policy says of one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// q̂ = θᵀz, the predicted reward.
    pub reward: f32,
    /// √(zᵀV⁻¹z) = ‖Rz‖, the width of the confidence interval before α.
    pub width: f32,
    /// The predicted ln(completion tokens + 1) above its prior.
    pub length: f32,
}

impl ArmParams<'_> {
    /// Scores the projected context `z` `[k]`; `work` is scratch space reused between arms.
    ///
    /// The columns are added one after the other, so each step is one multiply-add over a contiguous run: it
    /// vectorises, and the order of every sum is fixed, so WASM and native give the same bits.
    pub fn score(&self, z: &[f32], work: &mut Vec<f32>) -> Score {
        work.clear();
        work.resize(z.len(), 0.0);
        let mut rest = self.factor;
        for (j, zj) in z.iter().enumerate() {
            let Some((column, next)) = rest.split_at_checked(z.len() - j) else { break };
            rest = next;
            for (w, r) in work.iter_mut().skip(j).zip(column) {
                *w += r * zj;
            }
        }
        let square: f32 = work.iter().map(|w| w * w).sum();
        Score { reward: dot(self.theta, z), width: square.sqrt(), length: dot(self.length, z) }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dense_width(factor: &[f32], z: &[f32]) -> f32 {
        let k = z.len();
        let mut full = vec![0.0f64; k * k];
        let mut at = 0;
        for j in 0..k {
            for i in j..k {
                full[i * k + j] = f64::from(factor[at]);
                at += 1;
            }
        }
        let rows = (0..k).map(|i| (0..k).map(|j| full[i * k + j] * f64::from(z[j])).sum::<f64>());
        rows.map(|v| v * v).sum::<f64>().sqrt() as f32
    }

    proptest! {
        #[test]
        fn the_packed_factor_gives_the_dense_width(
            z in prop::collection::vec(-1f32..1.0, 7),
            factor in prop::collection::vec(-1f32..1.0, packed_len(7)),
        ) {
            let zero = [0.0; 7];
            let arm = ArmParams { theta: &zero, length: &zero, factor: &factor };
            let width = arm.score(&z, &mut Vec::new()).width;
            prop_assert!((width - dense_width(&factor, &z)).abs() < 1e-4);
        }

        #[test]
        fn parameters_of_any_length_are_scored_without_a_panic(
            z in prop::collection::vec(-1f32..1.0, 0..9),
            params in prop::collection::vec(-1f32..1.0, 0..40),
        ) {
            let arm = ArmParams { theta: &params, length: &params, factor: &params };
            prop_assert!(arm.score(&z, &mut Vec::new()).width.is_finite());
        }
    }
}
