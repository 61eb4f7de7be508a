//! How much prompts matter: the ridge that makes the observations most probable, and by the same measure how much
//! their form counts beside the kernel (`super::FORM_WEIGHTS`).
//!
//! The ridge is σ²/τ², noise by what prompts make. Nobody knows it beforehand: users who rate arbitrarily and a model
//! that is right for every other prompt need very different ones. So it is chosen by its evidence (empirical Bayes;
//! MacKay 1992, "Bayesian interpolation", with the noise profiled out):
//!
//! ```text
//! −2 ln p(r | ridge) = n ln(S/n) + ln|V + ridge·I| − k ln ridge,   S = Σr² − bᵀ(V + ridge·I)⁻¹b
//! ```

use super::arm::ArmStats;
use super::cholesky::Cholesky;

/// Candidates, as multiples of the configured ridge.
const STEPS: [f64; 7] = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// Standard deviation of the logarithm of a ridge around the configured one, before anything is known.
const PRIOR_DEVIATION: f64 = 1.5;
/// Variance of a reward that no observation can prove smaller.
const LEAST_VARIANCE: f64 = 1e-4;

/// The best of the candidates around `configured` for all of `arms` in `k` dimensions.
pub(super) fn best_ridge(arms: &[&ArmStats], k: usize, configured: f64) -> f64 {
    best(arms, k, configured).map_or(configured, |(ridge, _)| ridge)
}

/// The same, and its evidence; `None` if the sums are not finite.
pub(super) fn best(arms: &[&ArmStats], k: usize, configured: f64) -> Option<(f64, f64)> {
    let score = |step: f64| {
        let likelihood: Option<f64> = arms.iter().map(|arm| evidence(arm, k, configured * step)).sum();
        likelihood.map(|l| l + prior(step))
    };
    let scored = STEPS.iter().filter_map(|step| Some((configured * step, score(*step)?)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// ln p of a variance that is `factor` times the one expected, up to a constant.
pub(super) fn prior(factor: f64) -> f64 {
    -0.5 * (libm::log(factor) / PRIOR_DEVIATION).powi(2)
}

/// ln p(r | ridge) up to a constant; `None` if the sums are not finite.
fn evidence(arm: &ArmStats, k: usize, ridge: f64) -> Option<f64> {
    let factor = Cholesky::of(&arm.v, k, ridge)?;
    let fit: f64 = factor.solve(&arm.reward).iter().zip(&arm.reward).map(|(t, b)| t * b).sum();
    let volume = factor.log_determinant() - k as f64 * libm::log(ridge);
    Some(log_likelihood(arm.weight, arm.reward_square - fit, volume))
}

/// ln p of rewards that weigh `weight` up to a constant: S is what is left of their squares, `volume` the logarithm of
/// how much less is possible after them than before.
pub(super) fn log_likelihood(weight: f64, squares: f64, volume: f64) -> f64 {
    let variance = (squares / weight.max(1.0)).max(LEAST_VARIANCE);
    -0.5 * (weight * libm::log(variance) + volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 observations whose reward is the first feature times `signal`, plus noise that alternates.
    fn arm(signal: f64, noise: f64) -> ArmStats {
        let mut arm = ArmStats::new(3);
        for i in 0..200u32 {
            let z = [f64::from(i % 7) / 7.0 - 0.4, f64::from(i % 5) / 5.0 - 0.4, 1.0];
            let sign = if (i / 3) % 2 == 0 { 1.0 } else { -1.0 };
            arm.observe(&z, signal * z[0] + noise * sign, 0.0, 1.0);
        }
        arm
    }

    #[test]
    fn what_prompts_explain_lowers_the_ridge_and_noise_raises_it() {
        let (clear, noisy) = (arm(1.0, 0.01), arm(0.0, 0.5));
        assert!(best_ridge(&[&clear], 3, 10.0) < 10.0);
        assert!(best_ridge(&[&noisy], 3, 10.0) > 10.0);
    }

    #[test]
    fn nothing_observed_leaves_the_configured_ridge() {
        assert_eq!(best_ridge(&[&ArmStats::new(3)], 3, 10.0), 10.0);
    }
}
