//! How a route is chosen among the candidates: for all decisions, and for one.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// Which policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Each candidate as often as it may be the best, by what is known ([`crate::policy`]).
    Matching,
    /// LinUCB: the best with a bonus for what is uncertain.
    Linucb,
    /// Always the candidate of the highest score, the first of equals; nothing is explored.
    Static,
    /// Every candidate alike: for gathering evidence, such as what a judgement of two models stands on.
    Uniform,
}

/// Constants of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PolicyParams {
    /// Which policy.
    pub kind: PolicyKind,
    /// α, how much what is uncertain is explored: how many times a width counts, as the doubt of `matching` or as the
    /// bonus of `linucb`.
    pub alpha: f32,
    /// ε, share of requests that explore among the candidates, so that every candidate's propensity is known and
    /// above zero. Under a budget also the share of it that this may cost.
    pub epsilon: f32,
    /// λ, reward that a dollar must buy, where there is no budget.
    pub cost_weight: f32,
    /// Dollars that a request may cost on average; λ follows.
    pub budget: Option<f64>,
}

/// What one decision sets otherwise; `None` is as for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyOverride {
    /// Which policy.
    pub kind: Option<PolicyKind>,
    /// α.
    pub alpha: Option<f32>,
    /// ε.
    pub epsilon: Option<f32>,
    /// λ; only where neither the decision nor all have a budget.
    pub cost_weight: Option<f32>,
}

const KINDS: [(&str, PolicyKind); 4] = [
    ("matching", PolicyKind::Matching),
    ("linucb", PolicyKind::Linucb),
    ("static", PolicyKind::Static),
    ("uniform", PolicyKind::Uniform),
];

impl PolicyKind {
    /// Whether it goes by what is predicted of the candidates.
    pub(crate) fn predicts(self) -> bool {
        matches!(self, Self::Matching | Self::Linucb)
    }
}

impl PolicyParams {
    /// α where the policy is of this kind, else 0.
    pub(crate) fn alpha_by(&self, kind: PolicyKind) -> f32 {
        if self.kind == kind { self.alpha } else { 0.0 }
    }

    pub(super) fn read(section: &Section) -> Self {
        let own = PolicyOverride::read(section);
        let params = Self {
            kind: own.kind.unwrap_or(PolicyKind::Matching),
            alpha: own.alpha.unwrap_or(1.5),
            epsilon: own.epsilon.unwrap_or(0.01),
            cost_weight: own.cost_weight.unwrap_or(10.0),
            budget: read_budget(section),
        };
        if params.budget.is_some() && section.get("cost_weight").is_some() {
            section.error(
                "cost_weight",
                "cannot stand beside policy.budget, which finds the weight of a dollar itself",
            );
        }
        section.finish();
        params
    }

    /// These with what a decision sets otherwise.
    pub(super) fn with(self, own: PolicyOverride, budget: Option<f64>) -> Self {
        Self {
            kind: own.kind.unwrap_or(self.kind),
            alpha: own.alpha.unwrap_or(self.alpha),
            epsilon: own.epsilon.unwrap_or(self.epsilon),
            cost_weight: own.cost_weight.unwrap_or(self.cost_weight),
            budget: budget.or(self.budget),
        }
    }
}

impl PolicyOverride {
    /// Reads what is there; whoever calls reads the rest and ends the section.
    pub(super) fn read(section: &Section) -> Self {
        let number = |key, top| section.optional_number(key, 0.0..=top).map(|n| n as f32);
        Self {
            kind: section.get("kind").map(|_| section.choice("kind", &KINDS, PolicyKind::Matching)),
            alpha: number("alpha", 10.0),
            epsilon: number("epsilon", 1.0),
            cost_weight: number("cost_weight", 1e6),
        }
    }
}

/// Dollars under `budget`, if that is there.
pub(super) fn read_budget(section: &Section) -> Option<f64> {
    section.get("budget").map(|_| section.number("budget", 1e-9..=1e3, 0.0))
}
