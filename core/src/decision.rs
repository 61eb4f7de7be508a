//! Decisions: which routes are candidates, what each is worth, which one is taken.
#![deny(clippy::indexing_slicing)]

mod explore;
mod hold;
mod holds;

use serde::{Deserialize, Serialize};

use crate::config::{DecisionRule, PolicyKind, PolicyParams, Routing};
use crate::context::Context;
use crate::cost::predicted_cost;
use crate::learner::Pace;
use crate::request::{Api, RequestFacts};
use crate::signals::Signals;
use crate::snapshot::{Snapshot, SnapshotMeta};
pub(crate) use holds::{holds, holds_by, score_of};

/// What one candidate route is worth to one request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Index into the snapshot's routes.
    pub route: usize,
    /// q̂, the predicted reward.
    pub reward: f32,
    /// Standard deviation of q̂, by what is known.
    pub width: f32,
    /// α · width, the exploration bonus of `linucb`; 0 by any other policy.
    pub bonus: f32,
    /// ĉ, predicted dollars.
    pub cost: f64,
    /// q̂ + bonus − λ·ĉ.
    pub utility: f32,
    /// Probability with which this route was to be taken.
    pub propensity: f32,
}

/// The outcome for one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Index of the decision rule that held.
    pub rule: usize,
    /// Every candidate, in the rule's order.
    pub candidates: Vec<Candidate>,
    /// Index into `candidates`; `None` sends the request to the default route.
    pub chosen: Option<usize>,
    /// Whether chance took another route than the best.
    pub explored: bool,
    /// Whether the conversation was held on the model that answered it before.
    pub sticky: bool,
    /// Model to go on to if the chosen one fails; index into the models.
    pub fallback: Option<usize>,
}

/// Why a request went to the default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDecision {
    /// No decision rule holds for its signals.
    NoRule,
    /// No candidate speaks the request's format.
    NoCandidate,
}

impl NoDecision {
    /// A short label for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::NoCandidate => "no_candidate",
        }
    }
}

/// Decides one request. `previous` is the model that answered this conversation last, if one is known (an index of the
/// models); `draw` is a uniform random number in 0..1: with the same draw the same decision.
///
/// `utility = q̂ − λ·ĉ`, by `linucb` with α·width more. If the best utility is not above 0, the default route is the one to
/// take; under a budget, where λ only ranks, there is no such bar. With a known probability another candidate is explored.
/// A conversation stays on its model unless moving is expected to gain more than `sticky.margin` ([`hold`]).
pub fn decide(
    snapshot: &Snapshot,
    context: &Context,
    signals: &Signals,
    api: Api,
    facts: &RequestFacts,
    previous: Option<usize>,
    draw: f64,
) -> Result<Decision, NoDecision> {
    let routing = &snapshot.meta.routing;
    let (rule, decision) = routing
        .decisions
        .iter()
        .enumerate()
        .find(|(_, d)| d.when.iter().all(|c| holds(c, signals)))
        .ok_or(NoDecision::NoRule)?;
    let speaks = |route: &usize| model_of(routing, *route).is_some_and(|m| m.apis.contains(&api));
    let routes: Vec<usize> = decision.routes.iter().copied().filter(speaks).collect();
    let terms = Terms::of(&snapshot.meta, decision);
    let mut candidates = score(snapshot, &terms, &routes, context, facts);
    let best = best_of(&terms, &candidates).ok_or(NoDecision::NoCandidate)?;
    let held = hold::held(&terms, decision.sticky, &candidates, best, previous);
    let (chosen, explored) = match held {
        Some(held) => {
            hold::certain(&mut candidates, held);
            (Some(held), false)
        }
        None => draw_route(&terms, &mut candidates, best, draw),
    };
    let fallback = fallback_of(routing, &candidates, chosen);
    Ok(Decision { rule, candidates, chosen, explored, sticky: held.is_some(), fallback })
}

/// By what one decision chooses.
struct Terms<'d> {
    policy: PolicyParams,
    pace: Pace,
    routing: &'d Routing,
    observations: &'d [u64],
}

// === impl Candidate ===

impl Candidate {
    /// q̂ − λ·ĉ for λ = `weight`: what is expected of it, without a bonus.
    fn value(&self, weight: f64) -> f64 {
        f64::from(self.reward) - weight * self.cost
    }
}

// === impl Terms ===

impl<'d> Terms<'d> {
    fn of(meta: &'d SnapshotMeta, decision: &DecisionRule) -> Self {
        let SnapshotMeta { routing, observations, .. } = meta;
        Self { policy: routing.policy_of(decision), pace: meta.pace_of(decision), routing, observations }
    }
}

