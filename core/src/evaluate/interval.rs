//! 95 % intervals that stay honest when a few large weights carry the estimate.
//!
//! The intervals of the textbook (mean ± 1.96·s/√n) fail exactly where they matter: a log that explores one record in
//! a hundred may hold three samples of what the target would do, or none, and their spread then says nothing. Two
//! corrections, both without a constant to choose:
//!
//! * Each end is computed with one observation more: the worst one that the log *could* have held, known from its
//!   propensities and the range of rewards. It carries weight 1/n, so it vanishes as the log grows and rules while
//!   large weights were possible but not seen. (The adjusted empirical likelihood of Chen, Variyath & Abraham 2008;
//!   for off-policy evaluation Karampatziakis, Langford & Mineiro 2020, "Empirical likelihood for contextual bandits".)
//! * Student's quantile with the degrees of freedom that the terms' own kurtosis κ leaves to their variance,
//!   ν = 2n/(κ − 1) (Satterthwaite 1946): k large terms among n zeros have κ ≈ n/k, so ν ≈ 2k whatever n is.
//!
//! Measured coverage: `coverage.rs`.

use serde::Serialize;

/// The normal distribution's 97.5 % quantile.
const Z: f64 = 1.959_963_984_540_054;

/// A value and the range that holds the truth in 95 of 100 logs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value. Unbiased ones may lie outside the interval, which knows the range of rewards.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// All rewards that are possible, low < high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// The mean of `values` `[n]`, n > 0.
pub(super) fn of_mean(values: &[f64], worst: Range) -> Estimate {
    let (n, sum) = (values.len() as f64, values.iter().sum::<f64>());
    let end = |worst: f64, sign: f64| {
        let mean = (sum + worst) / (n + 1.0);
        let deviations = values.iter().chain([&worst]).map(|v| v - mean);
        mean + sign * margin(deviations, n + 1.0)
    };
    Estimate { value: sum / n, low: end(worst.low, -1.0), high: end(worst.high, 1.0) }
}

/// Σwr / Σw by the delta method: the mean m that makes Σ w(r − m) vanish. The worst observation has the largest
/// possible weight and the lowest or highest reward.
pub(super) fn of_ratio(weights: &[f64], rewards: &[f64], possible: f64, range: Range) -> Estimate {
    let total: f64 = weights.iter().sum();
    let sum: f64 = weights.iter().zip(rewards).map(|(w, r)| w * r).sum();
    let n = weights.len() as f64 + 1.0;
    if total <= 0.0 {
        return Estimate { value: f64::midpoint(range.low, range.high), low: range.low, high: range.high };
    }
    let end = |worst: f64, sign: f64| {
        let mean = (sum + possible * worst) / (total + possible);
        let terms = weights.iter().zip(rewards).chain([(&possible, &worst)]);
        mean + sign * margin(terms.map(|(w, r)| w * (r - mean)), n) * n / (total + possible)
    };
    Estimate { value: sum / total, low: end(range.low, -1.0), high: end(range.high, 1.0) }
}

/// Half the width of the interval of a mean, from the `n` deviations from it.
fn margin(deviations: impl Iterator<Item = f64>, n: f64) -> f64 {
    let (second, fourth) = deviations.fold((0.0, 0.0), |(second, fourth), d| {
        let square = d * d;
        (second + square, fourth + square * square)
    });
    if second <= 0.0 {
        return 0.0;
    }
    let kurtosis = n * fourth / (second * second);
    student(2.0 * n / (kurtosis - 1.0).max(f64::MIN_POSITIVE)) * (second / (n - 1.0) / n).sqrt()
}

/// Student's 97.5 % quantile for ν ≥ 2 degrees of freedom (Abramowitz & Stegun 26.7.5; within 1 % at ν = 2).
fn student(degrees: f64) -> f64 {
    let y = Z * Z;
    let terms = [
        (y + 1.0) / 4.0,
        ((5.0 * y + 16.0) * y + 3.0) / 96.0,
        (((3.0 * y + 19.0) * y + 17.0) * y - 15.0) / 384.0,
        ((((79.0 * y + 776.0) * y + 1482.0) * y - 1920.0) * y - 945.0) / 92160.0,
    ];
    Z * (1.0 + terms.iter().rev().fold(0.0, |sum, term| (sum + term) / degrees))
}

// === impl Estimate ===

impl Estimate {
    /// With the interval cut to what is possible.
    pub(super) fn within(self, range: Range) -> Self {
        Self { low: range.clamp(self.low), high: range.clamp(self.high), ..self }
    }

    /// Widened by what else may be there: at least `more.low`, at most `more.high`.
    pub(super) fn plus(self, more: Range) -> Self {
        Self { low: self.low + more.low, high: self.high + more.high, ..self }
    }

    /// Over all choices, when `share` of them could not be seen and may be worth anything in `range`.
    pub(super) fn diluted(self, share: f64, range: Range) -> Self {
        let mix = |seen: f64, unseen: f64| (1.0 - share) * seen + share * unseen;
        Self { low: mix(self.low, range.low), high: mix(self.high, range.high), ..self }
    }
}

// === impl Range ===

impl Range {
    pub(super) fn clamp(&self, value: f64) -> f64 {
        value.max(self.low).min(self.high)
    }

    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.low), high: f(self.high) }
    }

    /// Widened to hold `value`.
    pub(super) fn with(self, value: f64) -> Self {
        Self { low: self.low.min(value), high: self.high.max(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_quantile_is_that_of_the_tables() {
        for (degrees, table) in [(2.0, 4.3027), (3.0, 3.1824), (5.0, 2.5706), (10.0, 2.2281), (30.0, 2.0423)]
        {
            assert!((student(degrees) / table - 1.0).abs() < 0.01, "{degrees}: {}", student(degrees));
        }
        assert!((student(1e9) - Z).abs() < 1e-6);
    }

    #[test]
    fn with_many_terms_the_interval_is_the_textbooks() {
        let values: Vec<f64> = (0..100_000).map(|i| f64::from(i % 2)).collect();
        let Estimate { value, low, high } = of_mean(&values, Range { low: 0.0, high: 1.0 });
        let half = Z * 0.5 / 100_000f64.sqrt();
        assert!((value - 0.5).abs() < 1e-12);
        assert!((high - low - 2.0 * half).abs() < 0.01 * half, "{low} {high}");
    }

    #[test]
    fn what_was_possible_but_never_seen_keeps_the_interval_open() {
        let one = of_ratio(&[0.0; 500], &[0.5; 500], 500.0, Range { low: 0.0, high: 1.0 });
        assert_eq!((one.low, one.high), (0.0, 1.0));
        let never = of_mean(&[0.0; 500], Range { low: 0.0, high: 500.0 });
        assert!(never.low == 0.0 && never.high > 1.0, "{never:?}");
    }
}
