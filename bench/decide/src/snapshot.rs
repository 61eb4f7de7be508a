//! Snapshots as large and as busy as real ones, and contexts to decide.

use dragoman_core::config::{Config, Route, Routing};
use dragoman_core::context::{Context, META, SIGNALS};
use dragoman_core::policy::Projection;
use dragoman_core::request::RequestFacts;
use dragoman_core::signals::Signals;
use dragoman_core::snapshot::{SCHEMA, Snapshot, SnapshotMeta};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::{CONTEXT, Case, Form};

/// The snapshot of a case: always the same one.
pub(crate) fn of(case: &Case) -> Result<Snapshot, String> {
    let projection =
        case.form.projection(case.dimensions).ok_or("there is no projection to so few dimensions")?;
    with_routes(&routing()?, &projection, case.form, case.routes, 1)
}

/// A snapshot whose one decision has `routes` candidates, spread over the models of `routing`, with random
/// parameters that are the same for the same `version`.
///
/// # Errors
///
/// A sentence with what [`Snapshot::new`] refuses.
pub fn with_routes(
    routing: &Routing,
    projection: &Projection,
    form: Form,
    routes: usize,
    version: u64,
) -> Result<Snapshot, String> {
    let mut routing = routing.clone();
    let route = |i: usize| Route { name: format!("bench/{i}"), model: i % routing.models.len(), decision: 0 };
    routing.routes = (0..routes).map(route).collect();
    routing.decisions.truncate(1);
    for decision in &mut routing.decisions {
        decision.routes = (0..routes).collect();
        decision.when.clear();
    }
    let mut random = ChaCha8Rng::seed_from_u64(version);
    let params: Vec<_> = (0..routes).map(|_| form.params(projection.rows(), &mut random)).collect();
    let meta = SnapshotMeta {
        schema: SCHEMA,
        version,
        created_ms: 1_700_000_000_000,
        observations: vec![0; routes],
        routing,
    };
    Snapshot::new(meta, projection.clone(), &params).map_err(|e| e.to_string())
}

/// A context of [`CONTEXT`] numbers: an embedding of length 1, the features of a request that says nothing.
pub fn context(random: &mut ChaCha8Rng) -> Context {
    let size = CONTEXT - SIGNALS - META;
    let raw: Vec<f32> = (0..size).map(|_| random.random_range(-1.0..1.0)).collect();
    let norm = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
    let embedding: Vec<f32> = raw.iter().map(|v| v / norm).collect();
    Context::new(Some(&embedding), size, &Signals::default(), &RequestFacts::default())
}

fn routing() -> Result<Routing, String> {
    let model = |i: usize| json!({"endpoint": "http://127.0.0.1:1", "price": {"input": i, "output": 4 * i}});
    let document = json!({
        "models": {"a": model(1), "b": model(2), "c": model(3)},
        "default_model": "a",
    });
    Config::from_value(&document).map(|config| config.routing).map_err(|e| e.to_string())
}
