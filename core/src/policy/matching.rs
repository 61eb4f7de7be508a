//! Probability matching: an arm is taken as often as it may be the best one (Thompson 1933, "On the likelihood that one
//! unknown probability exceeds another in view of the evidence of two samples"). In closed form, where Thompson
//! sampling draws: so every propensity and what a choice will cost are known before it is made.

use std::f64::consts::FRAC_1_SQRT_2;

/// Exploration never takes more than this share of the requests, however many arms may be the best.
pub(crate) const MOST: f64 = 0.5;
/// Standard deviations beyond which a difference is certain (P < 3e-7): most arms then cost no error function.
const CERTAIN: f64 = 5.0;

/// An arm is new until it has so many observations.
pub(crate) const NEW: u64 = 10;

/// How wrong the prediction of an arm with so many `observations` may be, as a standard deviation: at first α widths, then
/// less and less of them. Widths shrink as 1/√n, which is right where there is a future without end to ask for; routes and
/// traffic change, and answers asked for late hardly pay.
pub(crate) fn doubt(alpha: f32, width: f32, observations: u64) -> f64 {
    let new = NEW as f64;
    f64::from(alpha * width) * new / (new + observations as f64)
}

/// P that an arm is better than the one that looks best, by which it is predicted to be `gap` worse, 0 or more; `doubts`
/// are the standard deviations of both predictions, taken for normal. In 0..0.5. Exact for two arms; for more it is an
/// upper bound of the probability to be the best of all.
pub(crate) fn chance(gap: f64, doubts: [f64; 2]) -> f64 {
    // No hypot: std's differs between V8 and here, where a decision is recomputed bit for bit, and libm's is slow.
    let doubt = doubts.map(|d| d * d).iter().sum::<f64>().sqrt();
    if doubt > 0.0 && gap < CERTAIN * doubt { 0.5 * erfc(FRAC_1_SQRT_2 * gap / doubt) } else { 0.0 }
}

/// The complementary error function of x ≥ 0, wrong by 3e-7 at most (Abramowitz & Stegun 1964, 7.1.28): it falls with
/// x, and without an exponential it takes a quarter of the time.
fn erfc(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 6] = [
        0.070_523_078_4,
        0.042_282_012_3,
        0.009_270_527_2,
        0.000_152_014_3,
        0.000_276_567_2,
        0.000_043_063_8,
    ];
    let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, c| (sum + c) * x) + 1.0;
    // To the power of 16.
    1.0 / (0..4).fold(sum, |power, _| power * power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equals_have_even_odds_and_one_deviation_is_a_sixth() {
        assert_eq!(chance(0.0, [0.2, 0.1]), 0.5);
        assert!((chance(0.2, [0.2, 0.0]) - 0.158_655).abs() < 1e-6);
        assert!((chance(1.0, [0.3, 0.4]) - 0.022_750).abs() < 1e-6);
    }

    #[test]
    fn the_width_of_a_new_arm_is_doubted_in_full_and_of_a_known_one_less_and_less() {
        let doubts = [0, 10, 30, 990].map(|observations| doubt(1.0, 0.25, observations));
        assert_eq!(doubts, [0.25, 0.125, 0.0625, 0.0025]);
        assert_eq!(doubt(2.0, 0.25, 10), 0.25);
    }

    #[test]
    fn what_is_certain_is_never_doubted() {
        assert_eq!([chance(0.0, [0.0; 2]), chance(1.0, [0.0; 2]), chance(1.1, [0.2, 0.0])], [0.0; 3]);
    }

    proptest! {
        #[test]
        fn the_error_function_is_wrong_by_three_in_ten_million_at_most(x in 0f64..9.0) {
            prop_assert!((erfc(x) - libm::erfc(x)).abs() <= 3e-7);
        }

        #[test]
        fn the_chance_falls_with_the_gap_and_rises_with_the_doubt(
            gap in 0f64..3.0, one in 0f64..2.0, other in 0f64..2.0, more in 0f64..1.0,
        ) {
            let p = chance(gap, [one, other]);
            prop_assert!((0.0..=0.5).contains(&p));
            prop_assert!(chance(gap + more, [one, other]) <= p);
            prop_assert!(chance(gap, [one, other + more]) >= p);
        }
    }
}
