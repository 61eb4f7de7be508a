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

/// Probabilities of all candidates but `best` (its own is 0), in their order. `observations` are those each candidate's
/// parameters were learned from.
pub(super) fn probabilities(
    policy: &PolicyParams,
    pace: Pace,
    candidates: &[Candidate],
    best: Option<usize>,
    observations: impl Fn(&Candidate) -> u64,
) -> Vec<f64> {
    let leader = best.and_then(|i| candidates.get(i));
    let alpha = policy.alpha_by(PolicyKind::Matching);
    let doubt = |c: &Candidate| matching::doubt(alpha, c.width, observations(c));
    // The default route outside the candidates is worth 0.
    let worth = leader.map_or(0.0, |leader| leader.value(pace.cost_weight));
    let doubt_of_worth = leader.map_or(0.0, doubt);
    let n = candidates.len() as f64;
    let of = |(i, candidate): (usize, &Candidate)| {
        if Some(i) == best {
            return 0.0;
        }
        let gap = (worth - candidate.value(pace.cost_weight)).max(0.0);
        let matched = matching::chance(gap, [doubt(candidate), doubt_of_worth]);
        matched.max(added(policy, pace, candidate, leader, n, observations(candidate)))
    };
    let mut probabilities: Vec<f64> = candidates.iter().enumerate().map(of).collect();
    let total: f64 = probabilities.iter().sum();
    let most = MOST.max(f64::from(policy.epsilon));
    if total > most {
        probabilities.iter_mut().for_each(|p| *p *= most / total);
    }
    probabilities
}

/// The strongest of the other reasons to take one of `n` candidates that has been `seen` so often.
fn added(
    policy: &PolicyParams,
    pace: Pace,
    candidate: &Candidate,
    leader: Option<&Candidate>,
    n: f64,
    seen: u64,
) -> f64 {
    if policy.epsilon == 0.0 {
        return 0.0;
    }
    let affordable = policy.budget.map_or(1.0, |budget| (budget / candidate.cost).min(1.0));
    let hope = hopeful(candidate, leader, pace.cost_weight);
    // First bad answers may be bad luck: where no other route's dollars are spent on it, a new route is not given up.
    let is_new = seen < NEW;
    // Asked first: nothing left over for a free route would be 0/0.
    let left_over = match pace.slack > 0.0 && (is_new || hopeful(candidate, leader, 0.0)) {
        true => (pace.slack / candidate.cost / n).min(SLACK_SHARE) * (KNOWN / (seen as f64 + 1.0)).min(1.0),
        false => 0.0,
    };
    // A route never asked may cost anything: its predicted dollars are a guess, and no reason to give it up.
    let new = match is_new && (hope || policy.budget.is_none() || seen == 0) {
        true => NEW_SHARE * affordable,
        false => 0.0,
    };
    let floor = f64::from(policy.epsilon) / n * affordable * if hope { 1.0 } else { HOPELESS };
    floor.max(new).max(left_over)
}

/// Whether the candidate may be better than the best, with a dollar at `weight`.
fn hopeful(candidate: &Candidate, leader: Option<&Candidate>, weight: f64) -> bool {
    let hope = candidate.value(weight) + DEVIATIONS * f64::from(candidate.width);
    leader.is_none_or(|leader| hope > leader.value(weight))
}
