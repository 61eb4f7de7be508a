//! The budget over a stream: through snapshots and decisions, as in production.

use super::*;
use crate::decision::{Decision, decide};
use crate::request::Api;

/// Dollars per million tokens; every answer has 1,000 tokens, so that they cost $.001 and $.010.
const PRICES: [f64; 2] = [1.0, 10.0];
const TOKENS: u32 = 1000;
const BUDGET: f64 = 0.004;

struct Stream {
    learner: Learner,
    routing: Routing,
    steps: usize,
}

impl Stream {
    fn new() -> Self {
        let routing = routing(&PRICES, json!({"budget": BUDGET}));
        Self { learner: kernel(12, 0.5, Some(BUDGET)), routing, steps: 0 }
    }

    /// The same with the budget of the decision alone.
    fn of_a_decision() -> Self {
        let mut routing = routing(&PRICES, json!({"cost_weight": 0.0}));
        routing.decisions[0].budget = Some(BUDGET);
        let learner = kernel(12, 0.5, None).with_budgets(routing.budgets());
        Self { learner, routing, steps: 0 }
    }

    fn snapshot(&self) -> Snapshot {
        self.learner.snapshot(self.routing.clone(), 1, 0).unwrap()
    }

    fn decide(snapshot: &Snapshot, x: &Context, draw: f64) -> Decision {
        let facts = RequestFacts::default();
        decide(snapshot, x, &Signals::default(), Api::ChatCompletions, &facts, None, draw).unwrap()
    }

    /// The prompt of this step, and how much it is code.
    fn prompt(step: usize) -> (Arc<Context>, f32) {
        let part = |by: f64| (step as f64 * by).fract() as f32;
        (prompt([part(0.414) - 0.5, 0.0], part(0.618)), part(0.618))
    }

    /// Mean dollars of `n` requests. The dear model is the better, the more so the more a prompt is code.
    fn run(&mut self, n: usize) -> f64 {
        let mut spent = 0.0;
        for _ in 0..n {
            self.steps += 1;
            let fraction = |step: f64| (self.steps as f64 * step).fract();
            let (x, code) = Self::prompt(self.steps);
            let decision = Self::decide(&self.snapshot(), &x, fraction(0.732));
            let dear = decision.chosen == Some(1);
            let noise = 0.1 * (fraction(0.236) - 0.5);
            let reward = noise + if dear { 0.5 + 0.4 * f64::from(code) } else { 0.5 };
            let route = [A, B][usize::from(dear)];
            observe(&mut self.learner, route, &x, reward, Some(TOKENS));
            let price = self.routing.models[usize::from(dear)].price;
            let dollars = price.dollars(0.0, f64::from(TOKENS));
            self.learner.spent(route, &x, &RequestFacts::default(), dollars);
            spent += dollars;
        }
        spent / n as f64
    }

    /// Share of the prompts that the next snapshot would send to the dear model without exploring.
    fn dear(&self) -> f64 {
        let snapshot = self.snapshot();
        let next = (self.steps..self.steps + 300).map(|step| Self::prompt(step).0);
        let dear = next.filter(|x| Self::decide(&snapshot, x, 0.999_999).chosen == Some(1)).count();
        dear as f64 / 300.0
    }
}

#[test]
fn the_mean_cost_is_held_at_the_ceiling() {
    let mut stream = Stream::new();
    stream.run(500);
    let mean = stream.run(2500);
    assert!((mean / BUDGET - 1.0).abs() < 0.02, "${mean:.6} of ${BUDGET}");
}

#[test]
fn a_decision_holds_a_budget_of_its_own() {
    let mut stream = Stream::of_a_decision();
    stream.run(500);
    let mean = stream.run(2500);
    assert!((mean / BUDGET - 1.0).abs() < 0.02, "${mean:.6} of ${BUDGET}");
    let meta = stream.snapshot().meta;
    assert_eq!(meta.pace, Pace { cost_weight: 0.0, slack: 0.0 }, "others are not held to it");
    assert!(meta.paces["default"].cost_weight > 0.0);
}

