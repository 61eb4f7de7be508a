//! The seam: the production learner, snapshot and decision as one [`Chooser`]. All that knows them stands here.

use dragoman_core::config::{Config, Price, Routing};
use dragoman_core::decision::{Candidate, Decision, decide};
use dragoman_core::learner::{Base, Learner, Observation};
use dragoman_core::request::RequestFacts;
use dragoman_core::snapshot::Snapshot;
use serde_json::{Map, Value, json};

use super::encode::{API, Prompt};
use super::replay::{Choice, Chooser, Observed, Predicted};

/// Rows know dollars, the learner tokens: a price of one dollar per million of them makes a token a microdollar.
const TOKENS_PER_DOLLAR: f64 = 1e6;
/// While fewer observations than this are known, each is published at once.
const EAGER: u64 = 100;

/// A draw beyond all exploration: the best candidate is taken.
const NEVER: f64 = 1.0;

/// What all routers of a simulation are made with.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    config: Config,
    base: Base,
    publish_every: Option<u64>,
}

/// The production router: observations in, choices out, with a snapshot between them as in production.
pub(crate) struct Router<'a> {
    recipe: &'a Recipe,
    learner: Learner,
    /// The configuration as it is by now: prices and arms change.
    routing: Routing,
    snapshot: Snapshot,
    /// The snapshot with which scoring began.
    start: Option<Snapshot>,
    present: Vec<bool>,
    observations: u64,
    unpublished: u64,
}

// === impl Recipe ===

impl Recipe {
    /// `settings` are keys of `dragoman.yaml` with their values, such as `policy.alpha` and `0.2`; `budget` is dollars
    /// per request.
    ///
    /// # Errors
    ///
    /// What the configuration says of them, all errors together.
    pub(crate) fn new(
        arms: usize,
        settings: &[(String, Value)],
        budget: Option<f64>,
        publish_every: Option<u64>,
        base: Base,
    ) -> Result<Self, String> {
        let config = Config::from_value(&document(arms, budget, settings)).map_err(|e| e.to_string())?;
        Ok(Self { config, base, publish_every })
    }

    /// The policy's name in `dragoman.yaml`.
    pub(crate) fn policy(&self) -> String {
        let kind = serde_json::to_value(self.config.routing.policy.kind).ok();
        kind.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A router that knows nothing.
    pub(crate) fn router(&self) -> Result<Router<'_>, String> {
        let routing = self.config.routing.clone();
        let learner = Learner::new(self.config.learner, self.base.clone(), routing.policy.budget);
        let snapshot = learner.snapshot(routing.clone(), 1, 0).map_err(|e| e.to_string())?;
        let present = vec![true; routing.routes.len()];
        let (start, observations, unpublished) = (None, 0, 0);
        Ok(Router { recipe: self, learner, routing, snapshot, start, present, observations, unpublished })
    }
}

/// A configuration with a model for each arm and one decision over all of them.
fn document(arms: usize, budget: Option<f64>, settings: &[(String, Value)]) -> Value {
    let price = json!({"input": 0.0, "output": 1e6 / TOKENS_PER_DOLLAR});
    let model = json!({"endpoint": "http://127.0.0.1:1", "price": price});
    let models: Map<String, Value> = (0..arms).map(|arm| (format!("arm{arm}"), model.clone())).collect();
    let policy = match budget {
        Some(dollars) => json!({"budget": dollars}),
        // Without a budget quality alone is asked for.
        None => json!({"cost_weight": 0.0}),
    };
    let mut document = json!({"models": models, "default_model": "arm0", "policy": policy});
    for (key, value) in settings {
        let (section, key) = key.split_once('.').unwrap_or((key, ""));
        match key {
            "" => document[section] = value.clone(),
            key => document[section][key] = value.clone(),
        }
    }
    document
}

/// The route's name in the learner.
fn name(arm: usize) -> String {
    format!("default/arm{arm}")
}

// === impl Router ===

