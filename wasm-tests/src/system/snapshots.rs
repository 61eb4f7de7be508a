//! Snapshots whose outcome is known: every route has one fixed predicted reward, whatever the prompt.

use base64::Engine as _;
use dragoman_core::config::Routing;
use dragoman_core::context::{META, SIGNALS};
use dragoman_core::learner::Pace;
use dragoman_core::policy::{BIAS, Factor, Features, Landmarks, Projection, packed_len};
use dragoman_core::snapshot::{RouteParams, SCHEMA, SigningKey, Snapshot, SnapshotMeta};

use super::System;

/// Size of the shipped encoder's embedding.
const EMBEDDING: usize = 384;

/// Which model a snapshot favours, and how.
pub struct Favour<'a> {
    /// The model with the highest reward.
    pub model: &'a str,
    /// The model with the second highest, where a retry goes.
    pub then: &'a str,
    /// k, to make the snapshot as large as a real one.
    pub dimensions: usize,
}

/// A snapshot of `version` that sends everything to one model.
pub fn favouring(routing: &Routing, version: u64, favour: &Favour) -> Snapshot {
    let (k, d) = (favour.dimensions, EMBEDDING + SIGNALS + META);
    let projection = Projection::new(k, d, vec![0.0; k * d]).expect("a projection");
    let m = k - 1;
    let landmarks = Landmarks::new(projection, 0, vec![0.0; m * k], vec![0.0; m * m]).expect("landmarks");
    let mut routing = routing.clone();
    routing.policy.epsilon = 0.0;
    routing.policy.alpha = 0.0;
    let params = |reward: f32| {
        let mut theta = vec![0.0; k];
        theta[m] = reward / BIAS; // the constant feature is the last
        let factor = Factor::Triangle(vec![0.0; packed_len(k)]);
        RouteParams { theta, length: vec![0.0; k], factor, curve: None }
    };
    let routes: Vec<RouteParams> = routing
        .routes
        .iter()
        .map(|route| match routing.models[route.model].name.as_str() {
            name if name == favour.model => params(1.0),
            name if name == favour.then => params(0.5),
            _ => params(0.1),
        })
        .collect();
    let created_ms = 1_700_000_000_000;
    let observations = vec![1000; routes.len()];
    let pace = Pace { cost_weight: f64::from(routing.policy.cost_weight), slack: 0.0 };
    let paces = Default::default();
    let meta = SnapshotMeta { schema: SCHEMA, version, created_ms, observations, pace, paces, routing };
    Snapshot::new(meta, Features::Landmarks(landmarks), &routes).expect("a snapshot")
}

/// Signs it with the system's own key, as the sidecar would.
pub fn sign(system: &System, snapshot: &Snapshot) -> Vec<u8> {
    snapshot.encode(&key(system)).expect("the snapshot is signed")
}

/// Signs bytes that no snapshot would make.
pub fn sign_payload(system: &System, payload: &[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer;
    [b"DRAGOMAN", &key(system).sign(payload).to_bytes()[..], payload].concat()
}

fn key(system: &System) -> SigningKey {
    let text = std::fs::read_to_string(system.data_dir().join("signing.key")).expect("render made the key");
    let seed = base64::engine::general_purpose::STANDARD.decode(text.trim()).expect("the key is base64");
    SigningKey::from_bytes(&seed.try_into().expect("the key has 32 bytes"))
}
