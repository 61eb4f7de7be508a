//! Budget pacing: the price λ of a dollar, so that requests cost on average what they may.
//!
//! λ is the dual variable of the ceiling: with the right one, choosing by `q̂ − λĉ` for each request spends the budget
//! where it buys most, in expectation over what exploration by [`matching`] takes. It is not stepped towards but solved
//! for, over the requests seen lately with what is known by now (re-solving, as in Agrawal & Devanur 2014, "Bandits with
//! concave rewards and convex knapsacks"), so a new price or a new route counts at once. A ledger of what was really spent
//! corrects what the predictions miss.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{PolicyKind, PolicyParams, Routing};
use crate::context::Context;
use crate::cost::predicted_cost;
use crate::policy::Features;
use crate::policy::matching::{self, MOST};
use crate::request::RequestFacts;
use crate::snapshot::RouteParams;

/// Requests that λ is solved over.
const WINDOW: usize = 512;
/// Requests within which a debt or a credit is made up for. The shorter, the closer a few hundred requests keep to the
/// budget although single answers cost many times the mean; below two hundred λ swings so far that reward is lost.
const HORIZON: f64 = 300.0;
/// Requests' budgets that may be saved up: more is not carried on, so a quiet time is not followed by a spree. Where one
/// answer costs ten budgets, that much is saved up and owed by turns, and this leaves two dollars in a hundred unspent. With
/// 60 that is half a dollar, but after a cheap time 600 requests cost 1.06 budgets.
const MAX_CREDIT: f64 = 20.0;
/// Requests' budgets that may be owed: after that the rest is written off, or a mistake would be paid for forever.
const MAX_DEBT: f64 = 1000.0;
/// Least of the budget that is aimed at while a debt is settled.
const LEAST: f64 = 0.1;

/// What the budget asks of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// λ, reward that a dollar must buy.
    pub cost_weight: f64,
    /// Dollars per request that even λ = 0 leaves unspent; exploration may have them.
    pub slack: f64,
}

/// What was spent, and on which requests.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pacer {
    /// Dollars per request.
    budget: Option<f64>,
    /// Dollars not spent so far; negative when too much was.
    ledger: f64,
    recent: VecDeque<Request>,
}

#[derive(Debug, Clone, PartialEq)]
struct Request {
    route: Arc<str>,
    context: Arc<Context>,
    z: Arc<[f32]>,
    facts: RequestFacts,
}

/// One candidate of one request, as predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Offer {
    /// q̂, with the bonus if there is one.
    reward: f64,
    /// ĉ, dollars.
    cost: f64,
    /// Standard deviation that the policy thinks its reward has.
    doubt: f64,
}

// === impl Pacer ===

impl Pacer {
    pub(super) fn new(budget: Option<f64>) -> Self {
        Self { budget, ledger: 0.0, recent: VecDeque::new() }
    }

    pub(super) fn spent(
        &mut self,
        route: &str,
        context: &Arc<Context>,
        features: &Features,
        facts: &RequestFacts,
        dollars: f64,
    ) {
        let Some(budget) = self.budget else { return };
        if dollars.is_finite() {
            let balance = self.ledger + budget - dollars;
            self.ledger = balance.clamp(-MAX_DEBT * budget, MAX_CREDIT * budget);
        }
        if self.recent.len() >= WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(Request {
            route: route.into(),
            context: Arc::clone(context),
            z: features.apply(context.values()).into(),
            facts: facts.clone(),
        });
    }

    /// Dollars not spent so far.
    pub(super) fn ledger(&self) -> f64 {
        self.ledger
    }

    /// The requests that λ is solved over, oldest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = (&str, &Context, &RequestFacts)> {
        self.recent.iter().map(|r| (&*r.route, r.context.as_ref(), &r.facts))
    }

    /// Goes on from what [`Pacer::ledger`] and [`Pacer::recent`] gave. Without a budget nothing is paced.
    pub(super) fn restore(
        &mut self,
        ledger: f64,
        recent: Vec<(String, Context, RequestFacts)>,
        features: &Features,
    ) {
        if self.budget.is_none() {
            return;
        }
        self.ledger = ledger;
        self.recent = recent
            .into_iter()
            .map(|(route, context, facts)| Request {
                route: route.into(),
                z: features.apply(context.values()).into(),
                context: Arc::new(context),
                facts,
            })
            .collect();
    }

    pub(super) fn refit(&mut self, features: &Features) {
        for request in &mut self.recent {
            request.z = features.apply(request.context.values()).into();
        }
    }

    /// λ by `policy` if there is no budget, else the one that spends it. `observations` are what each route's `params` were
    /// learned from.
    pub(super) fn pace(
        &self,
        routing: &Routing,
        policy: &PolicyParams,
        params: &[RouteParams],
        observations: &[u64],
    ) -> Pace {
        let Some(budget) = self.budget else {
            return Pace { cost_weight: f64::from(policy.cost_weight), slack: 0.0 };
        };
        let offers: Vec<Vec<Offer>> =
            self.recent.iter().map(|r| r.offers(routing, params, observations)).collect();
        // Exploration spends up to its share of the budget, whatever λ is; half of it as a rule.
        let target =
            (budget + self.ledger / HORIZON).max(LEAST * budget) - 0.5 * budget * f64::from(policy.epsilon);
        let free = mean_cost(&offers, 0.0);
        if free <= target {
            return Pace { cost_weight: 0.0, slack: target - free };
        }
        Pace { cost_weight: solve(&offers, target), slack: 0.0 }
    }
}

