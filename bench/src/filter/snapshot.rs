//! Snapshots as large and as busy as real ones: the shipped projection, random parameters without a single zero.

use std::path::Path;

use dragoman_core::config::{Route, Routing};
use dragoman_core::policy::{Projection, packed_len};
use dragoman_core::snapshot::{RouteParams, SCHEMA, Snapshot, SnapshotMeta};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

use crate::Outcome;

/// The default of `learner.dimensions`.
pub(super) const DIMENSIONS: usize = 64;

/// Reads the encoder's `projection.safetensors`.
pub(super) fn projection(path: &Path) -> Outcome<Projection> {
    let read = || -> Result<Projection, Box<dyn std::error::Error>> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let numbers = |name: &str| -> Result<Vec<f32>, safetensors::SafeTensorError> {
            let words = file.tensor(name)?.data().chunks_exact(4);
            Ok(words.map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
        };
        let (mean, components, scale) = (numbers("mean")?, numbers("components")?, numbers("scale")?);
        Ok(Projection::from_components(DIMENSIONS, &mean, &components, &scale)
            .ok_or("its shapes do not fit")?)
    };
    read().map_err(|e| format!("{} gives no projection: {e}", path.display()))
}

/// A snapshot whose one decision has `routes` candidates, spread over the models of `routing`.
pub(super) fn with_routes(
    routing: &Routing,
    projection: &Projection,
    routes: usize,
    version: u64,
) -> Outcome<Snapshot> {
    let mut routing = routing.clone();
    let route = |i: usize| Route { name: format!("bench/{i}"), model: i % routing.models.len(), decision: 0 };
    routing.routes = (0..routes).map(route).collect();
    routing.decisions.truncate(1);
    for decision in &mut routing.decisions {
        decision.routes = (0..routes).collect();
        decision.when.clear();
    }
    let k = projection.rows();
    let mut random = ChaCha8Rng::seed_from_u64(version);
    let mut numbers = |n: usize, scale: f32| -> Vec<f32> {
        (0..n).map(|_| random.random_range(0.1..1.0) * scale).collect()
    };
    let params: Vec<RouteParams> = (0..routes)
        .map(|_| RouteParams {
            theta: numbers(k, 0.1),
            length: numbers(k, 0.01),
            factor: numbers(packed_len(k), 0.02),
        })
        .collect();
    let meta = SnapshotMeta {
        schema: SCHEMA,
        version,
        created_ms: 1_700_000_000_000,
        observations: vec![0; routes],
        routing,
    };
    Snapshot::new(meta, projection.clone(), &params).map_err(|e| e.to_string())
}
