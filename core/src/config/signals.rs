//! The rules of `signals`: keywords and embeddings.

use std::sync::Arc;

use super::section::Section;
use crate::signals::{Aggregation, EmbeddingRule, KeywordRule, SignalRules};

const AGGREGATIONS: [(&str, Aggregation); 2] = [("max", Aggregation::Max), ("mean", Aggregation::Mean)];

/// All rules, checked one by one and together.
pub(super) fn read(root: &Section) -> (Vec<KeywordRule>, Vec<EmbeddingRule>) {
    let signals = root.section("signals");
    let keywords: Vec<KeywordRule> = signals.sections("keywords").iter().map(read_keywords).collect();
    let embeddings: Vec<EmbeddingRule> = signals.sections("embeddings").iter().map(read_embeddings).collect();
    let names = keywords.iter().map(|rule| ("keywords", &rule.name));
    let names: Vec<_> = names.chain(embeddings.iter().map(|rule| ("embeddings", &rule.name))).collect();
    for (i, (list, name)) in names.iter().enumerate() {
        if names.iter().take(i).any(|earlier| earlier == &(*list, *name)) {
            signals.error(list, format!("\"{name}\" is used twice"));
        }
    }
    for (list, checked) in [
        ("keywords", SignalRules::new(&keywords, &[], Arc::default())),
        ("embeddings", SignalRules::new(&[], &embeddings, Arc::default())),
    ] {
        if let Err(why) = checked {
            signals.error(list, why);
        }
    }
    signals.finish();
    (keywords, embeddings)
}

fn read_keywords(section: &Section) -> KeywordRule {
    let rule = KeywordRule {
        name: section.required("name", "what this keyword rule is called"),
        any: section.texts("any"),
        all: section.texts("all"),
        none: section.texts("none"),
        case_sensitive: section.switch("case_sensitive", false),
        weight: section.number("weight", 0.0..=1.0, 0.5) as f32,
        weights: section.numbers("weights", 0.0..=1.0).into_iter().map(|(k, n)| (k, n as f32)).collect(),
    };
    if rule.any.is_empty() && rule.all.is_empty() {
        section.error("any", "must list at least one word or phrase, unless `all` does");
    }
    section.finish();
    rule
}

fn read_embeddings(section: &Section) -> EmbeddingRule {
    let rule = EmbeddingRule {
        name: section.required("name", "what this embedding rule is called"),
        candidates: section.texts("candidates"),
        threshold: section.number("threshold", 0.0..=1.0, 0.75) as f32,
        aggregation_method: section.choice("aggregation_method", &AGGREGATIONS, Aggregation::Max),
    };
    if rule.candidates.is_empty() {
        section
            .error("candidates", "must list at least one text that is typical of what the rule is to notice");
    }
    section.finish();
    rule
}
