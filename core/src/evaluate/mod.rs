//! Off-policy evaluation: what another policy would have earned on the decisions that were logged.
//!
//! This room owns the estimators, their intervals and when not to trust them. It must not know where decisions were
//! logged or how the target policy decides: it is given probabilities, rewards and predictions.
//!
//! With w = π(a|x)/p(a|x) of the action that was taken, per record:
//!
//! * IPS `w·r` (Horvitz & Thompson 1952): unbiased, and as wide as the weights are large;
//! * SNIPS `Σwr / Σw` (Swaminathan & Joachims 2015, "The self-normalized estimator for counterfactual learning"):
//!   a little biased, much steadier;
//! * DR `w·(r − q̂(a)) + Σ π(b|x)·q̂(b)` (Dudík, Langford & Li 2011, "Doubly robust policy evaluation and learning"):
//!   unbiased as IPS is, and narrow where q̂ is good. The q̂ that was logged with the decision comes from an online
//!   learner and so from the past only: a predictable control variate, whatever it is worth.
//!
//! The difference to the logging policy is estimated from the same records, `(w − 1)·(r − q̂(a)) + Σ (π − p)·q̂`: where
//! both policies do the same, the record adds nothing to its interval.
#![deny(clippy::indexing_slicing)]

mod interval;

use serde::Serialize;

pub use interval::{Estimate, Range};

use interval::{of_mean, of_ratio};

/// Below this many effective samples an estimate is called untrustworthy.
const FEW: f64 = 50.0;

/// A target that puts more than this share of its mass where the log has none is told so.
const UNSUPPORTED: f64 = 1e-6;

/// One logged decision among K candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged<'a> {
    /// Index of the candidate that was taken.
    pub chosen: usize,
    /// p `[K]`: the probability with which each was to be taken.
    pub propensity: &'a [f64],
    /// Reward of the one that was taken.
    pub reward: f64,
    /// π `[K]`: the probability with which the target policy takes each.
    pub target: &'a [f64],
    /// q̂ `[K]`: each one's reward as predicted before this reward was known.
    pub predicted: &'a [f64],
}

/// Collects decisions until they are judged. Memory: five numbers each.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    range: Range,
    weights: Vec<f64>,
    rewards: Vec<f64>,
    ips: Vec<f64>,
    dr: Vec<f64>,
    difference: Vec<f64>,
    design: Design,
}

/// What is known of the decisions whatever chance and the rewards were: sums over all records and candidates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Design {
    /// The largest weight that a record could have had.
    largest: f64,
    /// Σ π·q̂, the target's predicted reward.
    value: f64,
    /// Σ (π − p)·q̂, the predicted difference.
    gap: f64,
    /// Σ |π − p| / 2, how often the two policies differ.
    distance: f64,
    /// Σ π over candidates without a propensity.
    unseen: f64,
    /// Σ π·q̂ over candidates without a propensity.
    unseen_value: f64,
    /// How far rewards may lie above their predictions.
    above: Spread,
    /// How far below.
    below: Spread,
}

/// Residuals that are possible, each counted as much as it adds to the variance of DR: Σ π·w·d² of a distance d.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Spread {
    variance: f64,
    /// Σ π·w·d²·d.
    sum: f64,
}

/// What the log says of the target policy. Values are mean rewards per decision; intervals are 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimates {
    /// Decisions.
    pub n: usize,
    /// The logging policy: the plain mean.
    pub logged: Estimate,
    /// The target by inverse propensity scoring.
    pub ips: Estimate,
    /// The target by self-normalised inverse propensity scoring.
    pub snips: Estimate,
    /// The target, doubly robust.
    pub dr: Estimate,
    /// Target minus logged, doubly robust, from pairs.
    pub difference: Estimate,
    /// Kish's effective sample size, (Σw)²/Σw².
    pub effective: f64,
    /// The largest weight of a record.
    pub largest_weight: f64,
    /// The largest weight that a record could have had.
    pub possible_weight: f64,
    /// Share of the target's mass on actions that the logging policy never takes.
    pub unsupported: f64,
}

/// What the difference's interval says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The target earns more than the logging policy.
    Better,
    /// It earns less.
    Worse,
    /// The interval holds zero.
    Undecided,
}

// === impl Evaluation ===

impl Evaluation {
    /// Nothing collected yet. `range` holds every reward that is possible.
    pub fn new(range: Range) -> Self {
        let (weights, rewards, ips, dr, difference) = Default::default();
        Self { range, weights, rewards, ips, dr, difference, design: Design::default() }
    }

