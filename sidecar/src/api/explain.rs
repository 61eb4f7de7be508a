//! Why a request went where it went: numbers for machines and sentences for people.

use dragoman_core::config::{PolicyKind, PolicyParams, Routing};
use dragoman_core::replay::{CandidateRecord, ReplayRecord};
use serde_json::{Value, json};

/// What the filter's reasons for a request without a decision mean; others are shown as they are.
const REASONS: [(&str, &str); 10] = [
    ("no_body", "it had no body"),
    ("too_large", "its body was larger than requests.max_body_bytes"),
    ("encoded", "its body was compressed"),
    ("trailers", "its body ended in trailers"),
    ("not_json", "its body was not JSON"),
    ("bad_type", "a field of its body had the wrong type"),
    ("no_prompt", "it had no user prompt"),
    ("no_snapshot", "the filter had no snapshot yet"),
    ("no_rule", "no decision's conditions held for this prompt"),
    ("no_candidate", "no candidate model speaks its format"),
];

/// The explanation of `record`. Utilities are what the filter computed; only the sentences are written here.
pub(super) fn explain(record: &ReplayRecord, routing: &Routing) -> Value {
    let own = routing.decisions.iter().find(|d| record.decision.as_ref() == Some(&d.name));
    let policy = own.map_or(routing.policy, |decision| routing.policy_of(decision));
    let best = best(record).map(|c| &c.route);
    let candidates: Vec<Value> = record
        .candidates
        .iter()
        .map(|c| {
            json!({
                "route": c.route,
                "predicted_reward": c.reward,
                "exploration_bonus": c.bonus,
                "predicted_cost": c.cost,
                "utility": c.utility,
                "propensity": c.propensity,
                "chosen": record.route.as_ref() == Some(&c.route),
                "best": best == Some(&c.route),
            })
        })
        .collect();
    json!({
        "sentences": sentences(record, &policy),
        "chosen": record.route,
        "model": record.model,
        "escalated_to": record.escalated_to,
        "explored": record.explored,
        "sticky": record.sticky,
        "candidates": candidates,
        "signals": record.signals.explain(),
    })
}

fn sentences(record: &ReplayRecord, policy: &PolicyParams) -> Vec<String> {
    let mut told = vec![choice(record, policy)];
    if let Some(decision) = &record.decision {
        told.insert(
            0,
            format!("The decision `{decision}` held and gave {}.", counted(record.candidates.len())),
        );
    }
    if let Some(next) = &record.escalated_to {
        told.push(format!(
            "`{}` failed, so `{}` answered instead; the client did not notice.",
            record.model, next.model
        ));
    }
    if record.snapshot_version > 0 {
        told.push(format!("The parameters were those of snapshot {}.", record.snapshot_version));
    }
    told
}

fn choice(record: &ReplayRecord, policy: &PolicyParams) -> String {
    let model = &record.model;
    let Some(route) = &record.route else {
        let why = record.default_reason.as_deref().map_or("no candidate had a utility above 0", |reason| {
            REASONS.iter().find(|(name, _)| *name == reason).map_or(reason, |(_, sentence)| sentence)
        });
        return format!("The request went to the default model `{model}`, because {why}.");
    };
    let Some(chosen) = record.candidates.iter().find(|c| c.route == *route) else {
        return format!("The request went to `{route}`.");
    };
    if policy.kind == PolicyKind::Uniform {
        return format!("Chance took `{route}`: the policy is uniform and takes every candidate alike.");
    }
    let terms = terms(chosen);
    if record.sticky {
        return format!(
            "The conversation stayed on `{route}`, whose utility was {terms}: no other was expected to gain more \
             than sticky.margin."
        );
    }
    if record.explored {
        let best = best(record).map_or_else(String::new, |b| format!(" `{}` had {:.3}.", b.route, b.utility));
        return format!(
            "Chance took `{route}` (it does so with a probability of {:.1} %), to learn what it is worth: its \
             utility was {terms}.{best}",
            100.0 * chosen.propensity
        );
    }
    if policy.kind == PolicyKind::Static {
        return format!("`{route}` has the highest score of the candidates, and the policy is static.");
    }
    let next =
        record.candidates.iter().filter(|c| c.route != *route).max_by(|a, b| a.utility.total_cmp(&b.utility));
    match next {
        None => format!("`{route}` was the only candidate; its utility was {terms}."),
        Some(next) if next.utility > chosen.utility => {
            // Only the default model's own route is taken with less than the best utility: all were 0 or below.
            format!(
                "No candidate had a utility above 0, so the default model's `{route}` was taken with {terms}."
            )
        }
        Some(next) => {
            let next = format!("the next was `{}` with {:.3}", next.route, next.utility);
            format!("`{route}` had the highest utility, {terms}; {next}.")
        }
    }
}

/// The utility as the sum it is. λ·ĉ is what is missing of it, so it fits the λ of that time.
fn terms(c: &CandidateRecord) -> String {
    let cost = c.reward + c.bonus - c.utility;
    // Only linucb gives one.
    let bonus = if c.bonus > 0.0 { format!(" + {:.3} exploration bonus", c.bonus) } else { String::new() };
    format!(
        "{:.3} = {:.3} predicted reward{bonus} − {cost:.3} for a predicted cost of ${:.6}",
        c.utility, c.reward, c.cost
    )
}

/// The candidate of the highest utility; of equals the first.
fn best(record: &ReplayRecord) -> Option<&CandidateRecord> {
    record.candidates.iter().rev().max_by(|a, b| a.utility.total_cmp(&b.utility))
}

fn counted(candidates: usize) -> String {
    format!("{candidates} candidate{}", if candidates == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