fn model_of(routing: &Routing, route: usize) -> Option<&crate::config::Model> {
    routing.models.get(routing.routes.get(route)?.model)
}

fn score(
    snapshot: &Snapshot,
    terms: &Terms,
    routes: &[usize],
    context: &Context,
    facts: &RequestFacts,
) -> Vec<Candidate> {
    let z = snapshot.features.apply(context.values());
    let candidate = |route: usize| {
        let price = model_of(terms.routing, route)?.price;
        let score = snapshot.route(route)?.score(&z);
        let cost = predicted_cost(price, score.length, facts);
        let bonus = terms.policy.alpha_by(PolicyKind::Linucb) * score.width;
        let utility = score.reward + bonus - (terms.pace.cost_weight * cost) as f32;
        let (reward, width) = (score.reward, score.width);
        Some(Candidate { route, reward, width, bonus, cost, utility, propensity: 0.0 })
    };
    let mut candidates = Vec::with_capacity(routes.len());
    candidates.extend(routes.iter().copied().filter_map(candidate));
    candidates
}

/// The best candidate: `Some(None)` is the default route outside the candidates, `None` that there is none.
fn best_of(terms: &Terms, candidates: &[Candidate]) -> Option<Option<usize>> {
    let Terms { policy, routing, .. } = terms;
    if policy.kind == PolicyKind::Static {
        let routes: Vec<usize> = candidates.iter().map(|c| c.route).collect();
        let best = routing.best_score(&routes)?;
        return Some(routes.iter().position(|route| *route == best));
    }
    // The first of equals wins: the rule's order is the tie-break.
    let best = candidates.iter().enumerate().rev().max_by(|a, b| a.1.utility.total_cmp(&b.1.utility));
    let (index, best) = best?;
    if best.utility > 0.0 || policy.budget.is_some() || policy.kind == PolicyKind::Uniform {
        return Some(Some(index));
    }
    let is_default =
        |c: &Candidate| routing.routes.get(c.route).is_some_and(|r| r.model == routing.default_model);
    Some(candidates.iter().position(is_default))
}

/// Draws around `best`; writes every candidate's propensity.
fn draw_route(
    terms: &Terms,
    candidates: &mut [Candidate],
    best: Option<usize>,
    draw: f64,
) -> (Option<usize>, bool) {
    let Terms { policy, pace, observations, .. } = terms;
    let seen = |c: &Candidate| observations.get(c.route).copied().unwrap_or_default();
    let probabilities = match policy.kind {
        PolicyKind::Static => vec![0.0; candidates.len()],
        PolicyKind::Uniform => vec![1.0 / candidates.len().max(1) as f64; candidates.len()],
        PolicyKind::Matching | PolicyKind::Linucb => {
            explore::probabilities(policy, *pace, candidates, best, seen)
        }
    };
    let other = |i: usize| Some(i) != best;
    let explored: f64 = probabilities.iter().enumerate().filter(|(i, _)| other(*i)).map(|(_, p)| p).sum();
    let (mut sum, mut drawn) = (0.0, None);
    for (i, (candidate, p)) in candidates.iter_mut().zip(&probabilities).enumerate() {
        if !other(i) {
            candidate.propensity = (1.0 - explored) as f32;
            continue;
        }
        candidate.propensity = *p as f32;
        sum += p;
        if drawn.is_none() && draw < sum {
            drawn = Some(i);
        }
    }
    (drawn.or(best), drawn.is_some())
}

/// The next best route by utility per dollar (DESIGN.md §7), of another model than the chosen one.
fn fallback_of(routing: &Routing, candidates: &[Candidate], chosen: Option<usize>) -> Option<usize> {
    /// Below this a price is as good as none, dollars.
    const FREE: f64 = 1e-9;
    let model = |c: &Candidate| routing.routes.get(c.route).map(|r| r.model);
    let taken = chosen.and_then(|i| candidates.get(i)).and_then(model).unwrap_or(routing.default_model);
    let others = candidates.iter().filter(|c| model(c) != Some(taken));
    let value = |c: &Candidate| {
        // A utility that is not positive has no meaningful ratio: it ranks behind all that are.
        if c.utility > 0.0 { f64::from(c.utility) / c.cost.max(FREE) } else { f64::from(c.utility) }
    };
    others.max_by(|a, b| value(a).total_cmp(&value(b))).and_then(model)
}

#[cfg(test)]
mod tests;
