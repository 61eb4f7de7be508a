//! Settings into the configuration.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::{Knob, Setting};
use super::Thresholds;
use crate::config::{Condition, DecisionRule, Routing};
use crate::signals::{Aggregation, EmbeddingRule, KeywordRule};

/// From here on the value of [`Knob::Aggregation`] is the mean.
const MEAN: f64 = 0.5;

/// `routing` with the tuned values. A setting that was tuned from another configured value than today's does not apply.
pub fn apply(routing: &Routing, settings: &BTreeMap<Knob, Setting>) -> Routing {
    let tuned = Tuned(settings);
    let mut routing = routing.clone();
    let names: Vec<String> = routing.models.iter().map(|m| m.name.clone()).collect();
    let model_of: Vec<usize> = routing.routes.iter().map(|route| route.model).collect();
    for decision in &mut routing.decisions {
        let models = decision.routes.iter().filter_map(|route| names.get(*model_of.get(*route)?));
        tuned.decision(decision, &models.map(String::as_str).collect::<Vec<_>>());
    }
    routing.embeddings.iter_mut().for_each(|rule| tuned.embedding(rule));
    routing.keywords.iter_mut().for_each(|rule| tuned.keywords(rule));
    reorder(&mut routing);
    routing
}

/// An aggregation as the knob's value.
pub(super) fn of_aggregation(aggregation: Aggregation) -> f64 {
    match aggregation {
        Aggregation::Max => 0.0,
        Aggregation::Mean => 1.0,
    }
}

struct Tuned<'s>(&'s BTreeMap<Knob, Setting>);

// === impl Tuned ===

impl Tuned<'_> {
    fn value(&self, knob: &Knob, configured: f64) -> Option<f64> {
        self.0.get(knob).filter(|s| s.configured == configured).map(|s| s.value)
    }

    fn number(&self, knob: &Knob, value: &mut f32) {
        if let Some(tuned) = self.value(knob, f64::from(*value)) {
            *value = tuned as f32;
        }
    }

    fn decision(&self, decision: &mut DecisionRule, models: &[&str]) {
        let mut thresholds = Thresholds::of(&decision.name);
        decision.when.iter_mut().for_each(|condition| self.condition(condition, &mut thresholds));
        let name = decision.name.clone();
        if let Some(priority) =
            self.value(&Knob::Priority { decision: name.clone() }, f64::from(decision.priority))
        {
            decision.priority = priority as u32;
        }
        for model in models {
            let knob = Knob::Score { decision: name.clone(), model: (*model).to_owned() };
            if let Some(score) = self.value(&knob, f64::from(decision.score(model))) {
                decision.scores.insert((*model).to_owned(), score as f32);
            }
        }
    }

    fn condition(&self, condition: &mut Condition, thresholds: &mut Thresholds) {
        let next = thresholds.next(condition);
        match condition {
            Condition::All(list) | Condition::Any(list) => {
                list.iter_mut().for_each(|inner| self.condition(inner, thresholds));
            }
            Condition::Not(inner) => self.condition(inner, thresholds),
            Condition::Above(_, threshold) | Condition::Domain(_, threshold) => {
                next.into_iter().for_each(|(knob, _)| self.number(&knob, threshold));
            }
            _ => {}
        }
    }

    fn embedding(&self, rule: &mut EmbeddingRule) {
        self.number(&Knob::Embedding { rule: rule.name.clone() }, &mut rule.threshold);
        let (knob, configured) =
            (Knob::Aggregation { rule: rule.name.clone() }, of_aggregation(rule.aggregation_method));
        if let Some(value) = self.value(&knob, configured) {
            rule.aggregation_method = if value < MEAN { Aggregation::Max } else { Aggregation::Mean };
        }
    }

    fn keywords(&self, rule: &mut KeywordRule) {
        for keyword in rule.any.iter().chain(&rule.all) {
            let knob = Knob::Keyword { rule: rule.name.clone(), keyword: keyword.clone() };
            // Once is enough for one that is listed twice.
            let configured = rule.weights.get(keyword).copied().unwrap_or(rule.weight);
            if let Some(weight) = self.value(&knob, f64::from(configured)) {
                rule.weights.insert(keyword.clone(), weight as f32);
            }
        }
    }
}

/// Highest priority first; of equals the document's order. Routes find their decisions again.
fn reorder(routing: &mut Routing) {
    let mut order: Vec<usize> = (0..routing.decisions.len()).collect();
    order.sort_by_key(|i| Reverse(routing.decisions.get(*i).map(|d| d.priority)));
    let decisions = order.iter().filter_map(|i| routing.decisions.get(*i).cloned()).collect();
    for route in &mut routing.routes {
        route.decision = order.iter().position(|i| *i == route.decision).unwrap_or(route.decision);
    }
    routing.decisions = decisions;
}
