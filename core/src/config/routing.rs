//! What the filter needs to decide: decisions over signals, their routes, the policy. Travels in the snapshot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::{Condition, RuleNames, read_list};
use super::judge::Sampling;
use super::model::Model;
use super::policy::{PolicyOverride, PolicyParams, read_budget};
use super::privacy::Privacy;
use super::section::Section;
use super::signals;
use super::sticky::Sticky;
use crate::request::ThreadKey;
use crate::signals::{EmbeddingRule, KeywordRule};

/// Model scores are between these, and the best unless said otherwise.
const SCORES: std::ops::RangeInclusive<f64> = 0.3..=1.0;
const BEST_SCORE: f32 = 1.0;

/// The filter's part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// Every model, in document order.
    pub models: Vec<Model>,
    /// Index of the default route's model: where requests go that cannot or need not be decided.
    pub default_model: usize,
    /// Every route `(decision, model, category)`: the bandit's arms.
    pub routes: Vec<Route>,
    /// Rules over signals, highest priority first; the first that holds gives the candidates.
    pub decisions: Vec<DecisionRule>,
    /// Keyword signals.
    pub keywords: Vec<KeywordRule>,
    /// Embedding signals.
    #[serde(default)]
    pub embeddings: Vec<EmbeddingRule>,
    /// The policy's constants.
    pub policy: PolicyParams,
    /// What may be written down.
    pub privacy: Privacy,
    /// Which answers are sampled for the judge.
    #[serde(default)]
    pub sampling: Sampling,
    /// What conversations are hashed with; the publisher puts it in. Without it none is.
    #[serde(default)]
    pub thread_key: Option<ThreadKey>,
    /// When a conversation stays on its model.
    #[serde(default)]
    pub sticky: Sticky,
}

/// One arm: a model as used by a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `decision/model`: keeps its statistics when the configuration around it changes.
    pub name: String,
    /// Index into `models`.
    pub model: usize,
    /// Index into `decisions`.
    pub decision: usize,
}

/// A rule over signals that gives candidate routes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionRule {
    /// Its name.
    pub name: String,
    /// What it is about; `x-vsr-selected-category`.
    pub category: String,
    /// 0..=100; decisions stand in this order, highest first.
    #[serde(default)]
    pub priority: u32,
    /// All must hold; none means always.
    pub when: Vec<Condition>,
    /// Candidate arms, as indices into `routes`, in document order.
    pub routes: Vec<usize>,
    /// What of the policy is otherwise here.
    pub policy: PolicyOverride,
    /// Dollars that a request of this decision may cost on average, instead of `policy.budget`.
    pub budget: Option<f64>,
    /// Whether conversations stay on their model here.
    pub sticky: Option<StickyOverride>,
    /// Scores of models by their names, 0.3..=1; what is not named has 1.
    pub scores: BTreeMap<String, f32>,
}

/// Whether a conversation stays on its model in one decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StickyOverride {
    /// It does not.
    Off,
    /// It does, by the margin of all.
    On,
    /// It does, unless another is better by this utility.
    Margin(f32),
}

impl Routing {
    pub(super) fn read(root: &Section, models: Vec<Model>) -> Self {
        let (keywords, embeddings) = signals::read(root);
        let policy = PolicyParams::read(&root.section("policy"));
        let (keyword_names, embedding_names): (Vec<&str>, Vec<&str>) = (
            keywords.iter().map(|rule| rule.name.as_str()).collect(),
            embeddings.iter().map(|rule| rule.name.as_str()).collect(),
        );
        let rules = RuleNames { keywords: &keyword_names, embeddings: &embedding_names };
        let mut routes = Vec::new();
        let decisions = read_decisions(root, &models, rules, &policy, &mut routes);
        Self {
            default_model: read_default(root, &models),
            models,
            routes,
            decisions,
            keywords,
            embeddings,
            policy,
            privacy: Privacy::read(&root.section("privacy")),
            sampling: Sampling::default(),
            thread_key: None,
            sticky: Sticky::read(&root.section("sticky")),
        }
    }

    /// The policy that `decision` goes by.
    pub fn policy_of(&self, decision: &DecisionRule) -> PolicyParams {
        self.policy.with(decision.policy, decision.budget)
    }

    /// Of `routes` (indices of one decision's) that with the highest score, the first of equals.
    pub fn best_score(&self, routes: &[usize]) -> Option<usize> {
        let score = |index: &usize| {
            let route = self.routes.get(*index)?;
            Some(self.decisions.get(route.decision)?.score(&self.models.get(route.model)?.name))
        };
        let scored = routes.iter().filter_map(|index| Some((*index, score(index)?)));
        scored.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(index, _)| index)
    }

    /// The budgets that decisions have for themselves, by their names.
    pub fn budgets(&self) -> BTreeMap<String, f64> {
        self.decisions.iter().filter_map(|d| Some((d.name.clone(), d.budget?))).collect()
    }
}

impl DecisionRule {
    /// The score of the model of this name, for a policy that goes by scores.
    pub fn score(&self, model: &str) -> f32 {
        self.scores.get(model).copied().unwrap_or(BEST_SCORE)
    }
}

