//! Models' scores and keywords' weights.

use super::super::{Dial, Draw, Evidence, Knob, Rewarded};
use super::record::Record;
use super::singles;
use crate::config::{Condition, OptimizerConfig, PolicyKind, Routing};

/// Of the models of every decision that chooses by scores (`policy: static`); elsewhere a score decides nothing, and a
/// change of it would be a proposal that changes nothing.
///
/// Such a decision explores nothing either. Its best model is known by what it earns, the others keep the score that
/// the configuration gives them until the best one has sunk below it.
pub(super) fn scores(configured: &Routing, now: &Routing, records: &[Record]) -> Vec<Dial> {
    let mut dials = Vec::new();
    for (place, decision) in now.decisions.iter().enumerate() {
        let original = configured.decisions.iter().find(|d| d.name == decision.name);
        let Some(original) = original else { continue };
        if now.policy_of(decision).kind != PolicyKind::Static || decision.routes.len() < 2 {
            continue;
        }
        let models = decision.routes.iter().filter_map(|route| now.models.get(now.routes.get(*route)?.model));
        for model in models.map(|model| &model.name) {
            let draw = |record: &Record| {
                let tried = record.seen.tried.as_ref().filter(|tried| tried.model == *model)?;
                let got = Rewarded { reward: tried.reward, ..record.got };
                (record.taken == place).then_some(Draw { propensity: tried.propensity, got })
            };
            dials.push(Dial {
                knob: Knob::Score { decision: decision.name.clone(), model: model.clone() },
                configured: f64::from(original.score(model)),
                value: f64::from(decision.score(model)),
                evidence: Evidence::Score(records.iter().filter_map(draw).collect()),
            });
        }
    }
    dials
}

/// Of the keywords of every rule that decisions ask: what prompts with the keyword earned where the rule sent them,
/// against prompts of the decisions that do not ask it. A hit names four keywords at most; those behind are not counted.
pub(super) fn keywords(
    configured: &Routing,
    now: &Routing,
    records: &[Record],
    config: &OptimizerConfig,
) -> Vec<Dial> {
    let mut dials = Vec::new();
    for (original, rule) in configured.keywords.iter().zip(&now.keywords) {
        let own = |single: &Condition| matches!(single, Condition::Keyword(name) if *name == rule.name);
        let asks: Vec<bool> = now.decisions.iter().map(|d| singles(&d.when).into_iter().any(own)).collect();
        let hit = |record: &Record| {
            let hit = record.seen.signals.keywords.iter().position(|hit| hit.rule == rule.name)?;
            (record.hinges(own) == Some(true)).then_some(hit)
        };
        let sent: Vec<(&Record, usize)> = records.iter().filter_map(|r| Some((r, hit(r)?))).collect();
        if sent.len() < config.samples {
            continue;
        }
        let elsewhere = records.iter().filter(|r| asks.get(r.taken) != Some(&true));
        let others: Vec<Rewarded> = elsewhere.map(|r| r.got).collect();
        for keyword in rule.any.iter().chain(&rule.all) {
            let has = |(record, hit): &&(&Record, usize)| {
                record.seen.signals.keywords.get(*hit).is_some_and(|hit| hit.matched.contains(keyword))
            };
            let hits: Vec<Rewarded> = sent.iter().filter(has).map(|(record, _)| record.got).collect();
            if hits.len() >= config.samples {
                dials.push(Dial {
                    knob: Knob::Keyword { rule: rule.name.clone(), keyword: keyword.clone() },
                    configured: f64::from(original.weight_of(keyword)),
                    value: f64::from(rule.weight_of(keyword)),
                    evidence: Evidence::Keyword { hits, others: others.clone() },
                });
            }
        }
    }
    dials
}
