//! How far back samples count: as far as the newer ones agree.
//!
//! Of half-lives that double, the longest counts whose finding contradicts that of no shorter one (Lepski 1990, "On a
//! problem of adaptive estimation in Gaussian white noise"): all samples while nothing changes, the newest after a jump.

use super::{Evidence, Finding};
use crate::config::OptimizerConfig;

/// How often the configured half-life is halved.
const HALVES: usize = 3;
/// Findings contradict each other from so many standard errors on. More, and a knob follows what moves too late; less,
/// and chance alone makes it forget.
const AGREE: f64 = 2.5;

pub(super) fn finding(evidence: &Evidence, value: f64, config: &OptimizerConfig) -> Option<Finding> {
    let longest = evidence.finding(value, config);
    // These two speak only when they are sure, which takes all the samples there are.
    if let Evidence::Aggregation(_) | Evidence::Priority { .. } = evidence {
        return longest;
    }
    let mut found = vec![longest?];
    let mut evidence = evidence.clone();
    for _ in 0..HALVES {
        evidence = evidence.newer();
        found.extend(evidence.finding(value, config));
    }
    let mut agreeing: Vec<Finding> = Vec::new();
    for longer in found.into_iter().rev() {
        if agreeing.iter().any(|shorter| shorter.contradicts(&longer)) {
            break;
        }
        agreeing.push(longer);
    }
    agreeing.pop()
}

// === impl Finding ===

impl Finding {
    /// Whether a finding by more of the same samples says something else. The variance of their difference is the
    /// difference of their variances (Hausman 1978, "Specification tests in econometrics").
    fn contradicts(&self, longer: &Self) -> bool {
        let variance = (self.error.powi(2) - longer.error.powi(2)).max(0.0);
        (self.gain - longer.gain).abs() > AGREE * variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::{Draw, Rewarded};

    /// Draws of a model, newest first: `newest` of them earned about 0.8, the older ones about 0.
    fn draws(newest: usize) -> Evidence {
        let draw = |age: usize| {
            let noise = (age as f64 * 0.618_034).fract() - 0.5;
            let reward = noise + if age < newest { 0.8 } else { 0.0 };
            Draw { propensity: 0.5, got: Rewarded { reward, weight: libm::exp2(-(age as f64) / 2000.0) } }
        };
        Evidence::Score((0..4000).map(draw).collect())
    }

    #[test]
    fn all_samples_count_while_nothing_changes() {
        let config = OptimizerConfig::default();
        for newest in [0, 4000] {
            let evidence = draws(newest);
            assert_eq!(finding(&evidence, 1.0, &config), evidence.finding(1.0, &config));
        }
    }

    #[test]
    fn the_newest_count_after_a_jump() {
        let config = OptimizerConfig::default();
        let evidence = draws(1000);
        let target = |found: Option<Finding>| found.map_or(f64::NAN, |f| f.target);
        // Scores of mean rewards: 0.3 + 0.7 * (mean + 1) / 2.
        let (all, kept) = (target(evidence.finding(1.0, &config)), target(finding(&evidence, 1.0, &config)));
        assert!(all < 0.8 && kept > 0.88, "{all} by all, {kept} by those that agree; now it is 0.93");
    }
}
