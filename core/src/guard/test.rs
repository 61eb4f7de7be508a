//! Tests that hold at every look: they may be read after each record, and the chance that one *ever* says what is not
//! so stays below its level.
//!
//! Each gives an e-value, a nonnegative process whose mean is at most 1 as long as the null hypothesis holds; by
//! Ville's inequality it ever exceeds 1/α with a probability of at most α (Howard, Ramdas, McAuliffe & Sekhon 2021,
//! "Time-uniform, nonparametric, nonasymptotic confidence sequences"; Ramdas, Grünwald, Vovk & Shafer 2023,
//! "Game-theoretic statistics and safe anytime-valid inference"). E-values stand here as their logarithms.

use libm::{erfc, exp, log, log1p, sqrt};

/// Numbers of one arm, in sessions: what is said within a session is about the same things and weighs as one voice,
/// however long it is. With d the sum of a session's deviations from the mean, the mean's variance is Σd²/n²
/// (Liang & Zeger 1986, "Longitudinal data analysis using generalized linear models"; for tests of ratios Deng, Knoblich
/// & Lu 2018, "Applying the delta method in metric analytics").
///
/// Only sums over the sessions are kept, so that a session which goes on, or a number that is revised, corrects them
/// exactly.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Clustered {
    /// How many numbers.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// How many sessions.
    pub sessions: u64,
    /// Σ S² over sessions of sum S and length m.
    squares: f64,
    /// Σ m·S.
    products: f64,
    /// Σ m².
    lengths: f64,
}

/// Numbers of one session.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Session {
    /// m.
    pub n: u64,
    /// S.
    pub sum: f64,
}

/// Differences of means between two arms, over strata that are compared each within itself: what changed between
/// strata for both arms, such as the hour of the day, is no difference between the arms.
///
/// In information time t = Σ 1/(σ²/n₁ + σ²/n₂) the sum B = Σ tᵢ·dᵢ of the strata's differences is a Brownian motion with
/// the true difference as its drift, as the arms grow (Jennison & Turnbull 1997, "Group-sequential analysis incorporating
/// covariate information"; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform central limit theory and
/// asymptotic confidence sequences").
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Difference {
    /// t.
    pub information: f64,
    /// B.
    pub score: f64,
}

/// Sessions that an arm must have before its spread is believed.
const FEWEST: u64 = 30;

/// Variances below are taken for this: rewards that are all alike do not make the next one certain.
const LEAST_VARIANCE: f64 = 1e-4;

// === impl Clustered ===

impl Clustered {
    /// `session` has one number more.
    pub fn add(&mut self, session: &mut Session, x: f64) {
        self.sessions += u64::from(session.n == 0);
        self.n += 1;
        self.change(session, Session { n: session.n + 1, sum: session.sum + x });
    }

    /// A number of `session` was `before` and is now `after`.
    pub fn revise(&mut self, session: &mut Session, before: f64, after: f64) {
        self.change(session, Session { sum: session.sum + after - before, ..*session });
    }

    fn change(&mut self, session: &mut Session, new: Session) {
        let (m, k) = (session.n as f64, new.n as f64);
        self.sum += new.sum - session.sum;
        self.squares += new.sum * new.sum - session.sum * session.sum;
        self.products += k * new.sum - m * session.sum;
        self.lengths += k * k - m * m;
        *session = new;
    }

    /// The mean; 0 of none.
    pub fn mean(&self) -> f64 {
        if self.n == 0 { 0.0 } else { self.sum / self.n as f64 }
    }

    /// Both together, of different sessions.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            sessions: self.sessions + other.sessions,
            squares: self.squares + other.squares,
            products: self.products + other.products,
            lengths: self.lengths + other.lengths,
        }
    }

    /// Σd² over the sessions.
    fn deviations(&self) -> f64 {
        let mean = self.mean();
        (self.squares - 2.0 * mean * self.products + mean * mean * self.lengths).max(0.0)
    }

    /// n times the mean's variance: the variance of a number, were they independent.
    fn variance(&self) -> f64 {
        let few = self.sessions as f64 / (self.sessions.max(2) - 1) as f64;
        (few * self.deviations() / self.n.max(1) as f64).max(LEAST_VARIANCE)
    }
}

// === impl Difference ===

