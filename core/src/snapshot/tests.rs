use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Config;
use crate::policy::{Landmarks, Projection};
use crate::request::RequestFacts;
use crate::signals::{EmbeddingRule, FeedbackHead, Head, Heads};

fn routing() -> Routing {
    let document = json!({
        "models": {
            "a": {"endpoint": "http://127.0.0.1:1", "price": {"input": 1, "output": 2}},
            "b": {"endpoint": "http://127.0.0.1:2", "price": {"input": 1, "output": 2}},
        },
        "default_model": "a",
    });
    Config::from_value(&document).unwrap().routing
}

fn params(k: usize, value: f32) -> RouteParams {
    let factor = Factor::Triangle(vec![value; packed_len(k)]);
    RouteParams { theta: vec![value; k], length: vec![0.0; k], factor, curve: None }
}

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        schema: SCHEMA,
        version: 7,
        created_ms: 1,
        observations: vec![0, 5],
        pace: Pace { cost_weight: 12.5, slack: 1e-4 },
        paces: [("default".to_owned(), Pace { cost_weight: 3.5, slack: 0.0 })].into(),
        routing: routing(),
    }
}

/// One landmark in two coordinates and a third as it is: three features.
fn landmarks() -> Landmarks {
    let projection = Projection::new(3, 50, vec![0.25; 150]).unwrap();
    Landmarks::new(projection, 1, vec![0.5; 2], vec![1.0]).unwrap()
}

