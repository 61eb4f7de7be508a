//! `learner.features: whole`: what a route is thought to know when z is the whole context.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use dragoman_core::config::{Config, Routing};
use dragoman_core::context::{Context, META, SIGNALS};
use dragoman_core::learner::{Base, Learner, Observation};
use dragoman_core::policy::{Factor, Projection};
use dragoman_core::request::RequestFacts;
use dragoman_core::signals::Signals;
use dragoman_core::snapshot::{RouteParams, Snapshot, SnapshotError};
use proptest::prelude::*;
use serde_json::json;

/// Numbers of the embedding, and of the whole context.
const EMBEDDING: usize = 12;
const D: usize = EMBEDDING + SIGNALS + META;
const RIDGE: f64 = 2.0;
/// What the snapshot keeps of a route.
const RANK: usize = 32;

fn config() -> Config {
    let model = json!({"endpoint": "http://127.0.0.1:1", "price": {"input": 1, "output": 2}});
    let document = json!({
        "models": {"a": model, "b": model},
        "default_model": "a",
        "learner": {"features": "whole", "ridge": RIDGE, "forgetting": 1},
    });
    Config::from_value(&document).unwrap()
}

/// What was learned of the routing's first route from `seen`, each with the reward 0.
fn learned(routing: &Routing, seen: &[Arc<Context>]) -> Snapshot {
    let base = Base { projection: Projection::new(1, D, vec![0.0; D]).unwrap(), embedding: 0 };
    let mut learner = Learner::new(config().learner, base, None);
    for context in seen {
        let route = &routing.routes[0].name;
        let seen = Observation { route, context, reward: 0.0, completion_tokens: None };
        assert!(learner.observe(&seen));
    }
    learner.snapshot(routing.clone(), 1, 1).unwrap()
}

/// Width² by V's definition, with the noise that rewards of exactly 0 leave: ten observations' worth of 0.05, twice.
fn exact(seen: &[Arc<Context>], z: &[f32]) -> f64 {
    let z: Vec<f64> = z.iter().map(|v| f64::from(*v)).collect();
    let prior = 10.0 / (seen.len() as f64 + 10.0);
    let noise = 0.05 * prior * prior;
    // V⁻¹, observation by observation (Sherman & Morrison).
    let mut inverse: Vec<Vec<f64>> =
        (0..D).map(|i| (0..D).map(|j| f64::from(i == j) / RIDGE).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    for context in seen {
        let x: Vec<f64> = context.values().iter().map(|v| f64::from(*v)).collect();
        let along: Vec<f64> = inverse.iter().map(|row| dot(row, &x)).collect();
        let scale = 1.0 / (1.0 + dot(&along, &x));
        for (row, a) in inverse.iter_mut().zip(&along) {
            row.iter_mut().zip(&along).for_each(|(v, b)| *v -= scale * a * b);
        }
    }
    noise * dot(&inverse.iter().map(|row| dot(row, &z)).collect::<Vec<_>>(), &z)
}

fn contexts(counts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Arc<Context>>> {
    let one = (prop::collection::vec(-1f32..1.0, EMBEDDING), any::<bool>(), 0u32..4000);
    prop::collection::vec(one, counts).prop_map(|all| {
        let context = |(embedding, code, tokens): (Vec<f32>, bool, u32)| {
            let signals = Signals { code: f32::from(u8::from(code)), ..Signals::default() };
            let facts = RequestFacts { token_estimate: tokens, ..RequestFacts::default() };
            Arc::new(Context::new(Some(&embedding), EMBEDDING, &signals, &facts))
        };
        all.into_iter().map(context).collect()
    })
}

/// The width that the first route's factor gives, and the exact one.
fn widths(all: &[Arc<Context>]) -> (f64, f64) {
    let (probe, seen) = all.split_first().unwrap();
    let snapshot = learned(&config().routing, seen);
    let z = snapshot.features.apply(probe.values());
    (f64::from(snapshot.route(0).unwrap().score(&z).width), exact(seen, &z).sqrt())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn few_observations_give_the_exact_width(all in contexts(1..RANK + 2)) {
        let (width, exact) = widths(&all);
        prop_assert!((width - exact).abs() < 1e-3 * exact + 1e-4, "{width} {exact}");
    }

    #[test]
    fn many_observations_never_give_too_small_a_width(all in contexts(RANK..200)) {
        let (width, exact) = widths(&all);
        prop_assert!(width > 0.999 * exact - 1e-4, "{width} {exact}");
    }
}

#[test]
fn a_route_never_seen_is_as_unsure_as_the_prior() {
    let signals = Signals::default();
    let context = Context::new(None, EMBEDDING, &signals, &RequestFacts::default());
    let snapshot = learned(&config().routing, &[]);
    let z = snapshot.features.apply(context.values());
    let want = (0.05 / RIDGE * z.iter().map(|v| f64::from(v * v)).sum::<f64>()).sqrt();
    let score = snapshot.route(1).unwrap().score(&z);
    assert!((f64::from(score.width) - want).abs() < 1e-6);
    assert_eq!(score.reward, 0.0);
}

#[test]
fn a_triangle_does_not_pass_for_low_rank() {
    let snapshot = learned(&config().routing, &[]);
    let factor = Factor::Triangle(vec![0.0; 8 * D]);
    let route = RouteParams { theta: vec![0.0; D], length: vec![0.0; D], factor, curve: None };
    let refused = Snapshot::new(snapshot.meta, snapshot.features, &[route.clone(), route]).unwrap_err();
    assert_eq!(refused, SnapshotError::Malformed("prior has 0 numbers instead of 2 for 2 routes".into()));
}

#[test]
fn the_length_of_answers_is_learned_with_its_mean() {
    let routing = config().routing;
    let base = Base { projection: Projection::new(1, D, vec![0.0; D]).unwrap(), embedding: 0 };
    let mut learner = Learner::new(config().learner, base, None);
    let context = Arc::new(Context::new(None, EMBEDDING, &Signals::default(), &RequestFacts::default()));
    for i in 0..2000 {
        let tokens = if i % 2 == 0 { 100 } else { 1000 };
        let route = &routing.routes[0].name;
        let seen = Observation { route, context: &context, reward: 1.0, completion_tokens: Some(tokens) };
        learner.observe(&seen);
    }
    let params = learner.params(&routing).unwrap();
    let length = params[0].params().score(context.values()).length;
    let tokens = dragoman_core::cost::completion_tokens(length, 10_000);
    // The log-normal with these logarithms has the mean √(100 · 1000) · exp(s²/2) = 614.
    assert!((tokens - 614.0).abs() < 10.0, "{tokens}");
}
