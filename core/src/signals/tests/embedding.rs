//! Signals of embeddings, with heads small enough to know by heart.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::*;

/// Embeddings have two numbers here.
const D: usize = 2;

/// The bytes of a file of these tensors.
fn file(tensors: &[(&str, Vec<usize>, Vec<f32>)], cues: Option<&str>) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let metadata = cues.map(|cues| HashMap::from([("feedback.cues".to_owned(), cues.to_owned())]));
    safetensors::serialize(views, metadata).unwrap()
}

/// Domain 9, mathematics, along the first axis and domain 1, law, along the second; facts along the second; satisfied
/// along the first, and the cue `wrong` for a wrong answer.
fn heads() -> Heads {
    let mut domain = vec![0.0; 14 * D];
    (domain[9 * D], domain[D + 1]) = (8.0, 8.0);
    let mut feedback = vec![0.0; 5 * (D + 1)];
    (feedback[D + 1], feedback[4 * (D + 1) + 2]) = (3.0, 9.0);
    let tensors = [
        ("domain.weight", vec![14, D], domain),
        ("domain.bias", vec![14], vec![0.0; 14]),
        ("fact_check.weight", vec![1, D], vec![-4.0, 4.0]),
        ("fact_check.bias", vec![1], vec![0.0]),
        ("feedback.weight", vec![5, D + 1], feedback),
        ("feedback.bias", vec![5], vec![1.0, 0.0, 0.0, 0.0, 0.0]),
    ];
    Heads::parse(&file(&tensors, Some(r#"["wrong"]"#))).unwrap()
}

fn rules(embeddings: &[EmbeddingRule], candidates: &[[f32; D]]) -> SignalRules {
    let candidates = candidates.iter().map(|c| c.to_vec()).collect();
    SignalRules::new(&[], embeddings, Arc::new(SignalModel { heads: heads(), candidates })).unwrap()
}

fn near(name: &str, candidates: usize, threshold: f32, aggregation_method: Aggregation) -> EmbeddingRule {
    let candidates = (0..candidates).map(|i| format!("text {i}")).collect();
    EmbeddingRule { name: name.into(), candidates, threshold, aggregation_method }
}

fn read(rules: &SignalRules, prompt: &str, replies: bool, embedding: Option<&[f32]>) -> Signals {
    rules.extract(prompt, &RequestFacts { replies, ..Default::default() }, embedding)
}

#[test]
fn heads_tell_domain_facts_and_feedback_of_a_reply() {
    let rules = rules(&[], &[]);
    let found = read(&rules, "hello", true, Some(&[1.0, 0.0]));
    assert_eq!(found.domain.top().unwrap().0, "math");
    assert!((found.domain.0.iter().sum::<f32>() - 1.0).abs() < 1e-6 && found.domain.of("math") > 0.99);
    assert!(found.fact_check < 0.02);
    assert_eq!(found.feedback.kind, FeedbackKind::Satisfied);
    let told = found.explain().join("\n");
    assert!(
        told.contains("domain is math (score 1.00)") && told.contains("satisfied with the last"),
        "{told}"
    );
    let found = read(&rules, "this is WRONG", true, Some(&[0.0, 1.0]));
    assert_eq!((found.domain.top().unwrap().0, found.feedback.kind), ("law", FeedbackKind::WrongAnswer));
    assert!(found.fact_check > 0.98 && found.feedback.score > 0.9);
    let late = format!("{} wrong", "x".repeat(300));
    assert_eq!(read(&rules, &late, true, Some(&[0.0, 1.0])).feedback.kind, FeedbackKind::None);
    assert_eq!(read(&rules, "wrongly", true, Some(&[0.0, 1.0])).feedback.kind, FeedbackKind::None);
}

#[test]
fn a_turn_that_replies_to_nothing_is_no_feedback() {
    assert_eq!(read(&rules(&[], &[]), "wrong", false, Some(&[0.0, 1.0])).feedback, FeedbackSignal::default());
}

#[test]
fn without_an_embedding_or_heads_the_signals_are_neutral() {
    let all = rules(&[near("r", 1, 0.0, Aggregation::Max)], &[[1.0, 0.0]]);
    let neutral = |found: Signals| {
        found.domain.top().is_none()
            && found.fact_check == 0.0
            && found.feedback == FeedbackSignal::default()
            && found.embeddings.is_empty()
    };
    assert!(neutral(read(&all, "hi", true, None)));
    assert!(neutral(read(&all, "hi", true, Some(&[1.0, 0.0, 0.0]))), "of another size");
    let none = SignalRules::new(&[], &[near("r", 1, 0.0, Aggregation::Max)], Arc::default()).unwrap();
    assert!(neutral(read(&none, "hi", true, Some(&[1.0, 0.0]))));
}

#[test]
fn an_embedding_rule_fires_from_its_threshold_on_by_its_aggregate() {
    let (max, mean) = (near("max", 2, 0.75, Aggregation::Max), near("mean", 2, 0.75, Aggregation::Mean));
    let candidates = [[0.6, 0.8], [1.0, 0.0], [0.6, 0.8], [1.0, 0.0]];
    let rules = rules(&[max, mean], &candidates);
    let found = read(&rules, "hi", false, Some(&[1.0, 0.0])).embeddings;
    assert_eq!(found.iter().map(|hit| hit.rule.as_str()).collect::<Vec<_>>(), ["max", "mean"]);
    assert_eq!((found[0].score, found[0].candidate, found[0].max), (1.0, 1, 1.0));
    assert!((found[1].score - 0.8).abs() < 1e-6 && found[1].mean == found[0].mean);
    let found = read(&rules, "hi", false, Some(&[0.0, 1.0])).embeddings;
    assert_eq!(found.len(), 1, "the mean is 0.4");
    assert!(read(&rules, "hi", false, Some(&[0.0, -1.0])).embeddings.is_empty());
}

#[test]
fn a_rule_that_does_not_fire_is_measured_all_the_same_and_told_nowhere() {
    let rules = rules(&[near("far", 2, 0.9, Aggregation::Mean)], &[[0.6, 0.8], [1.0, 0.0]]);
    let found = read(&rules, "hi", false, Some(&[1.0, 0.0]));
    assert!(found.embeddings.is_empty());
    let near = found.measured("far").unwrap();
    assert!(near.max == 1.0 && (near.mean - 0.8).abs() < 1e-6 && near.score == near.mean);
    assert!(!found.explain().join("\n").contains("far"));
    // Records of before have no such list.
    let mut json = serde_json::to_value(&found).unwrap();
    json.as_object_mut().unwrap().remove("missed");
    let old: Signals = serde_json::from_value(json).unwrap();
    assert_eq!(old, Signals { missed: vec![], ..found });
    assert!(!serde_json::to_string(&old).unwrap().contains("missed"));
}

#[test]
fn faulty_embedding_rules_are_told_in_sentences() {
    let list = [
        near("", 1, 0.5, Aggregation::Max),
        near("none", 0, 0.5, Aggregation::Max),
        near("none", 1, 0.5, Aggregation::Max),
        near("far", 1, 1.5, Aggregation::Max),
        near("many", 600, 0.5, Aggregation::Max),
    ];
    let error = SignalRules::new(&[], &list, Arc::default()).unwrap_err();
    for part in
        ["rule 1 has no name", "`none` has no candidates", "two embedding", "outside 0..1", "more than 512"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_file_of_heads_is_read_whole_or_refused_in_a_clause() {
    let one = |name: &'static str, shape: Vec<usize>| {
        let weight = vec![0.0; shape.iter().product()];
        let bias = [("domain.bias", 14), ("fact_check.bias", 1), ("feedback.bias", 5)];
        let biases = bias.map(|(name, n)| (name, vec![n], vec![0.0; n]));
        [vec![(name, shape, weight)], biases.to_vec()].concat()
    };
    let table = [
        (one("domain.weight", vec![13, 2]), None, "[13, 2]"),
        (one("fact_check.weight", vec![2]), None, "instead of [1, D]"),
        (one("feedback.weight", vec![5, 2]), Some(r#"["a","b"]"#), "with 2 cues"),
        (one("feedback.weight", vec![5, 2]), Some("7"), "no list of texts"),
        (
            vec![
                ("domain.weight", vec![14, 1], vec![f32::NAN; 14]),
                ("domain.bias", vec![14], vec![0.0; 14]),
            ],
            None,
            "not finite",
        ),
        (vec![("domain.weight", vec![14, 1], vec![0.0; 14])], None, "domain.bias"),
        (
            [one("domain.weight", vec![14, 3]), vec![("fact_check.weight", vec![1, 2], vec![0.0; 2])]]
                .concat(),
            None,
            "different sizes",
        ),
    ];
    for (tensors, cues, told) in table {
        let error = Heads::parse(&file(&tensors, cues)).unwrap_err().to_string();
        assert!(error.contains(told), "{told}: {error}");
    }
    assert!(Heads::parse(b"nonsense").unwrap_err().to_string().contains("not a safetensors file"));
    assert_eq!(Heads::parse(&file(&[], None)), Ok(Heads::default()), "any of them may be missing");
}
