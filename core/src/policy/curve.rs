//! The S-curve that answers which are right or wrong follow when one difficulty moves all arms.
//!
//! On the scale of log odds difficulty shifts all alike (Rasch 1960, "Probabilistic models for some intelligence and
//! attainment tests"). What is linear in the features touches that curve at the arm's mean reward p:
//!
//! ```text
//! q = σ(logit p + (θᵀz − p) / (p(1 − p))),   dq/d(θᵀz) = q(1 − q) / (p(1 − p))
//! ```

/// An arm's curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// p.
    mean: f32,
}

// === impl Curve ===

impl Curve {
    /// The curve through a mean reward; `None` unless it is between 0 and 1.
    pub fn through(mean: f32) -> Option<Self> {
        (mean > 0.0 && mean < 1.0).then_some(Self { mean })
    }

    /// p, where a reward stays what it is.
    pub fn mean(self) -> f32 {
        self.mean
    }

    /// q of a straight θᵀz, in 0..=1, and the slope there.
    pub fn bend(self, straight: f32) -> (f32, f32) {
        let (right, wrong) = (self.mean, 1.0 - self.mean);
        let variance = right * wrong;
        // exp of anything is at least 0, and of much is infinity: q is then 0.
        let q = right / (right + wrong * libm::expf((right - straight) / variance));
        (q, q * (1.0 - q) / variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_mean_stays_and_so_do_small_differences_from_it() {
        let curve = Curve::through(0.8).unwrap();
        let (at, slope) = curve.bend(0.8);
        assert!((at - 0.8).abs() < 1e-6 && (slope - 1.0).abs() < 1e-5, "{at} {slope}");
        assert!((curve.bend(0.81).0 - 0.81).abs() < 3e-4);
    }

    #[test]
    fn nothing_is_better_than_right_or_worse_than_wrong() {
        let curve = Curve::through(0.7).unwrap();
        assert!(curve.bend(1.3).0 < 1.0 && curve.bend(1.3).0 > 0.95);
        assert!(curve.bend(-0.3).0 > 0.0 && curve.bend(-0.3).0 < 0.05);
    }

    #[test]
    fn a_mean_of_only_right_or_only_wrong_answers_has_no_curve() {
        for mean in [0.0, 1.0, -0.2, 1.2, f32::NAN] {
            assert_eq!(Curve::through(mean), None, "{mean}");
        }
    }

    proptest! {
        #[test]
        fn it_rises_within_its_bounds(mean in 0.001f32..0.999, a in -1e30f32..1e30, b in -2f32..3.0) {
            let curve = Curve::through(mean).unwrap();
            for straight in [a, b] {
                let (q, slope) = curve.bend(straight);
                prop_assert!((0.0..=1.0).contains(&q) && slope >= 0.0 && slope.is_finite(), "{q} {slope}");
            }
            prop_assert!(curve.bend(b.min(a)).0 <= curve.bend(b.max(a)).0);
        }
    }
}
