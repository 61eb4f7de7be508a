//! Signals in the filter: those of the snapshot's heads and rules, the same to the bit as natively, of the user's words.

use std::sync::Arc;

use dragoman_core::config::{Condition, StickyOverride};
use dragoman_core::embedding;
use dragoman_core::replay::ReplayRecord;
use dragoman_core::signals::{
    EmbeddingRule, FeedbackHead, FeedbackKind, Head, Heads, KeywordRule, SignalModel, Signals,
};
use dragoman_core::snapshot::Snapshot;
use dragoman_wasm_tests::mock::{EMBEDDING, Host, Plan, chat_headers, key, push, route_asking};
use serde_json::{Value, json};

/// Numbers that look random, in -1..1.
fn noise(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + salt * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
}

fn unit(salt: usize) -> Vec<f32> {
    let vector = noise(EMBEDDING, salt);
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter().map(|v| v / length).collect()
}

/// A snapshot with heads, an embedding rule near `unit(1)` and a keyword rule; the first decides.
fn snapshot() -> Snapshot {
    let mut plan = Plan::favouring(1, "strong");
    let routing = &mut plan.meta.routing;
    let candidates = vec!["a".into(), "b".into()];
    routing.embeddings =
        vec![EmbeddingRule { name: "near".into(), candidates, threshold: 0.8, ..Default::default() }];
    routing.keywords = vec![KeywordRule {
        name: "all".into(),
        all: vec!["red".into(), "blue".into()],
        ..Default::default()
    }];
    let not_feedback = Condition::Not(Box::new(Condition::Feedback(FeedbackKind::None)));
    routing.decisions[0].when = vec![Condition::Any(vec![Condition::Embedding("near".into()), not_feedback])];
    routing.decisions[0].sticky = Some(StickyOverride::Margin(0.5));
    let head = |rows: usize, extra: usize| {
        Head::new(noise(rows * (EMBEDDING + extra), rows), noise(rows, 9), EMBEDDING + extra).unwrap()
    };
    let cues = vec!["thanks".into(), "wrong".into()];
    let feedback = Some(FeedbackHead::new(head(5, 2), cues).unwrap());
    let heads = Heads { domain: Some(head(14, 0)), fact_check: Some(head(1, 0)), feedback };
    let model = SignalModel { heads, candidates: vec![unit(1), unit(2)] };
    plan.snapshot().with_signals(Arc::new(model)).unwrap()
}

fn host(snapshot: &Snapshot) -> Host {
    let host = Host::new().config(route_asking(0)).configured();
    assert_eq!(host.plugin(push()).push(&snapshot.encode(&key()).unwrap()).0, 200);
    host
}

/// The record of a conversation whose prompt has the embedding of `answer`, and the body that went on.
fn record(host: &Host, messages: Value, answer: &str) -> (ReplayRecord, Value) {
    let body = json!({"model": "auto", "messages": messages}).to_string();
    let mut stream = host.stream();
    stream.request_headers(&chat_headers(&body.len().to_string()), false);
    stream.request_body(&body, true);
    stream.call_answered(200, answer);
    let sent = serde_json::from_slice(stream.body()).unwrap();
    stream.answered("ok");
    (host.flush().pop().expect("a record"), sent)
}

fn answer(vector: &[f32]) -> String {
    json!({"data": [{"embedding": vector}]}).to_string()
}

#[test]
fn the_filter_reads_what_the_sidecar_would_read_to_the_bit() {
    let snapshot = snapshot();
    let (host, rules) = (host(&snapshot), snapshot.signal_rules().unwrap());
    for (i, prompt) in
        ["red and blue", "thanks!", "用Python写一个程序", "Prove that 3 + 4 = 7."].into_iter().enumerate()
    {
        let answer = answer(&unit(i + 1));
        let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                              {"role": "user", "content": prompt}]);
        let (record, _) = record(&host, messages, &answer);
        let vector = embedding::read(answer.as_bytes(), EMBEDDING).unwrap();
        let native: Signals = rules.extract(prompt, &record.request, Some(&vector));
        assert!(record.request.replies);
        assert_eq!(record.signals, native, "{prompt}");
        assert!(native.domain.top().is_some() && native.feedback.score > 0.0);
    }
}

#[test]
fn embedding_rules_decide() {
    let snapshot = snapshot();
    let host = host(&snapshot);
    let ask = |salt: usize| {
        let (record, _) = record(&host, json!([{"role": "user", "content": "Hello"}]), &answer(&unit(salt)));
        (record.decision, record.default_reason)
    };
    assert_eq!(ask(1), (Some("any".into()), None));
    assert_eq!(
        ask(3),
        (None, Some("no_rule".into())),
        "near neither candidate, and a first turn is no feedback"
    );
}

#[test]
fn the_words_of_a_harness_are_forwarded_but_not_read() {
    let snapshot = snapshot();
    let host = host(&snapshot);
    let content = "<system-reminder>\nred and blue\n</system-reminder>\nWhat time is it?";
    let (record, sent) = record(&host, json!([{"role": "user", "content": content}]), &answer(&unit(1)));
    assert_eq!(sent["messages"][0]["content"], content);
    assert!(record.signals.keywords.is_empty());
    assert_eq!(record.request.prompt_chars, "What time is it?".len() as u32);
}