#[test]
fn a_request_counts_for_the_budget_of_its_own_decision() {
    let learner = |names: &[&str]| {
        let own = names.iter().map(|name| ((*name).to_owned(), BUDGET)).collect();
        kernel(12, 0.5, None).with_budgets(own)
    };
    let counts = |route: &str, names: &[&str]| {
        let mut spent = learner(names);
        spent.spent(route, &prompt([0.1, 0.2], 0.5), &RequestFacts::default(), 1.0);
        spent != learner(names)
    };
    assert!(counts("a/model", &["a"]) && counts("a/b/model", &["a/b"]));
    assert!(!counts("ab/model", &["a"]) && !counts("b/model", &["a"]) && !counts("a/model", &["a/b"]));
}

#[test]
fn a_new_price_acts_in_the_very_next_snapshot() {
    let mut stream = Stream::new();
    stream.run(1000);
    let (before, weight) = (stream.dear(), stream.snapshot().meta.pace.cost_weight);
    assert!((before - 1.0 / 3.0).abs() < 0.1, "a third of the requests can be dear: {before}");
    assert!(weight > 0.0);
    stream.routing.models[1].price.output /= 10.0;
    let pace = stream.snapshot().meta.pace;
    assert_eq!(pace.cost_weight, 0.0, "both models fit into the budget now");
    assert!(pace.slack > 0.0 && stream.dear() > 0.9, "{pace:?} {}", stream.dear());
    stream.routing.models[1].price.output *= 100.0;
    let after = stream.dear();
    assert!(after < 0.1, "a hundredth of $.030 each: {after}");
}

/// λ for the next requests, when the last 640 of a stream cost `dollars` each and one more cost `extra`.
fn pace_after(n: usize, dollars: f64, extra: f64) -> Pace {
    let mut learner = kernel(12, 0.5, Some(BUDGET));
    let contexts = prompts(64);
    for (i, x) in contexts.iter().cycle().take(64 * 8).enumerate() {
        let dear = i % 2 == 1;
        let reward = if dear { 0.5 + 0.4 * f64::from(x.values()[2 + 15]) } else { 0.5 };
        observe(&mut learner, [A, B][usize::from(dear)], x, reward, Some(TOKENS));
    }
    for x in contexts.iter().cycle().take(n) {
        learner.spent(A, x, &RequestFacts::default(), dollars);
    }
    learner.spent(A, &contexts[63], &RequestFacts::default(), extra);
    learner.snapshot(routing(&PRICES, json!({"budget": BUDGET})), 1, 0).unwrap().meta.pace
}

#[test]
fn what_may_be_saved_up_or_owed_is_bounded() {
    let even = pace_after(640, BUDGET, BUDGET).cost_weight;
    let (thrifty, thriftier) =
        (pace_after(640, 0.0, 0.0).cost_weight, pace_after(6400, 0.0, 0.0).cost_weight);
    assert!(thrifty < even, "what was saved may be spent: {thrifty} {even}");
    assert_eq!(thrifty, thriftier, "but not all that was ever saved");
    let (owing, owing_more) = (
        pace_after(640, BUDGET, 2e3 * BUDGET).cost_weight,
        pace_after(640, BUDGET, 2e6 * BUDGET).cost_weight,
    );
    assert!(owing > even, "a debt is paid off: {owing} {even}");
    assert_eq!(owing, owing_more, "but not forever");
}

#[test]
fn a_cost_that_is_no_number_is_not_counted() {
    assert_eq!(pace_after(640, BUDGET, f64::NAN), pace_after(640, BUDGET, BUDGET));
}

#[test]
fn without_a_budget_the_configured_weight_holds() {
    let learner = kernel(12, 0.5, None);
    let snapshot = learner.snapshot(routing(&PRICES, json!({"cost_weight": 7.0})), 1, 0).unwrap();
    assert_eq!(snapshot.meta.pace, Pace { cost_weight: 7.0, slack: 0.0 });
}
