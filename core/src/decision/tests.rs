mod conditions;
mod exploration;
mod holding;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::learner::Pace;
use crate::policy::{self, Factor, Features, Landmarks, Projection, packed_len};
use crate::snapshot::{RouteParams, SCHEMA};

/// A world of three models with prices 0, 1 and 10 dollars per million tokens, decided on the bias alone.
#[derive(Debug)]
struct World {
    document: Value,
    rewards: Vec<f32>,
    widths: [f32; 3],
    observations: [u64; 3],
    /// λ under a budget.
    cost_weight: f64,
    slack: f64,
    /// The same for decisions with a budget of their own.
    paces: BTreeMap<String, Pace>,
}

impl World {
    fn new(rewards: &[f32]) -> Self {
        let model = |port: u16, price: f64, apis: &[&str]| {
            json!({"endpoint": format!("http://127.0.0.1:{port}"), "apis": apis,
                   "price": {"input": price, "output": price}})
        };
        let all = ["chat_completions", "completions"];
        let document = json!({
            "models": {"free": model(1, 0.0, &all), "cheap": model(2, 1.0, &all),
                       "dear": model(3, 10.0, &["chat_completions"])},
            "default_model": "free",
            "policy": {"alpha": 0.0, "epsilon": 0.1, "cost_weight": 0.0},
        });
        let (widths, observations) = ([1.0; 3], [1000; 3]);
        let (cost_weight, slack, paces) = (0.0, 0.0, BTreeMap::new());
        Self { document, rewards: rewards.to_vec(), widths, observations, cost_weight, slack, paces }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.document[key] = value;
        self
    }

    fn snapshot(&self) -> Snapshot {
        let routing = Config::from_value(&self.document).unwrap().routing;
        let d = crate::context::SIGNALS + crate::context::META;
        // Without landmarks, z is the constant feature alone.
        let features = Features::Landmarks(Landmarks::none(Projection::new(1, d, vec![0.0; d]).unwrap()));
        let params = |i: usize| {
            let theta = vec![self.rewards[i % self.rewards.len()] / policy::BIAS];
            let mut factor = vec![0.0; packed_len(1)];
            factor[0] = self.widths[i] / policy::BIAS;
            RouteParams { theta, length: vec![0.0], factor: Factor::Triangle(factor), curve: None }
        };
        let routes: Vec<RouteParams> = routing.routes.iter().map(|r| params(r.model)).collect();
        let cost_weight = match routing.policy.budget {
            Some(_) => self.cost_weight,
            None => f64::from(routing.policy.cost_weight),
        };
        let meta = SnapshotMeta {
            schema: SCHEMA,
            version: 1,
            created_ms: 0,
            observations: routing.routes.iter().map(|r| self.observations[r.model]).collect(),
            pace: Pace { cost_weight, slack: self.slack },
            paces: self.paces.clone(),
            routing,
        };
        Snapshot::new(meta, features, &routes).unwrap()
    }

    fn decide(&self, signals: &Signals, api: Api, draw: f64) -> Result<(Decision, Snapshot), NoDecision> {
        let snapshot = self.snapshot();
        let facts = RequestFacts { token_estimate: 1000, ..Default::default() };
        let context = Context::new(None, 0, signals, &facts);
        decide(&snapshot, &context, signals, api, &facts, None, draw).map(|d| (d, snapshot))
    }

    fn propensities(&self) -> [f32; 3] {
        let decision = self.decide(&Signals::default(), Api::ChatCompletions, 0.5).unwrap().0;
        std::array::from_fn(|i| decision.candidates[i].propensity)
    }

    fn chosen(&self, draw: f64) -> Option<usize> {
        self.decide(&Signals::default(), Api::ChatCompletions, draw).unwrap().0.chosen
    }
}

#[test]
fn the_best_utility_wins_and_ties_go_to_the_first() {
    assert_eq!(World::new(&[0.1, 0.9, 0.5]).chosen(0.99), Some(1));
    assert_eq!(World::new(&[0.5, 0.5, 0.5]).chosen(0.99), Some(0));
}

#[test]
fn a_price_counts_as_much_as_the_cost_weight_says() {
    let world = World::new(&[0.1, 0.5, 0.6]);
    assert_eq!(world.chosen(0.99), Some(2), "money does not matter");
    let policy = json!({"alpha": 0.0, "epsilon": 0.1, "cost_weight": 20.0});
    assert_eq!(World::new(&[0.1, 0.5, 0.6]).with("policy", policy).chosen(0.99), Some(1));
}

#[test]
fn linucb_tries_what_is_unknown_for_its_bonus() {
    let world =
        World::new(&[0.1]).with("policy", json!({"kind": "linucb", "alpha": 0.5, "cost_weight": 0.0}));
    let (decision, _) = world.decide(&Signals::default(), Api::ChatCompletions, 0.5).unwrap();
    assert_eq!(decision.candidates[0].bonus, 0.5);
    assert_eq!(decision.candidates[0].utility, 0.6);
}

