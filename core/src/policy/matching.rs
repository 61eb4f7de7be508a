//! Probability matching: an arm is taken as often as it may be the best one (Thompson 1933, "On the likelihood that one
//! unknown probability exceeds another in view of the evidence of two samples"). In closed form, where Thompson
//! sampling draws: so every propensity and what a choice will cost are known before it is made.

use std::f64::consts::SQRT_2;

/// Whatever is uncertain, the arm that looks best keeps the rest of this share.
pub(crate) const MOST: f64 = 0.5;
/// Standard deviations beyond which a difference is certain (P < 3e-7): most arms then cost no error function.
const CERTAIN: f64 = 5.0;

/// P that an arm is better than the one that looks best, by which it is predicted to be `gap` worse, 0 or more; both
/// predictions are normal and the difference has the standard deviation `doubt`. In 0..0.5. Exact for two arms; for
/// more it is an upper bound of the probability to be the best of all.
pub(crate) fn chance(gap: f64, doubt: f64) -> f64 {
    if doubt > 0.0 && gap < CERTAIN * doubt { 0.5 * libm::erfc(gap / (SQRT_2 * doubt)) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equals_have_even_odds_and_one_deviation_is_a_sixth() {
        assert_eq!(chance(0.0, 0.2), 0.5);
        assert!((chance(0.2, 0.2) - 0.158_655).abs() < 1e-6);
        assert!((chance(0.4, 0.2) - 0.022_750).abs() < 1e-6);
    }

    #[test]
    fn what_is_certain_is_never_doubted() {
        assert_eq!([chance(0.0, 0.0), chance(1.0, 0.0), chance(1.1, 0.2)], [0.0; 3]);
    }

    proptest! {
        #[test]
        fn the_chance_falls_with_the_gap_and_rises_with_the_doubt(gap in 0f64..3.0, doubt in 0f64..2.0, more in 0f64..1.0) {
            prop_assert!((0.0..=0.5).contains(&chance(gap, doubt)));
            prop_assert!(chance(gap + more, doubt) <= chance(gap, doubt));
            prop_assert!(chance(gap, doubt + more) >= chance(gap, doubt) || doubt == 0.0);
        }
    }
}