impl Difference {
    /// One stratum more; `of` minus `from`. Too few numbers to know their spread say nothing yet.
    ///
    /// An arm that shows less spread than both together has not shown all of it yet, so it is given theirs.
    pub fn add(&mut self, of: &Clustered, from: &Clustered) {
        if of.sessions < FEWEST || from.sessions < FEWEST {
            return;
        }
        let common = (of.deviations() + from.deviations()) / (of.n + from.n) as f64;
        let part = |arm: &Clustered| arm.variance().max(common) / arm.n as f64;
        let information = 1.0 / (part(of) + part(from));
        self.information += information;
        self.score += information * (of.mean() - from.mean());
    }

    /// The estimated difference; 0 while nothing is known.
    pub fn estimate(&self) -> f64 {
        if self.information > 0.0 { self.score / self.information } else { 0.0 }
    }

    /// Its standard error; infinite while nothing is known.
    pub fn error(&self) -> f64 {
        1.0 / sqrt(self.information)
    }

    /// Log e-value against "the difference is at most `bound`". `scale` is the size of difference that is looked for;
    /// others are found as well, only later.
    ///
    /// Robbins' normal mixture, one-sided: the likelihood ratio exp(λB − λ²t/2) averaged over λ ~ |N(0, scale²)| is
    /// 2/√(1 + t/ρ) · exp(B²/(2(t + ρ))) · Φ(B/√(t + ρ)) with ρ = 1/scale² (Robbins 1970, "Statistical methods related to
    /// the law of the iterated logarithm"; Howard et al. 2021, equation 14).
    pub fn above(&self, bound: f64, scale: f64) -> f64 {
        let (t, b) = (self.information, self.score - self.information * bound);
        let rho = 1.0 / (scale * scale);
        let z = b / sqrt(t + rho);
        log(2.0) - 0.5 * log1p(t / rho) + 0.5 * z * z + log_normal_cdf(z)
    }

    /// Log e-value against "the difference is at least `bound`".
    pub fn below(&self, bound: f64, scale: f64) -> f64 {
        Self { score: -self.score, ..*self }.above(-bound, scale)
    }
}

/// ln Φ(z), by its asymptote where Φ would vanish.
fn log_normal_cdf(z: f64) -> f64 {
    const FAR: f64 = -30.0;
    match z < FAR {
        true => -0.5 * z * z - log(-z * sqrt(2.0 * std::f64::consts::PI)),
        false => log(0.5 * erfc(-z / std::f64::consts::SQRT_2)),
    }
}

/// How much more often than live a canary may fail, as it is looked for.
const RATIOS: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 8.0, 13.0];