#[test]
fn nothing_worth_its_price_goes_to_the_default_route() {
    assert_eq!(World::new(&[-0.5, -0.1, -0.2]).chosen(0.99), Some(0), "the default model is a candidate");
    let only_dear = json!([{"name": "d", "models": ["cheap", "dear"]}]);
    assert_eq!(World::new(&[-0.1]).with("decisions", only_dear).chosen(0.99), None);
}

#[test]
fn exploration_draws_every_candidate_and_says_so() {
    // Two others at ε/3 each, in the rule's order; what is left is the best's.
    let world = World::new(&[0.1, 0.9, 0.5]);
    let drawn: Vec<Option<usize>> = [0.01, 0.05, 0.07].map(|d| world.chosen(d)).to_vec();
    assert_eq!(drawn, [Some(0), Some(2), Some(1)]);
    let (decision, _) = world.decide(&Signals::default(), Api::ChatCompletions, 0.01).unwrap();
    assert!(decision.explored);
}

#[test]
fn a_model_that_does_not_speak_the_format_is_no_candidate() {
    let world = World::new(&[0.1, 0.5, 0.9]);
    let (decision, _) = world.decide(&Signals::default(), Api::Completions, 0.99).unwrap();
    assert_eq!(decision.candidates.len(), 2);
    let none = world.decide(&Signals::default(), Api::Messages, 0.99);
    assert_eq!(none.unwrap_err(), NoDecision::NoCandidate);
}

#[test]
fn the_first_rule_whose_conditions_all_hold_decides() {
    let decisions = json!([
        {"name": "code", "priority": 5, "when": [{"signal": "code", "above": 0.5}], "models": ["dear"]},
        {"name": "rest", "when": [{"signal": "math", "above": 0.5}], "models": ["cheap"]},
    ]);
    let world = World::new(&[0.5]).with("decisions", decisions);
    let rule = |signals: Signals| world.decide(&signals, Api::ChatCompletions, 0.9).map(|(d, _)| d.rule);
    assert_eq!(rule(Signals { code: 0.9, math: 0.9, ..Default::default() }), Ok(0));
    assert_eq!(rule(Signals { math: 0.9, ..Default::default() }), Ok(1));
    assert_eq!(rule(Signals::default()), Err(NoDecision::NoRule));
}

/// The candidate that the only decision takes, with these keys of its own.
fn taken(world: World, own: Value) -> Option<usize> {
    let mut decision = json!({"name": "d", "models": ["free", "cheap", "dear"]});
    decision.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    world.with("decisions", json!([decision])).chosen(0.99)
}

#[test]
fn a_decision_may_go_by_a_policy_of_its_own() {
    let world = || World::new(&[0.1, 0.5, 0.6]);
    assert_eq!(taken(world(), json!({})), Some(2));
    assert_eq!(
        taken(world(), json!({"policy": {"cost_weight": 20.0}})),
        Some(1),
        "dear costs 10 times as much"
    );
    assert_eq!(taken(world(), json!({"policy": {"kind": "static"}})), Some(0));
    let unsure = World { widths: [10.0, 0.0, 0.0], ..world() };
    assert_eq!(taken(unsure, json!({"policy": {"kind": "linucb", "alpha": 1.0}})), Some(0), "for its bonus");
}

#[test]
fn the_static_policy_takes_the_highest_score_and_of_equals_the_first() {
    let by =
        |scores: Value| taken(World::new(&[0.5]), json!({"policy": {"kind": "static"}, "scores": scores}));
    assert_eq!(by(json!({"free": 0.4, "cheap": 0.8, "dear": 0.7})), Some(1));
    assert_eq!(by(json!({"free": 0.9})), Some(1), "those without a score have 1");
    assert_eq!(by(json!({"free": 0.7, "cheap": 0.7, "dear": 0.7})), Some(0));
}

#[test]
fn a_decision_with_a_budget_goes_by_its_own_price_of_a_dollar() {
    let world = |weight: f64| {
        let paces = [("d".to_owned(), Pace { cost_weight: weight, slack: 0.0 })].into();
        World { paces, ..World::new(&[-0.9, -0.5, -0.4]) }
    };
    let policy = json!({"budget": 0.01, "policy": {"epsilon": 0.0}});
    assert_eq!(taken(world(0.0), policy.clone()), Some(2), "and has no bar at 0");
    assert_eq!(taken(world(50.0), policy), Some(1));
}

#[test]
fn a_failed_route_falls_back_to_the_best_utility_per_dollar_of_another_model() {
    let (decision, _) =
        World::new(&[0.2, 0.9, 0.5]).decide(&Signals::default(), Api::ChatCompletions, 0.9).unwrap();
    assert_eq!((decision.chosen, decision.fallback), (Some(1), Some(0)), "free is worth most per dollar");
    let (decision, _) =
        World::new(&[0.9, 0.5, 0.6]).decide(&Signals::default(), Api::ChatCompletions, 0.9).unwrap();
    assert_eq!((decision.chosen, decision.fallback), (Some(0), Some(1)), "dear costs ten times as much");
}
