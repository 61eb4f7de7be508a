use proptest::prelude::*;

use super::*;
use crate::signals::FeedbackKind;

fn ok() -> ResponseFacts {
    ResponseFacts { status: 200, body_valid: true, has_content: true, ..Default::default() }
}

fn total(response: &ResponseFacts, cost: f64, evidence: &[Evidence]) -> f64 {
    Reward::of(&RewardConfig::default(), response, cost, evidence).total
}

fn satisfaction(evidence: &[Evidence]) -> f64 {
    Reward::of(&RewardConfig::default(), &ok(), 0.0, evidence).satisfaction
}

fn said(rating: u8) -> Evidence {
    weighted(rating, 1.0)
}

fn weighted(rating: u8, weight: f64) -> Evidence {
    Evidence::Feedback { said: Feedback { rating: Some(rating), ..Default::default() }, weight }
}

fn turn(kind: FeedbackKind, score: f32) -> Evidence {
    Evidence::FollowUp { kind, score }
}

#[test]
fn the_table_of_the_design_holds() {
    assert!((total(&ok(), 0.0, &[]) - 0.4 * 1.2).abs() < 1e-12);
    let cached = ResponseFacts { cache_hit: true, ..ok() };
    assert!((total(&cached, 0.0, &[]) - 0.4 * 1.4).abs() < 1e-12);
    let streamed = ResponseFacts { stream: true, stream_complete: true, ..ok() };
    assert!((total(&streamed, 0.0, &[]) - 0.4 * 1.3).abs() < 1e-12);
    let status = |status| ResponseFacts { status, ..Default::default() };
    assert!((total(&status(404), 0.0, &[]) - 0.4 * -0.5).abs() < 1e-12);
    assert!((total(&status(503), 0.0, &[]) - -0.4).abs() < 1e-12);
    for (evidence, worth) in [
        (turn(FeedbackKind::Satisfied, 1.0), 1.0),
        (turn(FeedbackKind::NeedClarification, 1.0), 0.0),
        (turn(FeedbackKind::WantDifferent, 1.0), -0.3),
        (turn(FeedbackKind::WrongAnswer, 1.0), -1.0),
        (turn(FeedbackKind::None, 0.0), 0.0),
        (Evidence::Complaint, -0.5),
        (Evidence::Regenerated, -0.5),
        (Evidence::Silence, 0.5),
        (Evidence::Judge { score: 5 }, 1.0),
        (Evidence::Judge { score: 4 }, 0.5),
        (Evidence::Judge { score: 1 }, -1.0),
    ] {
        assert_eq!(satisfaction(&[evidence]), worth, "{evidence:?}");
    }
}

#[test]
fn feedback_moves_the_reward_by_its_weight() {
    let wrong = Feedback { correct: Some(false), ..Default::default() };
    let wrong = Evidence::Feedback { said: wrong, weight: 1.0 };
    assert!((total(&ok(), 0.0, &[said(5)]) - total(&ok(), 0.0, &[]) - 0.4).abs() < 1e-12);
    assert!((total(&ok(), 0.0, &[wrong]) - total(&ok(), 0.0, &[]) + 0.4).abs() < 1e-12);
}

#[test]
fn raters_count_as_their_weighted_mean_and_a_light_voice_alone_counts_for_little() {
    assert_eq!(satisfaction(&[said(5), said(1)]), 0.0);
    assert_eq!(satisfaction(&[said(5), said(5), said(1), said(3)]), 0.25);
    assert_eq!(satisfaction(&[weighted(1, 0.25)]), -0.25);
    assert_eq!(satisfaction(&[said(5), weighted(1, 0.25)]), 0.6);
}

#[test]
fn what_is_said_outright_outweighs_what_is_inferred() {
    let thanks = turn(FeedbackKind::Satisfied, 1.0);
    assert!((satisfaction(&[thanks, said(1)]) + 0.6).abs() < 1e-12, "four to one");
    assert!(satisfaction(&[thanks, thanks, Evidence::Judge { score: 5 }, said(1)]) < -0.5);
}

#[test]
fn an_unsure_detector_counts_for_little_and_a_follow_up_ends_silence() {
    let unsure = turn(FeedbackKind::WrongAnswer, 0.5);
    assert_eq!(satisfaction(&[unsure]), -0.5);
    assert_eq!(satisfaction(&[Evidence::Silence, unsure]), -0.5, "it arrived late");
    assert_eq!(satisfaction(&[Evidence::Silence, turn(FeedbackKind::None, 0.0)]), 0.0);
    assert_eq!(satisfaction(&[Evidence::Silence, Evidence::Judge { score: 5 }]), 0.75);
}

