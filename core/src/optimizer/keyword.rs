//! What a keyword is worth to its rule: the probability that a prompt with it earned more where the rule sent it than
//! a prompt earned elsewhere.
//!
//! That is the area under the ROC curve, by ranks (Mann & Whitney 1947; as an effect size McGraw & Wong 1992). It lies
//! in 0..=1, and 1/2 says that the keyword tells nothing: also the default weight.

use super::{Finding, Rewarded};

pub(super) fn find(now: f64, hits: &[Rewarded], others: &[Rewarded], least: usize) -> Option<Finding> {
    let samples = hits.len() + others.len();
    if hits.len().min(others.len()) < least {
        return None;
    }
    let mut all: Vec<(f64, f64, bool)> = Vec::with_capacity(samples);
    all.extend(hits.iter().map(|h| (h.reward, h.weight, true)));
    all.extend(others.iter().map(|o| (o.reward, o.weight, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    for ties in all.chunk_by(|a, b| a.0 == b.0) {
        let weight = |hit: bool| ties.iter().filter(|t| t.2 == hit).map(|t| t.1).sum::<f64>();
        won += weight(true) * (below + 0.5 * weight(false));
        below += weight(false);
    }
    let weight = |side: &[Rewarded]| side.iter().map(|r| r.weight).sum::<f64>();
    let (hit, other) = (weight(hits), weight(others));
    let target = won / (hit * other).max(f64::MIN_POSITIVE);
    // The variance where the two do not differ, which is about the largest.
    let error = ((hit + other + 1.0) / (12.0 * hit * other).max(f64::MIN_POSITIVE)).sqrt();
    Some(Finding { target, gain: target - now, error, samples })
}
