//! The budgets: that of all, and those that decisions have for themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Pace;
use super::checkpoint::{SavedBudgets, SavedPacer};
use super::pacing::Pacer;
use crate::config::Routing;
use crate::context::Context;
use crate::policy::Features;
use crate::request::RequestFacts;
use crate::snapshot::RouteParams;

/// One pacer for each budget. A request counts for its own decision's budget if that has one, else for that of all.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Budgets {
    all: Pacer,
    /// By the decisions' names.
    own: BTreeMap<String, Pacer>,
}

// === impl Budgets ===

impl Budgets {
    pub(super) fn new(all: Option<f64>) -> Self {
        Self { all: Pacer::new(all), own: BTreeMap::new() }
    }

    pub(super) fn with_own(mut self, own: BTreeMap<String, f64>) -> Self {
        self.own = own.into_iter().map(|(name, budget)| (name, Pacer::new(Some(budget)))).collect();
        self
    }

    /// `route` is any of the decision's.
    pub(super) fn spent(
        &mut self,
        route: &str,
        context: &Arc<Context>,
        features: &Features,
        facts: &RequestFacts,
        dollars: f64,
    ) {
        // A route is named `decision/model`. Both may have a slash: the longest name is the decision's.
        let is_its = |name: &str| route.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        let own = self.own.iter_mut().filter(|(name, _)| is_its(name)).max_by_key(|(name, _)| name.len());
        own.map_or(&mut self.all, |(_, pacer)| pacer).spent(route, context, features, facts, dollars);
    }

    pub(super) fn refit(&mut self, features: &Features) {
        [&mut self.all].into_iter().chain(self.own.values_mut()).for_each(|pacer| pacer.refit(features));
    }

    pub(super) fn save(&self) -> SavedBudgets {
        let own = self.own.iter().map(|(name, pacer)| (name.clone(), SavedPacer::of(pacer)));
        SavedBudgets { all: SavedPacer::of(&self.all), own: own.collect() }
    }

    /// Goes on from what was saved, where there still is such a budget; `None` if it is damaged.
    pub(super) fn restore(&mut self, saved: SavedBudgets, features: &Features) -> Option<()> {
        saved.all.restore(&mut self.all, features)?;
        for (name, saved) in saved.own {
            if let Some(pacer) = self.own.get_mut(&name) {
                saved.restore(pacer, features)?;
            }
        }
        Some(())
    }

    /// What all requests are paced by, and those of decisions with a budget of their own.
    pub(super) fn paces(
        &self,
        routing: &Routing,
        params: &[RouteParams],
        observations: &[u64],
    ) -> (Pace, BTreeMap<String, Pace>) {
        let own = routing.decisions.iter().filter_map(|decision| {
            let pacer = self.own.get(&decision.name)?;
            Some((
                decision.name.clone(),
                pacer.pace(routing, &routing.policy_of(decision), params, observations),
            ))
        });
        (self.all.pace(routing, &routing.policy, params, observations), own.collect())
    }
}
