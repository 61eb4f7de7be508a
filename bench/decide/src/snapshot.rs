//! Snapshots as large and as busy as real ones, and contexts to decide.

use dragoman_core::config::{Config, Route, Routing};
use dragoman_core::context::{Context, META, SIGNALS};
use dragoman_core::learner::Pace;
use dragoman_core::policy::Features;
use dragoman_core::request::RequestFacts;
use dragoman_core::signals::Signals;
use dragoman_core::snapshot::{SCHEMA, Snapshot, SnapshotMeta};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::form::params;
use crate::{CONTEXT, Case};

/// The snapshot of a case: always the same one.
pub(crate) fn of(case: &Case) -> Result<Snapshot, String> {
    let features = case.form.features(case.dimensions).ok_or("there are no features in so few dimensions")?;
    with_routes(&config()?.routing, &features, case.routes, 1)
}

/// A snapshot whose one decision has `routes` candidates, spread over the models of `routing`, with random
/// parameters that are the same for the same `version`.
///
/// # Errors
///
/// A sentence with what [`Snapshot::new`] refuses.
pub fn with_routes(
    routing: &Routing,
    features: &Features,
    routes: usize,
    version: u64,
) -> Result<Snapshot, String> {
    let routing = competing(routing, routes);
    let mut random = ChaCha8Rng::seed_from_u64(version);
    let params: Vec<_> = (0..routes).map(|_| params(features, &mut random)).collect();
    let meta = SnapshotMeta {
        schema: SCHEMA,
        version,
        created_ms: 1_700_000_000_000,
        observations: vec![0; routes],
        pace: Pace { cost_weight: f64::from(routing.policy.cost_weight), slack: 0.0 },
        paces: Default::default(),
        routing,
    };
    Snapshot::new(meta, features.clone(), &params).map_err(|e| e.to_string())
}

/// `routing` with one decision, whose candidates are `routes` routes spread over its models.
pub fn competing(routing: &Routing, routes: usize) -> Routing {
    let mut routing = routing.clone();
    let route = |i: usize| Route { name: format!("bench/{i}"), model: i % routing.models.len(), decision: 0 };
    routing.routes = (0..routes).map(route).collect();
    routing.decisions.truncate(1);
    for decision in &mut routing.decisions {
        decision.routes = (0..routes).collect();
        decision.when.clear();
    }
    routing
}

/// A context of [`CONTEXT`] numbers: an embedding of length 1, the features of a request that says nothing.
pub fn context(random: &mut ChaCha8Rng) -> Context {
    let size = CONTEXT - SIGNALS - META;
    let raw: Vec<f32> = (0..size).map(|_| random.random_range(-1.0..1.0)).collect();
    let norm = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
    let embedding: Vec<f32> = raw.iter().map(|v| v / norm).collect();
    Context::new(Some(&embedding), size, &Signals::default(), &RequestFacts::default())
}

/// Three models, and the defaults in all else.
///
/// # Errors
///
/// A sentence, if the configuration has changed and this one does not fit it any more.
pub fn config() -> Result<Config, String> {
    let model = |i: usize| json!({"endpoint": "http://127.0.0.1:1", "price": {"input": i, "output": 4 * i}});
    let document = json!({
        "models": {"a": model(1), "b": model(2), "c": model(3)},
        "default_model": "a",
    });
    Config::from_value(&document).map_err(|e| e.to_string())
}