/// Log e-value against "the first arm does not fail more often than the second", from strata of
/// `[those that failed, all]` of each arm, in sessions: one that fails again and again says it once.
///
/// Given that a session failed, it is of the first arm with the probability s of any session to be so, whatever the
/// rate of failures is and however it changes: only the arms' *shares* of the failures are tested, exactly, by a mixture
/// of likelihood ratios over odds (Lindon & Malek 2022, "Anytime-valid inference for multinomial count data").
pub fn fails_more(strata: impl Iterator<Item = [[u64; 2]; 2]> + Clone) -> f64 {
    let of_ratio = |ratio: f64| {
        let stratum = |[[first, n], [second, m]]: [[u64; 2]; 2]| {
            let s = n as f64 / (n + m).max(1) as f64;
            let p = s * ratio / (s * ratio + 1.0 - s);
            let part =
                |failures: u64, p: f64, s: f64| if failures > 0 { failures as f64 * log(p / s) } else { 0.0 };
            part(first, p, s) + part(second, 1.0 - p, 1.0 - s)
        };
        strata.clone().filter(|[[_, n], [_, m]]| *n > 0 && *m > 0).map(stratum).sum::<f64>()
    };
    let logs = RATIOS.map(of_ratio);
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + log(logs.iter().map(|l| exp(l - most)).sum::<f64>() / RATIOS.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of sessions of this length.
    fn clustered(values: &[f64], length: usize) -> Clustered {
        let mut all = Clustered::default();
        for session in values.chunks(length) {
            let mut own = Session::default();
            session.iter().for_each(|v| all.add(&mut own, *v));
        }
        all
    }

    fn moments(values: &[f64]) -> Clustered {
        clustered(values, 1)
    }

    #[test]
    fn a_revision_leaves_what_there_would_be_had_it_been_known_at_once() {
        let (mut revised, mut own) = (Clustered::default(), Session::default());
        [0.5, -0.25, 1.0].iter().for_each(|v| revised.add(&mut own, *v));
        revised.revise(&mut own, -0.25, 0.75);
        assert_eq!(revised, clustered(&[0.5, 0.75, 1.0], 3));
    }

    #[test]
    fn a_session_of_one_mind_is_one_voice() {
        let each: Vec<f64> = (0..60).map(|i| f64::from(i % 5) / 5.0).collect();
        let repeated: Vec<f64> = each.iter().flat_map(|v| [*v; 10]).collect();
        let (single, long) = (moments(&each), clustered(&repeated, 10));
        let error = |c: &Clustered| c.variance() / c.n as f64;
        assert!((error(&single) - error(&long)).abs() < 1e-12, "ten times the same is no more");
        assert!(error(&moments(&repeated)) < 0.2 * error(&long), "ten sessions would be");
    }

    #[test]
    fn the_one_sided_mixture_has_a_mean_of_one_without_a_drift() {
        // E[e(B)] over B ~ N(0, t), by the trapezoid rule.
        for t in [10.0, 400.0] {
            let (step, sd) = (0.01, sqrt(t));
            let mean: f64 = (-900..=900)
                .map(|i| f64::from(i) * step)
                .map(|z| {
                    let e = exp(Difference { information: t, score: z * sd }.above(0.0, 0.1));
                    e * exp(-0.5 * z * z) / sqrt(2.0 * std::f64::consts::PI) * step
                })
                .sum();
            assert!((mean - 1.0).abs() < 2e-3, "{mean} at {t}");
        }
    }

    #[test]
    fn below_is_above_seen_in_a_mirror() {
        let d = Difference { information: 500.0, score: 60.0 };
        let mirrored = Difference { score: -60.0, ..d };
        assert_eq!(d.above(0.05, 0.1), mirrored.below(-0.05, 0.1));
        assert!(d.above(0.05, 0.1) > 0.0 && d.below(0.05, 0.1) < 0.0);
    }

    #[test]
    fn far_from_the_null_nothing_overflows() {
        let d = Difference { information: 1e9, score: 1e9 };
        assert!(d.above(0.0, 0.1).is_finite() && d.below(0.0, 0.1).is_finite());
    }

    #[test]
    fn a_difference_within_each_stratum_counts_and_one_between_them_does_not() {
        let wave = |level: f64, n: u32| -> Clustered {
            moments(&(0..n).map(|i| level + if i % 2 == 0 { 0.1 } else { -0.1 }).collect::<Vec<_>>())
        };
        let mut same = Difference::default();
        // The arms' shares differ between a good hour and a bad one: pooled, the first arm would look better.
        same.add(&wave(0.9, 400), &wave(0.9, 100));
        same.add(&wave(0.1, 100), &wave(0.1, 400));
        assert!(same.estimate().abs() < 1e-12);
        let mut better = Difference::default();
        better.add(&wave(0.6, 100), &wave(0.5, 900));
        assert!((better.estimate() - 0.1).abs() < 1e-12 && better.above(0.0, 0.1) > 10.0);
    }

    #[test]
    fn too_few_numbers_say_nothing() {
        let mut difference = Difference::default();
        difference.add(&moments(&[1.0; 29]), &moments(&[0.0; 500]));
        assert_eq!(difference, Difference::default());
        assert!(difference.above(0.0, 0.1).abs() < 1e-12);
    }

    #[test]
    fn failures_count_by_the_arms_share_of_them() {
        let test = |strata: &[[[u64; 2]; 2]]| fails_more(strata.iter().copied());
        assert!(test(&[[[15, 100], [18, 900]]]) > 10.0, "15 % against 2 %");
        assert!(test(&[[[50, 100], [450, 900]]]) < 0.0, "half of both: an upstream is down");
        assert!(test(&[[[0, 100], [200, 900]]]) < -5.0);
        assert!(test(&[[[5, 100], [0, 0]]]).abs() < 1e-12, "an arm without requests says nothing");
        let (one, two) = ([[4, 100], [9, 900]], [[5, 250], [6, 750]]);
        assert!(test(&[one, two]) > test(&[one]).max(test(&[two])), "strata add up");
    }
}