impl Router<'_> {
    /// How many observations may wait for the next snapshot: none at first, then about 1 % of what is known.
    fn patience(&self) -> u64 {
        match self.recipe.publish_every {
            Some(every) => every,
            None if self.observations < EAGER => 1,
            None => self.observations / 100,
        }
    }

    fn publish(&mut self) {
        // Parameters that are not finite never get out, as in production: the last good ones stay.
        if let Ok(next) = self.learner.snapshot(self.routing.clone(), self.observations + 2, 0) {
            self.snapshot = next;
        }
        self.unpublished = 0;
    }

    /// The configuration has changed: as a reload does, it acts at once.
    fn reload(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        let open = (0..self.present.len()).filter(|arm| self.present[*arm]).collect();
        if let Some(rule) = self.routing.decisions.first_mut() {
            rule.routes = open;
        }
        self.publish();
    }

    fn price(&mut self, arm: usize) -> Option<&mut Price> {
        self.routing.models.get_mut(arm).map(|m| &mut m.price)
    }

    /// The arm that the snapshot with which scoring began takes among the offered ones, without exploring.
    pub(crate) fn at_start(&mut self, prompt: &Prompt, offered: &[bool]) -> Option<usize> {
        let open = (0..offered.len()).filter(|&arm| offered[arm]).collect();
        let decision = decide_among(self.start.as_mut()?, open, prompt, NEVER)?;
        Some(decision.candidates.get(decision.chosen?)?.route)
    }
}

impl Chooser for Router<'_> {
    fn decide(&mut self, prompt: &Prompt, offered: &[bool], draw: f64) -> Choice {
        let open: Vec<usize> = (0..offered.len()).filter(|&a| offered[a] && self.present[a]).collect();
        let first = open.first().copied().unwrap_or_default();
        let Some(decision) = decide_among(&mut self.snapshot, open, prompt, draw) else {
            return Choice { arm: first, propensity: 1.0, predicted: vec![None; offered.len()] };
        };
        let mut predicted = vec![None; offered.len()];
        for candidate in &decision.candidates {
            predicted[candidate.route] = Some(predict(candidate));
        }
        let taken = decision.chosen.and_then(|i| decision.candidates.get(i));
        let arm = taken.map_or(first, |c| c.route);
        let propensity = taken.map_or(1.0, |c| f64::from(c.propensity));
        Choice { arm, propensity, predicted }
    }

    fn learn(&mut self, prompt: &Prompt, observed: &Observed) {
        let tokens = |dollars: f64| (dollars * TOKENS_PER_DOLLAR).round() as u32;
        let route = name(observed.arm);
        let observation = Observation {
            route: &route,
            context: &prompt.context,
            reward: observed.reward,
            completion_tokens: observed.base_cost.map(tokens),
        };
        if !self.learner.observe(&observation) {
            return;
        }
        self.learner.spent(&route, &prompt.context, &uncapped(prompt), observed.cost.unwrap_or_default());
        self.observations += 1;
        self.unpublished += 1;
        if self.unpublished >= self.patience() {
            self.publish();
        }
    }

    fn score_begins(&mut self) {
        self.start = Some(self.snapshot.clone());
    }

    fn set_price(&mut self, arm: usize, factor: f64) {
        self.reload(|router| {
            if let Some(price) = router.price(arm) {
                price.output *= factor;
            }
        });
    }

    fn add_arm(&mut self, arm: usize) {
        self.reload(|router| router.present[arm] = true);
    }

    fn remove_arm(&mut self, arm: usize) {
        self.reload(|router| router.present[arm] = false);
    }
}

/// The snapshot's decision with `open` arms as the only candidates, the first of them the default.
fn decide_among(snapshot: &mut Snapshot, open: Vec<usize>, prompt: &Prompt, draw: f64) -> Option<Decision> {
    let routing = &mut snapshot.meta.routing;
    routing.default_model = open.first().copied().unwrap_or_default();
    if let Some(rule) = routing.decisions.first_mut() {
        rule.routes = open;
    }
    decide(snapshot, &prompt.context, &prompt.signals, API, &uncapped(prompt), None, draw).ok()
}

/// A recorded cost is what the answer cost, however long: no cap of tokens stands over it. Nor do the prompt's tokens
/// cost anything: they are within it.
fn uncapped(prompt: &Prompt) -> RequestFacts {
    RequestFacts { max_output_tokens: Some(u32::MAX), ..prompt.facts.clone() }
}

fn predict(candidate: &Candidate) -> Predicted {
    Predicted {
        reward: f64::from(candidate.reward),
        cost: candidate.cost,
        propensity: f64::from(candidate.propensity),
    }
}
