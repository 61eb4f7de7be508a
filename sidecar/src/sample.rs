//! Records for the unit tests of this crate.

use dragoman_core::context::Context;
use dragoman_core::replay::{ReplayRecord, SCHEMA, Stages};
use dragoman_core::request::{Api, RequestFacts};
use dragoman_core::response::ResponseFacts;
use dragoman_core::signals::Signals;

/// D of the sample records' contexts.
pub(crate) const D: usize = 2;

/// A record of route `d/a`, answered with `status`, about a prompt whose embedding is `[x, -x]`.
pub(crate) fn record(status: u16, x: f32) -> ReplayRecord {
    let (signals, request) = (Signals::default(), RequestFacts::default());
    ReplayRecord {
        schema: SCHEMA,
        id: "x".into(),
        time_ms: 0,
        session: None,
        snapshot_version: 3,
        arm: "live".into(),
        api: Api::ChatCompletions,
        context: Some(Context::new(Some(&[x, -x]), D, &signals, &request)),
        decision: Some("d".into()),
        candidates: vec![],
        route: Some("d/a".into()),
        model: "a".into(),
        propensity: 1.0,
        explored: false,
        sticky: false,
        default_reason: None,
        signals,
        request,
        response: ResponseFacts { status, body_valid: true, has_content: true, ..Default::default() },
        escalated_to: None,
        cost: 0.0,
        stages: Stages::default(),
        prompt: None,
        thread: Default::default(),
        sample: None,
    }
}
