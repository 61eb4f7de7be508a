//! Thresholds of conditions; thresholds and aggregations of embedding rules.

use super::super::{Both, Dial, Evidence, Knob, Side};
use super::apply::of_aggregation;
use super::record::Record;
use super::{Thresholds, singles};
use crate::config::{Condition, OptimizerConfig, Routing, SignalName};
use crate::decision::score_of;
use crate::signals::{Aggregation, EmbeddingRule, Signals};

/// Of every condition with a threshold, wherever it stands.
pub(super) fn thresholds(configured: &Routing, now: &Routing, records: &[Record]) -> Vec<Dial> {
    let mut dials = Vec::new();
    for decision in &now.decisions {
        let original = configured.decisions.iter().find(|d| d.name == decision.name);
        let Some(original) = original else { continue };
        let mut names = Thresholds::of(&decision.name);
        // Tuning changes numbers only: both trees have the same conditions in the same order.
        for (original, condition) in singles(&original.when).into_iter().zip(singles(&decision.when)) {
            let (Some((knob, value)), Some(configured)) = (names.next(condition), threshold_of(original))
            else {
                continue;
            };
            let side = |record: &Record| {
                let signal = f64::from(score(condition, &record.seen.signals)?);
                let above = record.hinges(|single| std::ptr::eq(single, condition))?;
                Some(Side { signal, above, got: record.got })
            };
            dials.push(Dial {
                knob,
                configured: f64::from(configured),
                value: f64::from(value),
                evidence: Evidence::Threshold(records.iter().filter_map(side).collect()),
            });
        }
    }
    dials
}

/// Of every embedding rule that decisions ask. What its threshold and its aggregation decide is whether it fires, in
/// all decisions at once.
pub(super) fn embeddings(
    configured: &Routing,
    now: &Routing,
    records: &[Record],
    config: &OptimizerConfig,
) -> Vec<Dial> {
    let mut dials = Vec::new();
    for (original, rule) in configured.embeddings.iter().zip(&now.embeddings) {
        let prompts = prompts(rule, records);
        let side = |p: &Both| Side { signal: by(rule.aggregation_method, p), above: p.above, got: p.got };
        dials.push(Dial {
            knob: Knob::Embedding { rule: rule.name.clone() },
            configured: f64::from(original.threshold),
            value: f64::from(rule.threshold),
            evidence: Evidence::Threshold(prompts.iter().map(side).collect()),
        });
        if tells(rule, &prompts, config.samples) {
            dials.push(Dial {
                knob: Knob::Aggregation { rule: rule.name.clone() },
                configured: of_aggregation(original.aggregation_method),
                value: of_aggregation(rule.aggregation_method),
                evidence: Evidence::Aggregation(prompts),
            });
        }
    }
    dials
}

/// The prompts whose decision hinges on whether the rule fires, and that it was measured with.
fn prompts(rule: &EmbeddingRule, records: &[Record]) -> Vec<Both> {
    let own = |single: &Condition| matches!(single, Condition::Embedding(name) if *name == rule.name);
    let both = |record: &Record| {
        let hit = record.seen.signals.measured(&rule.name)?;
        let (max, mean) = (f64::from(hit.max), f64::from(hit.mean));
        Some(Both { max, mean, above: record.hinges(own)?, got: record.got })
    };
    records.iter().filter_map(both).collect()
}

/// Whether the rule would tell prompts apart by its other aggregate too: a mean that hardly ever reaches the threshold
/// would switch the rule off, which is not for an aggregation to say.
fn tells(rule: &EmbeddingRule, prompts: &[Both], least: usize) -> bool {
    let other = match rule.aggregation_method {
        Aggregation::Max => Aggregation::Mean,
        Aggregation::Mean => Aggregation::Max,
    };
    let fires = prompts.iter().filter(|p| by(other, p) >= f64::from(rule.threshold)).count();
    fires.min(prompts.len() - fires) >= least
}

fn by(aggregation: Aggregation, prompt: &Both) -> f64 {
    match aggregation {
        Aggregation::Max => prompt.max,
        Aggregation::Mean => prompt.mean,
    }
}

fn threshold_of(condition: &Condition) -> Option<f32> {
    match condition {
        Condition::Above(_, threshold) | Condition::Domain(_, threshold) => Some(*threshold),
        _ => None,
    }
}

/// What a threshold is compared with; `None` of what is read off an embedding where there was none.
fn score(condition: &Condition, signals: &Signals) -> Option<f32> {
    let of_embedding = |score: f32| (score > 0.0).then_some(score);
    match condition {
        Condition::Above(SignalName::FactCheck, _) => of_embedding(signals.fact_check),
        Condition::Domain(name, _) => of_embedding(signals.domain.of(name)),
        Condition::Above(signal, _) => Some(score_of(*signal, signals)),
        _ => None,
    }
}