impl Request {
    /// What each candidate of this request's decision would give by now.
    fn offers(&self, routing: &Routing, params: &[RouteParams], observations: &[u64]) -> Vec<Offer> {
        let own = routing.routes.iter().find(|r| *r.name == *self.route);
        let Some(decision) = own.and_then(|r| routing.decisions.get(r.decision)) else { return vec![] };
        let policy = routing.policy_of(decision);
        let alpha = policy.alpha_by(PolicyKind::Matching);
        let offer = |route: &usize| {
            let price = routing.models.get(routing.routes.get(*route)?.model)?.price;
            let known = params.get(*route)?;
            let score = known.params().score(&self.z);
            Some(Offer {
                reward: f64::from(score.reward + policy.alpha_by(PolicyKind::Linucb) * score.width),
                cost: predicted_cost(price, score.length, &self.facts),
                doubt: matching::doubt(alpha, score.width, *observations.get(*route)?),
            })
        };
        match policy.kind {
            // λ changes nothing there.
            PolicyKind::Static => routing.best_score(&decision.routes).iter().filter_map(offer).collect(),
            _ => decision.routes.iter().filter_map(offer).collect(),
        }
    }
}

/// Mean dollars of what is chosen of the offers at λ = `weight`.
fn mean_cost(requests: &[Vec<Offer>], weight: f64) -> f64 {
    requests.iter().map(|offers| expected_cost(offers, weight)).sum::<f64>() / requests.len().max(1) as f64
}

/// Dollars of the best `q̂ − λĉ`, of equals the cheaper, and of the others as often as they may be better.
fn expected_cost(offers: &[Offer], weight: f64) -> f64 {
    let value = |offer: &Offer| offer.reward - weight * offer.cost;
    let by_value = |a: &&Offer, b: &&Offer| value(a).total_cmp(&value(b)).then(b.cost.total_cmp(&a.cost));
    let Some(best) = offers.iter().max_by(by_value) else { return 0.0 };
    let (mut others, mut more) = (0.0, 0.0);
    for offer in offers.iter().filter(|offer| !std::ptr::eq(*offer, best)) {
        let chance = matching::chance(value(best) - value(offer), [offer.doubt, best.doubt]);
        others += chance;
        more += chance * (offer.cost - best.cost);
    }
    best.cost + more * if others > MOST { MOST / others } else { 1.0 }
}

/// The least λ that costs at most `target`; where none does, one so high that the cheapest are taken. By doubling and
/// then halving: the cost falls as λ rises.
fn solve(requests: &[Vec<Offer>], target: f64) -> f64 {
    let mut high = 1.0;
    while mean_cost(requests, high) > target && high < 1e9 {
        high *= 4.0;
    }
    let mut low = 0.0;
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        match mean_cost(requests, middle) > target {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of the requests gain .4 from the dear model, the others .1; cheap costs 1, dear 10.
    fn requests() -> Vec<Vec<Offer>> {
        let offer = |reward, cost| Offer { reward, cost, doubt: 0.0 };
        (0..100).map(|i| vec![offer(0.5, 1.0), offer(if i % 2 == 0 { 0.9 } else { 0.6 }, 10.0)]).collect()
    }

    #[test]
    fn the_budget_goes_where_it_buys_most() {
        let weight = solve(&requests(), 5.5);
        assert!((0.1 / 9.0..0.4 / 9.0).contains(&weight), "{weight}");
        assert!((mean_cost(&requests(), weight) - 5.5).abs() < 1e-9);
    }

    #[test]
    fn a_budget_below_the_cheapest_takes_the_cheapest() {
        assert_eq!(mean_cost(&requests(), solve(&requests(), 0.5)), 1.0);
    }

    #[test]
    fn what_is_explored_is_paid_for() {
        // At λ = .2 cheap is worth .3 and dear, as uncertain as can be, −1.1 or −1.4: about one in four.
        let mut doubtful = requests();
        doubtful.iter_mut().for_each(|offers| offers[1].doubt = 2.0);
        assert_eq!(mean_cost(&requests(), 0.2), 1.0);
        let share = 0.5 * (matching::chance(1.4, [2.0, 0.0]) + matching::chance(1.7, [2.0, 0.0]));
        assert!((mean_cost(&doubtful, 0.2) - (1.0 + 9.0 * share)).abs() < 1e-9);
        let weight = solve(&doubtful, 2.0);
        assert!((mean_cost(&doubtful, weight) - 2.0).abs() < 1e-6, "{weight}");
    }

    #[test]
    fn many_that_may_be_best_take_half_of_the_requests_together() {
        let offer = |cost| Offer { reward: 0.5, cost, doubt: 1.0 };
        let alike = vec![vec![offer(1.0), offer(4.0), offer(4.0), offer(4.0)]];
        assert!((mean_cost(&alike, 0.0) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn no_requests_cost_nothing() {
        assert_eq!(mean_cost(&[], 1.0), 0.0);
    }
}
