//! A record, seen by the configuration as it is now.

use super::super::Rewarded;
use super::Seen;
use crate::config::{Condition, DecisionRule, OptimizerConfig, Routing};
use crate::decision::{holds, holds_by};

/// A record and the decisions that hold for it by now.
pub(super) struct Record<'a> {
    now: &'a Routing,
    pub(super) seen: &'a Seen,
    /// Place of the decision that was taken; past the last one where none was.
    pub(super) taken: usize,
    pub(super) got: Rewarded,
    /// Which decisions hold.
    holding: Vec<bool>,
}

// === impl Record ===

impl<'a> Record<'a> {
    /// `age` is the number of records that came after it.
    pub(super) fn of(now: &'a Routing, seen: &'a Seen, age: usize, config: &OptimizerConfig) -> Self {
        let taken = now.decisions.iter().position(|d| Some(&d.name) == seen.decision.as_ref());
        let weight = libm::exp2(-(age as f64) / config.half_life);
        let mut record = Self {
            now,
            seen,
            taken: taken.unwrap_or(now.decisions.len()),
            got: Rewarded { reward: seen.reward, weight },
            holding: vec![],
        };
        let holds = |d: &DecisionRule| all(&d.when, &|single| record.is_true(single));
        record.holding = now.decisions.iter().map(holds).collect();
        record
    }

    /// Whether decision `place` holds.
    pub(super) fn holds(&self, place: usize) -> bool {
        self.holding.get(place) == Some(&true)
    }

    /// If the decision hinges on the conditions that `which` picks: whether the record had the fate of their being
    /// true. `None` if it does not, or if it had neither fate: then it was decided by another configuration.
    pub(super) fn hinges(&self, which: impl Fn(&Condition) -> bool) -> Option<bool> {
        let [with, without] = [true, false].map(|on| {
            let truth = |single: &Condition| if which(single) { on } else { self.is_true(single) };
            let decisions = &self.now.decisions;
            decisions.iter().position(|d| all(&d.when, &truth)).unwrap_or(decisions.len())
        });
        let fated = with != without && (self.taken == with || self.taken == without);
        fated.then_some(self.taken == with)
    }

    /// An embedding rule's threshold may have moved since: it is asked again.
    fn is_true(&self, single: &Condition) -> bool {
        let signals = &self.seen.signals;
        let Condition::Embedding(name) = single else { return holds(single, signals) };
        let rule = self.now.embeddings.iter().find(|rule| rule.name == *name);
        rule.zip(signals.measured(name))
            .is_some_and(|(rule, hit)| rule.aggregation_method.of(hit) >= rule.threshold)
    }
}

fn all(when: &[Condition], truth: &impl Fn(&Condition) -> bool) -> bool {
    when.iter().all(|condition| holds_by(condition, truth))
}
