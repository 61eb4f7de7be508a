//! Exploration: how probable a candidate other than the best is made.
//!
//! A candidate is taken as often as it may be the best ([`matching`]), or `linucb`'s bonus has already found out what is
//! uncertain and looks good. What is added keeps every propensity above zero (off-policy evaluation stands on it), gets a
//! new route its first answers, and puts dollars to use that the budget leaves over. A table of reasons, of which the
//! strongest counts. Under a budget what is added is held to dollars, since one answer of a dear model may cost what a
//! thousand requests may; what matching costs is λ's to foresee ([`crate::learner`]).

use super::Candidate;
use crate::config::{PolicyKind, PolicyParams};
use crate::learner::Pace;
use crate::policy::matching::{self, MOST, NEW};

/// Each new route gets this share of the requests.
const NEW_SHARE: f64 = 0.1;
/// Part of ε that a route is left with that is not as good as the best even [`DEVIATIONS`] above what is predicted.
const HOPELESS: f64 = 0.1;
/// Standard deviations within which a prediction may be wrong.
const DEVIATIONS: f64 = 2.0;
/// Most that a route may get of what the budget leaves over, as a share of the requests…
const SLACK_SHARE: f64 = 0.1;
/// …until it has so many observations; then less and less.
const KNOWN: f64 = 300.0;

/// What the candidates of one decision are compared by.
struct Comparison<'c> {
    policy: &'c PolicyParams,
    pace: Pace,
    /// α of matching; 0 by `linucb`, which so takes only what is added.
    alpha: f32,
    /// The best; `None` is the default route outside the candidates, which is worth 0.
    leader: Option<&'c Candidate>,
    /// What the leader is worth, without a bonus, and how doubtful that is.
    worth: f64,
    doubt: f64,
    /// How many candidates there are.
    n: f64,
}

/// Probabilities of all candidates but `best` (its own is 0), in their order. `observations` are those each candidate's
/// parameters were learned from.
pub(super) fn probabilities(
    policy: &PolicyParams,
    pace: Pace,
    candidates: &[Candidate],
    best: Option<usize>,
    observations: impl Fn(&Candidate) -> u64,
) -> Vec<f64> {
    let alpha = policy.alpha_by(PolicyKind::Matching);
    let leader = best.and_then(|i| candidates.get(i));
    let comparison = Comparison {
        policy,
        pace,
        alpha,
        leader,
        worth: leader.map_or(0.0, |leader| leader.value(pace.cost_weight)),
        doubt: leader.map_or(0.0, |leader| matching::doubt(alpha, leader.width, observations(leader))),
        n: candidates.len() as f64,
    };
    let of = |(i, candidate): (usize, &Candidate)| match Some(i) == best {
        true => 0.0,
        false => comparison.probability(candidate, observations(candidate)),
    };
    let mut probabilities: Vec<f64> = candidates.iter().enumerate().map(of).collect();
    let total: f64 = probabilities.iter().sum();
    let most = MOST.max(f64::from(policy.epsilon));
    if total > most {
        probabilities.iter_mut().for_each(|p| *p *= most / total);
    }
    probabilities
}

// === impl Comparison ===

impl Comparison<'_> {
    /// With which a candidate is taken that has been `seen` so often.
    fn probability(&self, candidate: &Candidate, seen: u64) -> f64 {
        let gap = self.worth - candidate.value(self.pace.cost_weight);
        let doubt = matching::doubt(self.alpha, candidate.width, seen);
        let matched = matching::chance(gap.max(0.0), [doubt, self.doubt]);
        let hope = self.leader.is_none() || hopeful(candidate, gap);
        matched.max(self.added(candidate, hope, seen))
    }

    /// The strongest of the other reasons to take a candidate; `hope` is that it may be better than the best.
    fn added(&self, candidate: &Candidate, hope: bool, seen: u64) -> f64 {
        let Self { policy, n, .. } = self;
        if policy.epsilon == 0.0 {
            return 0.0;
        }
        let affordable = policy.budget.map_or(1.0, |budget| (budget / candidate.cost).min(1.0));
        let floor = f64::from(policy.epsilon) / n * affordable * if hope { 1.0 } else { HOPELESS };
        // First bad answers may be bad luck: where no other route's dollars are spent on it, a new route is not given up. One
        // never asked may cost anything: its predicted dollars are a guess, and no reason to give it up.
        let new = match seen < NEW && (hope || policy.budget.is_none() || seen == 0) {
            true => NEW_SHARE * affordable,
            false => 0.0,
        };
        floor.max(new).max(self.left_over(candidate, seen))
    }

    /// The candidate's part of what the budget leaves over, as a probability; a new route is not given up there either.
    fn left_over(&self, candidate: &Candidate, seen: u64) -> f64 {
        let good =
            |leader: &Candidate| hopeful(candidate, f64::from(leader.reward) - f64::from(candidate.reward));
        // Slack is asked first: none for a free route would be 0/0.
        if self.pace.slack <= 0.0 || !(seen < NEW || self.leader.is_none_or(good)) {
            return 0.0;
        }
        let share = (self.pace.slack / candidate.cost / self.n).min(SLACK_SHARE);
        share * (KNOWN / (seen as f64 + 1.0)).min(1.0)
    }
}

/// Whether a candidate predicted to be worse than the best by `gap` may be better.
fn hopeful(candidate: &Candidate, gap: f64) -> bool {
    gap < DEVIATIONS * f64::from(candidate.width)
}