fn build(first: f32) -> Result<Snapshot, SnapshotError> {
    Snapshot::new(meta(), Features::Landmarks(landmarks()), &[params(3, first), params(3, 2.0)])
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

#[test]
fn a_snapshot_survives_its_bytes() {
    let snapshot = build(1.5).unwrap();
    let blob = snapshot.encode(&key()).unwrap();
    let read = Snapshot::decode(&blob, &key().verifying_key()).unwrap();
    assert_eq!(read, snapshot);
    assert_eq!(read.route(1).unwrap().theta, [2.0; 3]);
    assert!(read.route(2).is_none());
    assert_eq!(read.embedding_size(), 2);
}

#[test]
fn a_curve_survives_its_bytes_and_must_go_through_a_mean_between_0_and_1() {
    let curve = Curve::through(0.7);
    let routes = [RouteParams { curve, ..params(3, 1.0) }, params(3, 2.0)];
    let mut snapshot = Snapshot::new(meta(), Features::Landmarks(landmarks()), &routes).unwrap();
    let read = Snapshot::decode_trusted(&snapshot.encode(&key()).unwrap()).unwrap();
    assert_eq!((read.route(0).unwrap().curve, read.route(1).unwrap().curve), (curve, None));
    for odd in [1.0, -0.5, f32::NAN] {
        snapshot.curve = vec![0.7, odd];
        let why = Snapshot::decode_trusted(&snapshot.encode(&key()).unwrap()).unwrap_err().to_string();
        assert!(why.contains("a curve goes through"), "{why}");
    }
}

#[test]
fn a_snapshot_of_the_whole_context_survives_its_bytes() {
    let d = 50;
    let low_rank = |value| {
        let factor = Factor::LowRank { rows: vec![value; 2 * packed_panel(d)], prior: value };
        RouteParams { factor, ..params(d, value) }
    };
    let routes = [low_rank(1.0), low_rank(2.0)];
    let snapshot = Snapshot::new(meta(), Features::Whole(d), &routes).unwrap();
    let read = Snapshot::decode_trusted(&snapshot.encode(&key()).unwrap()).unwrap();
    assert_eq!(read, snapshot);
    assert_eq!(read.route(1).unwrap().factor, routes[1].factor.as_slices());
    assert_eq!(read.embedding_size(), 2);
}

#[test]
fn a_snapshot_of_a_learner_that_has_seen_nothing_survives_its_bytes() {
    let features = Features::Landmarks(Landmarks::none(landmarks().projection().clone()));
    let snapshot = Snapshot::new(meta(), features, &[params(1, 0.0), params(1, 0.0)]).unwrap();
    assert_eq!(Snapshot::decode_trusted(&snapshot.encode(&key()).unwrap()), Ok(snapshot));
}

fn with_canary() -> Snapshot {
    let mut other = build(-0.5).unwrap();
    other.meta.version = 6;
    let split = Split { share: 10, salt: [u64::MAX, 2] };
    build(1.5).unwrap().with_canary(Some(Canary { split, snapshot: Box::new(other) })).unwrap()
}

#[test]
fn a_canary_travels_in_the_same_blob() {
    let snapshot = with_canary();
    let read = Snapshot::decode(&snapshot.encode(&key()).unwrap(), &key().verifying_key()).unwrap();
    assert_eq!(read, snapshot);
    let canary = read.canary().unwrap();
    assert_eq!((read.meta.version, canary.snapshot.meta.version, canary.split.share), (7, 6, 10));
    assert_eq!(read.with_canary(None).unwrap(), build(1.5).unwrap());
}

#[test]
fn a_canary_that_is_bad_makes_the_whole_blob_bad() {
    let bad = |change: fn(&mut Canary)| {
        let mut snapshot = with_canary();
        change(snapshot.canary.as_mut().unwrap());
        assert!(snapshot.check().is_err());
        Snapshot::decode_trusted(&snapshot.encode(&key()).unwrap()).unwrap_err().to_string()
    };
    let nan = bad(|c| c.snapshot.theta[0] = f32::NAN);
    assert!(nan.contains("its canary") && nan.contains("theta"), "{nan}");
    assert!(bad(|c| c.split.share = 101).contains("more than all"));
    assert!(bad(|c| *c.snapshot = with_canary()).contains("has a canary itself"));
    assert!(bad(|c| c.snapshot.meta.schema = 3).contains("schema 3"));
}

/// Heads for embeddings of two numbers, and a rule's candidates.
fn signals(candidates: &[&[f32]]) -> Arc<SignalModel> {
    let head = |rows: usize, columns: usize| {
        Head::new(vec![0.5; rows * columns], vec![0.25; rows], columns).unwrap()
    };
    let feedback = FeedbackHead::new(head(5, 3), vec!["no".into()]).unwrap();
    let heads = Heads { domain: Some(head(14, 2)), fact_check: Some(head(1, 2)), feedback: Some(feedback) };
    Arc::new(SignalModel { heads, candidates: candidates.iter().map(|c| c.to_vec()).collect() })
}

fn with_rule(mut snapshot: Snapshot) -> Snapshot {
    let candidates = vec!["a".into(), "b".into()];
    snapshot.meta.routing.embeddings =
        vec![EmbeddingRule { name: "r".into(), candidates, threshold: 0.5, ..Default::default() }];
    snapshot
}

#[test]
fn heads_and_candidates_travel_in_the_snapshot() {
    let model = signals(&[&[1.0, 0.0], &[0.6, 0.8]]);
    let snapshot = with_rule(build(1.5).unwrap()).with_signals(model).unwrap();
    let read = Snapshot::decode(&snapshot.encode(&key()).unwrap(), &key().verifying_key()).unwrap();
    assert_eq!(read, snapshot);
    let found = read.signal_rules().unwrap().extract("no", &RequestFacts::default(), Some(&[1.0, 0.0]));
    assert_eq!((found.embeddings.len(), found.domain.top().is_some()), (1, true));
}

#[test]
fn heads_and_candidates_that_do_not_fit_are_refused() {
    let refused = |snapshot: Snapshot, model| snapshot.with_signals(model).unwrap_err().to_string();
    let one = refused(with_rule(build(1.0).unwrap()), signals(&[&[1.0, 0.0]]));
    assert!(one.contains("1 candidates' embeddings instead of 2"), "{one}");
    let size = refused(with_rule(build(1.0).unwrap()), signals(&[&[1.0], &[1.0]]));
    assert!(size.contains("has 1 numbers instead of 2"), "{size}");
    let head = Head::new(vec![0.0; 3], vec![0.0], 3).unwrap();
    let heads = Heads { fact_check: Some(head), ..Heads::default() };
    let size = refused(build(1.0).unwrap(), Arc::new(SignalModel { heads, candidates: vec![] }));
    assert!(size.contains("embeddings of 3 numbers instead of 2"), "{size}");
}

#[test]
fn another_key_is_not_believed() {
    let blob = build(1.0).unwrap().encode(&key()).unwrap();
    let other = SigningKey::from_bytes(&[4; 32]).verifying_key();
    assert_eq!(Snapshot::decode(&blob, &other), Err(SnapshotError::NotAuthentic));
}

#[test]
fn a_number_that_is_not_finite_is_refused() {
    assert!(matches!(build(f32::NAN), Err(SnapshotError::Malformed(why)) if why.contains("theta")));
}

#[test]
fn a_price_of_a_dollar_that_is_not_finite_is_refused() {
    for pace in [(f64::NAN, 0.0), (1.0, f64::INFINITY)] {
        let meta = SnapshotMeta { pace: Pace { cost_weight: pace.0, slack: pace.1 }, ..meta() };
        let built = Snapshot::new(meta, Features::Landmarks(landmarks()), &[params(3, 1.0), params(3, 2.0)]);
        assert!(matches!(built, Err(SnapshotError::Malformed(why)) if why.contains("dollar")));
    }
}

#[test]
fn wrong_shapes_are_refused_with_both_sizes() {
    let error = Snapshot::new(meta(), Features::Landmarks(landmarks()), &[params(3, 1.0)]).unwrap_err();
    assert_eq!(error, SnapshotError::Malformed("theta has 3 numbers instead of 6 for 2 routes".into()));
}

#[test]
fn another_schema_is_named_as_such() {
    let mut snapshot = build(1.0).unwrap();
    snapshot.meta.schema = 99;
    let blob = snapshot.encode(&key()).unwrap();
    assert_eq!(Snapshot::decode(&blob, &key().verifying_key()), Err(SnapshotError::Schema(99)));
}

#[test]
fn an_index_outside_its_list_is_refused() {
    let mut snapshot = build(1.0).unwrap();
    snapshot.meta.routing.decisions[0].routes.push(9);
    let blob = snapshot.encode(&key()).unwrap();
    assert!(matches!(Snapshot::decode_trusted(&blob), Err(SnapshotError::Malformed(_))));
}

proptest! {
    #[test]
    fn a_changed_byte_is_always_noticed(at in 0usize..8000, flip in 1u8..=255) {
        let mut blob = with_canary().encode(&key()).unwrap();
        let at = at % blob.len();
        blob[at] ^= flip;
        prop_assert!(Snapshot::decode(&blob, &key().verifying_key()).is_err());
    }

    #[test]
    fn a_cut_snapshot_is_always_noticed(keep in 0usize..4000) {
        let blob = build(1.0).unwrap().encode(&key()).unwrap();
        let keep = keep % blob.len();
        prop_assert!(Snapshot::decode(&blob[..keep], &key().verifying_key()).is_err());
        prop_assert!(Snapshot::decode_trusted(&blob[..keep]).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut blob = b"DRAGOMAN".to_vec();
        blob.extend(bytes);
        prop_assert!(Snapshot::decode_trusted(&blob).is_err());
    }
}
