//! Embedding rules: the operator's own example texts, and how near a prompt must be to them.

use std::collections::BTreeSet;

use dragoman_lanes::dot;
use serde::{Deserialize, Serialize};

/// A longer candidate is a pasted text by mistake.
const MAX_CANDIDATE_BYTES: usize = 2_000;
/// Candidates of all rules together: each costs a request some 0.1 µs per 100 numbers of an embedding.
const MAX_CANDIDATES: usize = 512;

/// A rule that fires when a prompt's embedding is near those of its candidates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingRule {
    /// The rule's name; unique.
    pub name: String,
    /// Texts that are typical of what the rule is to notice.
    pub candidates: Vec<String>,
    /// Fires from this score on.
    pub threshold: f32,
    /// How the candidates make one score.
    #[serde(default)]
    pub aggregation_method: Aggregation,
}

/// How the cosines of several candidates make one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The nearest candidate's.
    #[default]
    Max,
    /// Their mean.
    Mean,
}

/// How near a prompt was to a rule. Cosines below 0 count as 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingHit {
    /// The rule's name.
    pub rule: String,
    /// The aggregate that the rule goes by.
    pub score: f32,
    /// The nearest candidate's place in the rule, from 0.
    pub candidate: u32,
    /// The nearest candidate's cosine.
    pub max: f32,
    /// The mean cosine.
    pub mean: f32,
}

// === impl Aggregation ===

impl Aggregation {
    /// What it makes of the cosines.
    pub fn of(self, hit: &EmbeddingHit) -> f32 {
        match self {
            Self::Max => hit.max,
            Self::Mean => hit.mean,
        }
    }
}

/// The rules that fire, in their order, and those that do not. `candidates` are the embeddings of all rules' candidates, one rule after the
/// other, of unit length as `embedding` is; with fewer than the rules have, those without stay silent.
pub(super) fn find(
    rules: &[EmbeddingRule],
    candidates: &[Vec<f32>],
    embedding: &[f32],
) -> (Vec<EmbeddingHit>, Vec<EmbeddingHit>) {
    let mut rest = candidates;
    let (mut hits, mut missed) = (Vec::new(), Vec::new());
    for rule in rules {
        let Some((own, others)) = rest.split_at_checked(rule.candidates.len()) else { break };
        rest = others;
        let Some(hit) = measure(rule, own, embedding) else { continue };
        if hit.score >= rule.threshold { hits.push(hit) } else { missed.push(hit) }
    }
    (hits, missed)
}

/// How near `embedding` is to the rule's candidates; `None` if it has none, or they are of another size.
fn measure(rule: &EmbeddingRule, candidates: &[Vec<f32>], embedding: &[f32]) -> Option<EmbeddingHit> {
    if candidates.iter().any(|c| c.len() != embedding.len()) {
        return None;
    }
    let cosines: Vec<f32> = candidates.iter().map(|c| dot(c, embedding).clamp(0.0, 1.0)).collect();
    let nearest = cosines.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let (candidate, max) = nearest.map(|(place, cosine)| (place, *cosine))?;
    let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
    let (rule, by) = (rule.name.clone(), rule.aggregation_method);
    let hit = EmbeddingHit { rule, score: 0.0, candidate: super::saturate(candidate), max, mean };
    Some(EmbeddingHit { score: by.of(&hit), ..hit })
}

/// What is wrong with the rules, a sentence each.
pub(super) fn faults(rules: &[EmbeddingRule]) -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut faults: Vec<String> = rules.iter().enumerate().filter_map(|(i, rule)| fault(i, rule)).collect();
    for rule in rules.iter().filter(|rule| !names.insert(rule.name.as_str())) {
        faults.push(format!("two embedding rules are named `{}`", rule.name));
    }
    let candidates: usize = rules.iter().map(|rule| rule.candidates.len()).sum();
    if candidates > MAX_CANDIDATES {
        faults.push(format!("the embedding rules have {candidates} candidates, more than {MAX_CANDIDATES}"));
    }
    faults
}

fn fault(index: usize, rule: &EmbeddingRule) -> Option<String> {
    let name = &rule.name;
    if name.trim().is_empty() {
        return Some(format!("embedding rule {} has no name", index + 1));
    }
    if rule.candidates.is_empty() || rule.candidates.iter().any(|text| text.trim().is_empty()) {
        return Some(format!("embedding rule `{name}` has no candidates, or an empty one"));
    }
    if !(0.0..=1.0).contains(&rule.threshold) {
        return Some(format!("embedding rule `{name}` has a threshold outside 0..1"));
    }
    let too_long = rule.candidates.iter().any(|text| text.len() > MAX_CANDIDATE_BYTES);
    too_long
        .then(|| format!("embedding rule `{name}` has a candidate of more than {MAX_CANDIDATE_BYTES} bytes"))
}
