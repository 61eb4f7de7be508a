//! One record as the estimators see it: what could have answered, how likely it was, how likely the target makes it.

use dragoman_core::config::Routing;
use dragoman_core::cost::PRIOR_COMPLETION_TOKENS;
use dragoman_core::evaluate::Logged;
use dragoman_core::replay::ReplayRecord;
use serde::Serialize;

use super::target::{Policy, Target, choices};

/// Probabilities are f32 in the record: sums of them are only so exact.
pub(super) const ROUNDING: f64 = 1e-4;

/// Records that say nothing of the target, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct LeftOut {
    /// No policy decided them: they went to the default route.
    pub(super) not_decided: usize,
    /// Their conversation was held on its model: the policy had no choice.
    pub(super) held: usize,
    /// The client left before the answer, which says nothing of the model.
    pub(super) client_left: usize,
    /// Their context is missing or of another size than the target takes.
    pub(super) other_context: usize,
    /// Their probabilities do not add up, or the model that answered is not among the candidates.
    pub(super) unusable: usize,
}

/// What could have answered one request; all lists run over the models `[K]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Actions {
    models: Vec<String>,
    propensity: Vec<f64>,
    target: Vec<f64>,
    predicted: Vec<f64>,
    /// ĉ as it was logged.
    dollars: Vec<f64>,
    /// ĉ as the target sees it.
    target_dollars: Vec<f64>,
    chosen: usize,
}

// === impl Actions ===

impl Actions {
    /// The actions of `record`; `None`, and counted by its reason, if it says nothing of the target.
    pub(super) fn of(
        record: &ReplayRecord,
        target: &Target,
        routing: &Routing,
        left_out: &mut LeftOut,
    ) -> Option<Self> {
        if record.candidates.is_empty() {
            left_out.not_decided += 1;
            return None;
        }
        if record.sticky {
            left_out.held += 1;
            return None;
        }
        if record.response.status == 0 {
            left_out.client_left += 1;
            return None;
        }
        let Some(mut actions) = Self::logged_of(record, routing) else {
            left_out.unusable += 1;
            return None;
        };
        if !actions.aim(record, &target.policy, routing) {
            left_out.other_context += 1;
            return None;
        }
        Some(actions)
    }

    /// For the estimators.
    pub(super) fn logged(&self, reward: f64) -> Logged<'_> {
        Logged {
            chosen: self.chosen,
            propensity: &self.propensity,
            reward,
            target: &self.target,
            predicted: &self.predicted,
        }
    }

    /// w of the action that was taken.
    pub(super) fn weight(&self) -> f64 {
        let of = |list: &[f64]| list.get(self.chosen).copied().unwrap_or(0.0);
        of(&self.target) / of(&self.propensity)
    }

    /// Dollars that the logging policy and the target were to spend by their own predictions.
    pub(super) fn predicted_dollars(&self) -> (f64, f64) {
        let mean = |p: &[f64], dollars: &[f64]| p.iter().zip(dollars).map(|(p, c)| p * c).sum();
        (mean(&self.propensity, &self.dollars), mean(&self.target, &self.target_dollars))
    }

    /// What the logging policy could have done. What its candidates leave of the probability is the default route's.
    fn logged_of(record: &ReplayRecord, routing: &Routing) -> Option<Self> {
        let mut actions = Self::default();
        for c in &record.candidates {
            let model = c.route.rsplit_once('/').map_or(c.route.as_str(), |(_, model)| model);
            let at = actions.find_or_add(model, f64::from(c.reward), c.cost);
            *actions.propensity.get_mut(at)? += f64::from(c.propensity);
        }
        let rest = 1.0 - actions.propensity.iter().sum::<f64>();
        if rest > ROUNDING {
            let model = match record.route {
                None => record.model.as_str(),
                Some(_) => default_model(routing),
            };
            let at = actions.find_or_add(model, 0.0, usual_dollars(routing, model, record));
            *actions.propensity.get_mut(at)? += rest;
        }
        actions.chosen = actions.models.iter().position(|m| *m == record.model)?;
        (rest > -ROUNDING).then_some(actions)
    }

    /// What the target would have done; false if it cannot be said.
    fn aim(&mut self, record: &ReplayRecord, policy: &Policy, routing: &Routing) -> bool {
        match policy {
            Policy::Logged => self.target.clone_from(&self.propensity),
            Policy::Uniform => {
                let share = 1.0 / record.candidates.len() as f64;
                self.target.iter_mut().take(record.candidates.len()).for_each(|t| *t = share);
            }
            Policy::Fixed(model) => {
                let at = self.find_or_add(model, 0.0, usual_dollars(routing, model, record));
                self.target.iter_mut().skip(at).take(1).for_each(|t| *t = 1.0);
            }
            Policy::Snapshot(snapshot) => {
                let Some(choices) = choices(snapshot, record) else { return false };
                for choice in choices {
                    let usual = usual_dollars(routing, choice.model, record);
                    let (reward, cost) =
                        choice.candidate.map_or((0.0, usual), |c| (f64::from(c.reward), c.cost));
                    let at = self.find_or_add(choice.model, reward, cost);
                    self.target.iter_mut().skip(at).take(1).for_each(|t| *t += choice.probability);
                    self.target_dollars.iter_mut().skip(at).take(1).for_each(|c| *c = cost);
                }
            }
        }
        true
    }

    fn find_or_add(&mut self, model: &str, predicted: f64, dollars: f64) -> usize {
        if let Some(at) = self.models.iter().position(|m| m == model) {
            return at;
        }
        self.models.push(model.to_owned());
        self.propensity.push(0.0);
        self.target.push(0.0);
        self.predicted.push(predicted);
        self.dollars.push(dollars);
        self.target_dollars.push(dollars);
        self.models.len() - 1
    }
}

fn default_model(routing: &Routing) -> &str {
    routing.models.get(routing.default_model).map_or("", |m| m.name.as_str())
}

/// Dollars of a model that nothing was predicted of: an answer of the length that is expected of an unknown route.
fn usual_dollars(routing: &Routing, model: &str, record: &ReplayRecord) -> f64 {
    let tokens = f64::from(record.request.token_estimate);
    let found = routing.models.iter().find(|m| m.name == model);
    found.map_or(0.0, |m| m.price.dollars(tokens, PRIOR_COMPLETION_TOKENS))
}
