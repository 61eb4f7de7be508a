use dragoman_core::config::Config;
use dragoman_core::learner::Base;
use dragoman_core::replay::Escalated;
use dragoman_core::reward::Feedback;
use serde_json::json;

use super::*;
use crate::sample;

pub(crate) fn state() -> State {
    state_of(json!({}))
}

/// The same with other rewards.
pub(crate) fn state_of(reward: serde_json::Value) -> State {
    let document = json!({"default_model": "a", "models": {"a": {"endpoint": "http://h", "price": {}}},
        "learner": {"forgetting": 0.99}, "reward": reward});
    let config = Config::from_value(&document).unwrap();
    let base = Base::from_components(&[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    State::new(config.reward, Learner::new(config.learner, base, None))
}

fn record(status: u16) -> ReplayRecord {
    sample::record(status, 0.5)
}

#[test]
fn a_record_is_one_observation_of_its_route() {
    let mut state = state();
    let outcome = state.observe(&record(200));
    assert_eq!((outcome.route.as_deref(), outcome.ordinal), (Some("d/a"), Some(1)));
    assert!((outcome.reward.total - 0.48).abs() < 1e-12);
    assert_eq!(state.totals()["d/a"], RouteTotals { count: 1, sum: outcome.reward.total });
}

#[test]
fn an_escalated_record_is_a_failure_and_an_answer_and_worth_the_better() {
    let mut state = state();
    let to = |route: Option<&str>| Escalated { model: "b".into(), route: route.map(str::to_owned) };
    let both = ReplayRecord { escalated_to: Some(to(Some("d/b"))), ..record(200) };
    let outcome = state.observe(&both);
    assert_eq!((outcome.route.as_deref(), outcome.ordinal), (Some("d/b"), Some(1)));
    assert!((outcome.reward.total - 0.48).abs() < 1e-12);
    assert!((state.totals()["d/a"].sum + 0.4).abs() < 1e-12, "503 on the first");
    let outside = ReplayRecord { escalated_to: Some(to(None)), ..record(200) };
    let outcome = state.observe(&outside);
    assert_eq!((outcome.route, outcome.ordinal), (None, None), "the answer was no route's");
    assert_eq!((state.learner().observations("d/a"), state.learner().observations("d/b")), (2, 1));
}

#[test]
fn what_was_not_decided_teaches_nothing() {
    let mut state = state();
    let blank = state.clone();
    let outcome = state.observe(&ReplayRecord { route: None, ..record(200) });
    assert_eq!((outcome.route, outcome.ordinal), (None, None));
    assert_eq!(state, blank);
}

#[test]
fn raters_count_as_their_mean() {
    let mut state = state();
    let said = |rating| Evidence::Feedback {
        said: Feedback { rating: Some(rating), ..Default::default() },
        weight: 1.0,
    };
    let record = record(200);
    let ordinal = state.observe(&record).ordinal;
    let one = state.revise(&record, ordinal, &[], &[said(5)]);
    assert!((one.total - 0.88).abs() < 1e-12);
    let two = state.revise(&record, ordinal, &[said(5)], &[said(5), said(1)]);
    assert!((two.total - 0.48).abs() < 1e-12 && two.satisfaction == 0.0);
    assert!((state.totals()["d/a"].sum - 0.48).abs() < 1e-12);
}
