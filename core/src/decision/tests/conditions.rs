//! Which signals make a decision's conditions hold.

use super::*;
use crate::signals::{
    Complexity, Domains, EmbeddingHit, FeedbackKind, FeedbackSignal, KeywordHit, Language, Mode, ModeSignal,
};

/// Whether a decision with these conditions holds.
fn holds(when: Value, signals: &Signals) -> bool {
    let rules = json!({"keywords": [{"name": "k", "any": ["x"]}], "embeddings": [{"name": "e", "candidates": ["y"]}]});
    let decisions = json!([{"name": "d", "models": ["free"], "when": when}]);
    let world = World::new(&[0.5]).with("signals", rules).with("decisions", decisions);
    world.decide(signals, Api::ChatCompletions, 0.9).is_ok()
}

fn full() -> Signals {
    let mut domains = [0.0; 14];
    domains[11] = 0.7;
    Signals {
        keywords: vec![KeywordHit { rule: "k".into(), ..Default::default() }],
        embeddings: vec![EmbeddingHit { rule: "e".into(), ..Default::default() }],
        domain: Domains(domains),
        fact_check: 0.6,
        code: 0.6,
        complexity_level: Complexity::Moderate,
        mode: ModeSignal { kind: Mode::Debug, score: 0.5 },
        feedback: FeedbackSignal { kind: FeedbackKind::WrongAnswer, score: 0.9 },
        language: Language::Cjk,
        ..Default::default()
    }
}

#[test]
fn each_condition_tests_its_signal() {
    for one in [
        json!({"keyword": "k"}),
        json!({"embedding": "e"}),
        json!({"signal": "code"}),
        json!({"signal": "fact_check", "above": 0.59}),
        json!({"domain": "computer science", "above": 0.6}),
        json!({"mode": "debug"}),
        json!({"language": "cjk"}),
        json!({"feedback": "wrong_answer"}),
        json!({"complexity": "moderate"}),
    ] {
        assert!(holds(json!([one]), &full()), "{one}");
        assert!(!holds(json!([one]), &Signals::default()), "{one}");
        assert!(
            !holds(json!([{"not": one}]), &full()) && holds(json!([{"not": one}]), &Signals::default()),
            "{one}"
        );
    }
    assert!(
        !holds(json!([{"domain": "computer science", "above": 0.7}]), &full()),
        "a threshold is not above itself"
    );
}

#[test]
fn conditions_combine_to_a_tree() {
    let (yes, no) = (json!({"keyword": "k"}), json!({"signal": "math"}));
    for (when, expected) in [
        (json!([]), true),
        (json!([yes, no]), false),
        (json!([{"any": [yes, no]}]), true),
        (json!([{"all": [yes, no]}]), false),
        (json!([{"all": [yes, {"not": no}]}]), true),
        (json!([{"not": {"any": [no, {"all": [yes, no]}]}}, yes]), true),
    ] {
        assert_eq!(holds(when.clone(), &full()), expected, "{when}");
    }
}
