//! The seam: the production learner, snapshot and decision as one [`Chooser`]. All that knows them stands here.

use dragoman_core::config::{Config, Price};
use dragoman_core::decision::{Candidate, decide};
use dragoman_core::learner::Learner;
use dragoman_core::policy::Projection;
use dragoman_core::snapshot::{RouteParams, SCHEMA, Snapshot, SnapshotMeta};
use serde_json::{Map, Value, json};

use super::encode::{API, Prompt};
use super::replay::{Choice, Chooser, Observed, Predicted};

/// Rows know dollars, the learner tokens: a price of one dollar per million of them makes a token a microdollar.
const TOKENS_PER_DOLLAR: f64 = 1e6;
/// While fewer observations than this are known, each is published at once.
const EAGER: u64 = 100;

/// What all routers of a simulation are made with.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    config: Config,
    projection: Projection,
    publish_every: Option<u64>,
    /// Dollars per request.
    #[allow(dead_code, reason = "the policy cannot pace a budget yet; it is handed through to here")]
    budget: Option<f64>,
}

/// The production router: observations in, choices out, with a snapshot between them as in production.
pub(crate) struct Router<'a> {
    recipe: &'a Recipe,
    learner: Learner,
    snapshot: Snapshot,
    params: Vec<RouteParams>,
    /// Arms that learned something since the snapshot.
    stale: Vec<bool>,
    present: Vec<bool>,
    observations: u64,
    unpublished: u64,
}

// === impl Recipe ===

impl Recipe {
    /// `settings` are keys of `dragoman.yaml` with their values, such as `policy.alpha` and `0.2`.
    ///
    /// # Errors
    ///
    /// What the configuration says of them, all errors together; or the projection cannot be made.
    pub(crate) fn new(
        arms: usize,
        settings: &[(String, Value)],
        budget: Option<f64>,
        publish_every: Option<u64>,
        projection: impl Fn(usize) -> Result<Projection, String>,
    ) -> Result<Self, String> {
        let config = Config::from_value(&document(arms, settings)).map_err(|e| e.to_string())?;
        let projection = projection(config.learner.dimensions)?;
        Ok(Self { config, projection, publish_every, budget })
    }

    /// The policy's name in `dragoman.yaml`.
    pub(crate) fn policy(&self) -> String {
        let kind = serde_json::to_value(self.config.routing.policy.kind).ok();
        kind.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A router that knows nothing.
    pub(crate) fn router(&self) -> Result<Router<'_>, String> {
        let routes = self.config.routing.routes.len();
        let learner = Learner::new(self.config.learner, self.projection.clone());
        let prior = |route| learner.params(&name(route)).ok_or("the learner's prior is not finite");
        let params = (0..routes).map(prior).collect::<Result<Vec<_>, _>>()?;
        Ok(Router {
            recipe: self,
            snapshot: self.snapshot(&params).map_err(|e| e.to_string())?,
            learner,
            stale: vec![false; routes],
            present: vec![true; routes],
            params,
            observations: 0,
            unpublished: 0,
        })
    }

    fn snapshot(&self, params: &[RouteParams]) -> Result<Snapshot, dragoman_core::snapshot::SnapshotError> {
        let meta = SnapshotMeta {
            schema: SCHEMA,
            version: 1,
            created_ms: 0,
            observations: vec![0; params.len()],
            routing: self.config.routing.clone(),
        };
        Snapshot::new(meta, self.projection.clone(), params)
    }
}

/// A configuration with a model for each arm and one decision over all of them.
fn document(arms: usize, settings: &[(String, Value)]) -> Value {
    let price = json!({"input": 0.0, "output": 1e6 / TOKENS_PER_DOLLAR});
    let model = json!({"endpoint": "http://127.0.0.1:1", "price": price});
    let models: Map<String, Value> = (0..arms).map(|arm| (format!("arm{arm}"), model.clone())).collect();
    // Rows without costs, or without a budget, ask for quality alone.
    let mut document = json!({"models": models, "default_model": "arm0", "policy": {"cost_weight": 0.0}});
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
    fn price(&mut self, arm: usize) -> Option<&mut Price> {
        self.snapshot.meta.routing.models.get_mut(arm).map(|m| &mut m.price)
    }

    /// How many observations may wait for the next snapshot: none at first, then about 1 % of what is known.
    fn patience(&self) -> u64 {
        match self.recipe.publish_every {
            Some(every) => every,
            None if self.observations < EAGER => 1,
            None => self.observations / 100,
        }
    }

    fn publish(&mut self) {
        for (arm, stale) in self.stale.iter_mut().enumerate().filter(|(_, stale)| **stale) {
            // Parameters that are not finite never get out, as in production: the last good ones stay.
            if let Some(params) = self.learner.params(&name(arm)) {
                self.params[arm] = params;
            }
            *stale = false;
        }
        if let Ok(mut next) = self.recipe.snapshot(&self.params) {
            next.meta.routing = std::mem::replace(&mut self.snapshot.meta.routing, next.meta.routing);
            self.snapshot = next;
        }
        self.unpublished = 0;
    }
}

impl Chooser for Router<'_> {
    fn decide(&mut self, prompt: &Prompt, offered: &[bool], draw: f64) -> Choice {
        let open: Vec<usize> = (0..offered.len()).filter(|&a| offered[a] && self.present[a]).collect();
        let first = open.first().copied().unwrap_or_default();
        let routing = &mut self.snapshot.meta.routing;
        routing.default_model = first;
        if let Some(rule) = routing.decisions.first_mut() {
            rule.routes = open;
        }
        // A recorded cost is what the answer cost, however long: no cap of tokens stands over it.
        let facts = dragoman_core::request::RequestFacts {
            max_output_tokens: Some(u32::MAX),
            ..prompt.facts.clone()
        };
        let decision = decide(&self.snapshot, &prompt.context, &prompt.signals, API, &facts, draw);
        let Ok(decision) = decision else {
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
        let tokens = observed.base_cost.map(|dollars| (dollars * TOKENS_PER_DOLLAR).round() as u32);
        if !self.learner.observe(&name(observed.arm), &prompt.context, observed.reward, tokens) {
            return;
        }
        self.stale[observed.arm] = true;
        self.observations += 1;
        self.unpublished += 1;
        if self.unpublished >= self.patience() {
            self.publish();
        }
    }

    fn set_price(&mut self, arm: usize, factor: f64) {
        if let Some(price) = self.price(arm) {
            price.output *= factor;
        }
    }

    fn add_arm(&mut self, arm: usize) {
        self.present[arm] = true;
    }

    fn remove_arm(&mut self, arm: usize) {
        self.present[arm] = false;
    }
}

fn predict(candidate: &Candidate) -> Predicted {
    Predicted {
        reward: f64::from(candidate.reward),
        cost: candidate.cost,
        propensity: f64::from(candidate.propensity),
    }
}
