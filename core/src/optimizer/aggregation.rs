//! Which aggregate of an embedding rule separates better: the one whose lines, one for each side, explain the rewards
//! better.
//!
//! Both models have as many parameters, so their log-likelihoods compare as they are (Vuong 1989): with Gaussian
//! noise `n/2 · ln(RSS′/RSS)`.

use super::{Both, Finding};

/// Differences of log-likelihoods from here on are "very strong" evidence (Kass & Raftery 1995: 2 ln B > 10).
const STRONG: f64 = 5.0;

/// `now` and the target: 0 is the maximum, 1 the mean.
pub(super) fn find(now: f64, prompts: &[Both], least: usize) -> Option<Finding> {
    let above = prompts.iter().filter(|p| p.above).count();
    if above.min(prompts.len() - above) < least {
        return None;
    }
    let unexplained = |of: fn(&Both) -> f64| -> Option<f64> {
        let side = |above| residual(prompts.iter().filter(move |p| p.above == above), of);
        Some(side(true)? + side(false)?)
    };
    let [max, mean] = [unexplained(|p| p.max)?, unexplained(|p| p.mean)?];
    let (used, other, target) = if now < 0.5 { (max, mean, 1.0) } else { (mean, max, 0.0) };
    let n: f64 = prompts.iter().map(|p| p.got.weight).sum();
    let gain = 0.5 * n * (used / other.max(f64::MIN_POSITIVE)).ln();
    (gain > STRONG).then_some(Finding { target, gain, error: 1.0, samples: prompts.len() })
}

/// Σ w (r − line)² about the weighted least-squares line; `None` if all scores are the same.
fn residual<'a>(prompts: impl Iterator<Item = &'a Both> + Clone, of: fn(&Both) -> f64) -> Option<f64> {
    let sum = |f: &dyn Fn(&Both) -> f64| prompts.clone().map(|p| p.got.weight * f(p)).sum::<f64>();
    let n = sum(&|_| 1.0);
    let (x, y) = (sum(&of) / n, sum(&|p| p.got.reward) / n);
    let xx = sum(&|p| (of(p) - x).powi(2));
    let xy = sum(&|p| (of(p) - x) * (p.got.reward - y));
    let yy = sum(&|p| (p.got.reward - y).powi(2));
    (xx > 0.0).then(|| yy - xy * xy / xx)
}