    /// The estimates of `decisions`; `None` if there is none that could be used (see [`Evaluation::add`]).
    pub fn of<'a>(range: Range, decisions: impl IntoIterator<Item = Logged<'a>>) -> Option<Estimates> {
        let mut evaluation = Self::new(range);
        for logged in decisions {
            evaluation.add(&logged);
        }
        evaluation.finish()
    }

    /// Adds a decision. False, and nothing is added, if it is none: the lists differ in length, a number is not
    /// finite or not a probability, or the action that was taken had none.
    pub fn add(&mut self, logged: &Logged) -> bool {
        let Some((pi, p, predicted)) = logged.taken() else { return false };
        let (weight, reward) = (pi / p, self.range.clamp(logged.reward));
        let residual = reward - self.range.clamp(predicted);
        let mut design = Design::default();
        logged.candidates().for_each(|(pi, p, q)| design.add(pi, p, self.range.clamp(q), self.range));
        let Design { value, gap, .. } = design;
        self.design.merge(design);
        self.weights.push(weight);
        self.rewards.push(reward);
        self.ips.push(weight * reward);
        self.dr.push(weight * residual + value);
        self.difference.push((weight - 1.0) * residual + gap);
        true
    }

    /// Judges what was collected; `None` if that is nothing.
    ///
    /// The worst observation beside the log (see `interval.rs`) has the largest weight that was possible and the lowest
    /// or highest reward.
    pub fn finish(&self) -> Option<Estimates> {
        let (n, range) = (Some(self.rewards.len()).filter(|n| *n > 0)?, self.range);
        let Design { largest, value, gap, distance, unseen, unseen_value, .. } = self.design.mean(n);
        let residual = self.design.worst_residuals();
        let heavy = |weight: f64, base: f64| residual.map(|r| weight * r + base);
        // What the candidates that were never open may be worth beyond what the terms say of them.
        let more = range.map(|r| unseen * r - unseen_value);
        // Policies that agree on most requests cannot differ by more than the others can.
        let apart = distance * (range.high - range.low);
        let sum: f64 = self.weights.iter().sum();
        let squares: f64 = self.weights.iter().map(|w| w * w).sum();
        Some(Estimates {
            n,
            logged: of_mean(&self.rewards, range).within(range),
            ips: of_mean(&self.ips, range.map(|r| largest * r).with(0.0))
                .plus(range.map(|r| unseen * r))
                .within(range),
            snips: of_ratio(&self.weights, &self.rewards, largest, range)
                .diluted(unseen, range)
                .within(range),
            dr: of_mean(&self.dr, heavy(largest, value)).plus(more).within(range),
            difference: of_mean(&self.difference, heavy((largest - 1.0).max(0.0), gap))
                .plus(more)
                .within(Range { low: -apart, high: apart }),
            effective: if squares > 0.0 { sum * sum / squares } else { 0.0 },
            largest_weight: self.weights.iter().copied().fold(0.0, f64::max),
            possible_weight: largest,
            unsupported: unseen,
        })
    }
}

// === impl Logged ===

impl<'a> Logged<'a> {
    /// (π, p, q̂) of each candidate.
    fn candidates(&self) -> impl Iterator<Item = (f64, f64, f64)> + use<'a> {
        let pairs = self.target.iter().zip(self.propensity).zip(self.predicted);
        pairs.map(|((pi, p), q)| (*pi, *p, *q))
    }

    /// (π, p, q̂) of the one that was taken, if this is a decision.
    fn taken(&self) -> Option<(f64, f64, f64)> {
        let k = self.target.len();
        let probability = |v: f64| (0.0..=1.0 + 1e-6).contains(&v);
        let sound = self.reward.is_finite()
            && [self.propensity.len(), self.predicted.len()] == [k, k]
            && self.candidates().all(|(pi, p, q)| probability(pi) && probability(p) && q.is_finite());
        self.candidates().nth(self.chosen).filter(|(_, p, _)| sound && *p > 0.0)
    }
}

// === impl Design ===

impl Design {
    fn add(&mut self, pi: f64, p: f64, q: f64, range: Range) {
        self.value += pi * q;
        self.gap += (pi - p) * q;
        self.distance += (pi - p).abs() / 2.0;
        if p > 0.0 {
            let w = pi / p;
            self.largest = self.largest.max(w);
            self.above.add(pi * w, range.high - q);
            self.below.add(pi * w, q - range.low);
        } else {
            self.unseen += pi;
            self.unseen_value += pi * q;
        }
    }

    fn merge(&mut self, other: Self) {
        self.largest = self.largest.max(other.largest);
        self.value += other.value;
        self.gap += other.gap;
        self.distance += other.distance;
        self.unseen += other.unseen;
        self.unseen_value += other.unseen_value;
        self.above.merge(other.above);
        self.below.merge(other.below);
    }

    /// How far a reward may lie from its prediction. Not the plain mean: it would hide the rare choices of large
    /// weight, and the first records, whose predictions knew nothing yet. Not the largest: one record would speak
    /// for all.
    fn worst_residuals(&self) -> Range {
        Range { low: -self.below.typical(), high: self.above.typical() }
    }

    /// The sums as means over `n` records.
    fn mean(self, n: usize) -> Self {
        let mean = |sum: f64| sum / n as f64;
        Self {
            largest: self.largest,
            value: mean(self.value),
            gap: mean(self.gap),
            distance: mean(self.distance),
            unseen: mean(self.unseen),
            unseen_value: mean(self.unseen_value),
            above: self.above,
            below: self.below,
        }
    }
}

// === impl Spread ===

impl Spread {
    fn add(&mut self, weight: f64, distance: f64) {
        self.variance += weight * distance * distance;
        self.sum += weight * distance * distance * distance;
    }

    fn merge(&mut self, other: Self) {
        self.variance += other.variance;
        self.sum += other.sum;
    }

    fn typical(self) -> f64 {
        if self.variance > 0.0 { self.sum / self.variance } else { 0.0 }
    }
}

// === impl Estimates ===

impl Estimates {
    /// What the difference's interval says.
    pub fn verdict(&self) -> Verdict {
        match self.difference {
            Estimate { low, .. } if low > 0.0 => Verdict::Better,
            Estimate { high, .. } if high < 0.0 => Verdict::Worse,
            _ => Verdict::Undecided,
        }
    }

    /// Why the estimates may not be trusted, a sentence each; none if they may.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.unsupported > UNSUPPORTED {
            all.push(format!(
                "{:.1} % of the target's choices were never open to the logging policy: their reward is unknown, \
                 and the intervals are widened by all that it could be",
                100.0 * self.unsupported
            ));
        }
        if self.effective < FEW {
            all.push(format!(
                "the target is seen in only {:.0} effective samples (largest weight {:.0}): the log holds too \
                 little of what it would do; explore more (policy.epsilon) or wait for more records",
                self.effective, self.largest_weight
            ));
        }
        all
    }
}

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;