#[test]
fn a_detector_agrees_with_raters_by_the_first_word_of_each() {
    let (thanks, wrong) = (turn(FeedbackKind::Satisfied, 0.6), turn(FeedbackKind::WrongAnswer, 0.6));
    let agree = |evidence: &[Evidence]| agreement(&RewardConfig::default(), evidence);
    assert_eq!((agree(&[said(5), thanks]), agree(&[thanks, said(4)])), (Some(true), Some(true)));
    assert_eq!((agree(&[said(1), thanks]), agree(&[wrong, said(1)])), (Some(false), Some(true)));
    assert_eq!(agree(&[said(1), turn(FeedbackKind::WantDifferent, 1.0)]), Some(true));
    assert_eq!(agree(&[said(5), thanks, wrong, said(1)]), Some(true), "it stays");
    let neither = [turn(FeedbackKind::None, 0.9), turn(FeedbackKind::NeedClarification, 0.9)];
    for neutral in [&[said(5)][..], &[thanks], &[said(3), thanks], &[weighted(5, 0.0), thanks]] {
        assert_eq!(agree(neutral), None, "{neutral:?}");
    }
    for follow_up in neither.into_iter().chain([Evidence::Complaint, Evidence::Judge { score: 5 }]) {
        assert_eq!(agree(&[said(5), follow_up]), None, "{follow_up:?}");
    }
}

#[test]
fn cost_is_a_penalty_that_saturates() {
    assert!((total(&ok(), 0.005, &[]) - (0.48 - 0.1)).abs() < 1e-12);
    assert!((total(&ok(), 9.0, &[]) - (0.48 - 0.2)).abs() < 1e-12);
}

#[test]
fn the_best_and_the_worst_answers_are_the_ends_of_the_range() {
    let (low, high) = Reward::range(&RewardConfig::default());
    let best = ResponseFacts { cache_hit: true, stream: true, stream_complete: true, ..ok() };
    let worst = ResponseFacts { status: 500, ..Default::default() };
    assert!((total(&best, 0.0, &[said(5)]) - high).abs() < 1e-12);
    assert!((total(&worst, 9.0, &[said(1)]) - low).abs() < 1e-12);
}

#[test]
fn evidence_survives_the_log() {
    for evidence in
        [said(2), turn(FeedbackKind::WantDifferent, 0.1), Evidence::Silence, Evidence::Judge { score: 3 }]
    {
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    }
    let text = serde_json::to_string(&turn(FeedbackKind::WrongAnswer, 0.5)).unwrap();
    assert_eq!(text, r#"{"source":"follow_up","kind":"wrong_answer","score":0.5}"#);
}

fn evidence() -> impl Strategy<Value = Evidence> {
    use FeedbackKind as Kind;
    let kinds =
        [Kind::None, Kind::Satisfied, Kind::NeedClarification, Kind::WantDifferent, Kind::WrongAnswer];
    let follow_up = (prop::sample::select(kinds.to_vec()), 0f32..=1.0);
    let rated = (1u8..=5, 0f64..=1.0).prop_map(|(rating, weight)| weighted(rating, weight));
    prop_oneof![
        rated,
        follow_up.prop_map(|(kind, score)| Evidence::FollowUp { kind, score }),
        Just(Evidence::Complaint),
        Just(Evidence::Regenerated),
        Just(Evidence::Silence),
        (1u8..=5).prop_map(|score| Evidence::Judge { score }),
    ]
}

proptest! {
    #[test]
    fn a_reward_never_leaves_its_range(
        status in prop::sample::select(vec![0u16, 200, 404, 500]),
        flags in any::<[bool; 5]>(),
        cost in 0f64..1.0,
        values in prop::array::uniform12(-1f64..=1.0),
        evidence in prop::collection::vec(evidence(), 0..8),
    ) {
        let [ok, client_error, server_error, cache_hit, complete_stream, valid_body, satisfied,
            need_clarification, want_different, wrong_answer, dissatisfaction, no_follow_up] = values;
        let config = RewardConfig {
            ok, client_error, server_error, cache_hit, complete_stream, valid_body, satisfied, need_clarification,
            want_different, wrong_answer, dissatisfaction, no_follow_up, ..Default::default()
        };
        let [cache, stream, complete, valid, content] = flags;
        let response = ResponseFacts {
            status, cache_hit: cache, stream, stream_complete: complete, body_valid: valid, has_content: content,
            ..Default::default()
        };
        let reward = Reward::of(&config, &response, cost, &evidence);
        let (low, high) = Reward::range(&config);
        prop_assert!(low - 1e-12 <= reward.total && reward.total <= high + 1e-12, "{reward:?} {low} {high}");
        prop_assert!(reward.satisfaction.abs() <= 1.0);
    }
}