fn read_default(root: &Section, models: &[Model]) -> usize {
    let Some(name) = root.text("default_model") else {
        if root.get("default_model").is_none() {
            root.error("default_model", "is missing: the model for requests that are not decided");
        }
        return 0;
    };
    index_of(root, "default_model", &name, models).unwrap_or(0)
}

fn index_of(section: &Section, key: &str, name: &str, models: &[Model]) -> Option<usize> {
    let found = models.iter().position(|m| m.name == name);
    if found.is_none() {
        let known: Vec<&str> = models.iter().map(|m| m.name.as_str()).collect();
        section.error(key, format!("\"{name}\" is not among the models ({})", known.join(", ")));
    }
    found
}

fn read_decisions(
    root: &Section,
    models: &[Model],
    rules: RuleNames,
    policy: &PolicyParams,
    routes: &mut Vec<Route>,
) -> Vec<DecisionRule> {
    let mut sections: Vec<(u32, Section)> = Vec::new();
    for section in root.sections("decisions") {
        sections.push((section.whole("priority", 0..=100, 0), section));
    }
    // Stable: equal priorities keep the document's order.
    sections.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    if sections.is_empty() {
        let all = DecisionRule { name: "default".into(), category: "general".into(), ..Default::default() };
        return vec![with_routes(all, (0..models.len()).collect(), models, 0, routes)];
    }
    let mut decisions: Vec<DecisionRule> = Vec::new();
    for (priority, section) in &sections {
        let (rule, chosen) = read_decision(section, *priority, models, rules, policy);
        if decisions.iter().any(|d| d.name == rule.name) {
            section.error("name", format!("\"{}\" is used twice", rule.name));
        }
        section.finish();
        decisions.push(with_routes(rule, chosen, models, decisions.len(), routes));
    }
    decisions
}

/// A decision without its routes, and the models it chooses from.
fn read_decision(
    section: &Section,
    priority: u32,
    models: &[Model],
    rules: RuleNames,
    policy: &PolicyParams,
) -> (DecisionRule, Vec<usize>) {
    let name = section.required("name", "what this decision is called");
    let category = section.text_or("category", &name);
    for (key, text) in [("name", &name), ("category", &category)] {
        // Both stand in response headers.
        if text.chars().any(char::is_control) {
            section.error(key, "must not have line breaks or other control characters");
        }
    }
    let names = section.texts("models");
    if names.is_empty() {
        section.error("models", "must list at least one model");
    }
    if names.iter().enumerate().any(|(i, n)| names.iter().take(i).any(|m| m == n)) {
        section.error("models", "must not list a model twice");
    }
    let rule = DecisionRule {
        priority,
        category,
        when: read_list(section, "when", rules, 0),
        routes: vec![],
        policy: read_policy(section, policy),
        budget: read_budget(section),
        sticky: read_sticky(section),
        scores: read_scores(section, &names),
        name,
    };
    (rule, names.iter().filter_map(|n| index_of(section, "models", n, models)).collect())
}

/// Gives a decision its routes, one for each chosen model.
fn with_routes(
    rule: DecisionRule,
    chosen: Vec<usize>,
    models: &[Model],
    decision: usize,
    routes: &mut Vec<Route>,
) -> DecisionRule {
    let first = routes.len();
    for model in chosen {
        let model_name = models.get(model).map_or("", |m| m.name.as_str());
        routes.push(Route { name: format!("{}/{model_name}", rule.name), model, decision });
    }
    DecisionRule { routes: (first..routes.len()).collect(), ..rule }
}

fn read_policy(decision: &Section, all: &PolicyParams) -> PolicyOverride {
    let section = decision.section("policy");
    let own = PolicyOverride::read(&section);
    if own.cost_weight.is_some() && (all.budget.is_some() || decision.get("budget").is_some()) {
        section
            .error("cost_weight", "cannot stand beside a budget, which finds the weight of a dollar itself");
    }
    section.finish();
    own
}

fn read_sticky(decision: &Section) -> Option<StickyOverride> {
    match decision.get("sticky")? {
        Value::Bool(true) => Some(StickyOverride::On),
        Value::Bool(false) => Some(StickyOverride::Off),
        Value::Object(_) => {
            let section = decision.section("sticky");
            let margin = section.number("margin", 0.0..=10.0, 0.0) as f32;
            if section.get("margin").is_none() {
                section.error("margin", "is missing: the utility by which another model must be better");
            }
            section.finish();
            Some(StickyOverride::Margin(margin))
        }
        _ => {
            decision.error("sticky", "must be true, false or {margin: NUMBER}");
            None
        }
    }
}

fn read_scores(decision: &Section, models: &[String]) -> BTreeMap<String, f32> {
    let scores = decision.numbers("scores", SCORES);
    for (name, _) in scores.iter().filter(|(name, _)| !models.contains(name)) {
        decision.error("scores", format!("\"{name}\" is not among the models of this decision"));
    }
    scores.into_iter().map(|(name, score)| (name, score as f32)).collect()
}
