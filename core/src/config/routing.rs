//! What the filter needs to decide: decisions over signals, their routes, the policy. Travels in the snapshot.

use serde::{Deserialize, Serialize};

use super::judge::Sampling;
use super::model::Model;
use super::privacy::Privacy;
use super::section::Section;
use super::sticky::Sticky;
use crate::request::ThreadKey;
use crate::signals::{KeywordRule, SignalRules};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// One condition on a request's signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The keyword rule of this name fired.
    Keyword(String),
    /// The signal is above the threshold.
    Above(SignalName, f32),
}

/// Signals with a score in 0..=1 that a condition may test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalName {
    /// Looks like code.
    Code,
    /// Looks like mathematics.
    Math,
    /// Is a question.
    Question,
    /// How much is asked at once.
    Complexity,
}

const SIGNALS: [(&str, SignalName); 4] = [
    ("code", SignalName::Code),
    ("math", SignalName::Math),
    ("question", SignalName::Question),
    ("complexity", SignalName::Complexity),
];

/// How a route is chosen among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// LinUCB on the projected context.
    Linucb,
    /// Always the first candidate; nothing is explored.
    Static,
    /// Every candidate alike: for gathering evidence, such as what a judgement of two models stands on.
    Uniform,
}

/// Constants of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PolicyParams {
    /// Which policy.
    pub kind: PolicyKind,
    /// α, weight of the exploration bonus.
    pub alpha: f32,
    /// ε, share of requests that explore among the candidates, so that every candidate's propensity is known and
    /// above zero. Under a budget also the share of it that this may cost.
    pub epsilon: f32,
    /// λ, reward that a dollar must buy, where there is no budget.
    pub cost_weight: f32,
    /// Dollars that a request may cost on average; λ follows.
    pub budget: Option<f64>,
}

impl SignalName {
    /// As the configuration calls it.
    pub fn name(self) -> &'static str {
        SIGNALS.iter().find(|(_, signal)| *signal == self).map_or("", |(name, _)| name)
    }
}

impl Routing {
    pub(super) fn read(root: &Section, models: Vec<Model>) -> Self {
        let keywords = read_keywords(root);
        let mut routes = Vec::new();
        let decisions = read_decisions(root, &models, &keywords, &mut routes);
        Self {
            default_model: read_default(root, &models),
            models,
            routes,
            decisions,
            keywords,
            policy: PolicyParams::read(&root.section("policy")),
            privacy: Privacy::read(&root.section("privacy")),
            sampling: Sampling::default(),
            thread_key: None,
            sticky: Sticky::read(&root.section("sticky")),
        }
    }
}

impl PolicyParams {
    fn read(section: &Section) -> Self {
        const KINDS: [(&str, PolicyKind); 3] = [
            ("linucb", PolicyKind::Linucb),
            ("static", PolicyKind::Static),
            ("uniform", PolicyKind::Uniform),
        ];
        let params = Self {
            kind: section.choice("kind", &KINDS, PolicyKind::Linucb),
            alpha: section.number("alpha", 0.0..=10.0, 1.5) as f32,
            epsilon: section.number("epsilon", 0.0..=1.0, 0.01) as f32,
            cost_weight: section.number("cost_weight", 0.0..=1e6, 10.0) as f32,
            budget: section.get("budget").map(|_| section.number("budget", 1e-9..=1e3, 0.0)),
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

fn read_keywords(root: &Section) -> Vec<KeywordRule> {
    let signals = root.section("signals");
    let mut rules: Vec<KeywordRule> = Vec::new();
    for section in signals.sections("keywords") {
        let rule = KeywordRule {
            name: section.required("name", "what this keyword rule is called"),
            any: section.texts("any"),
            case_sensitive: section.switch("case_sensitive", false),
        };
        if rule.any.is_empty() {
            section.error("any", "must list at least one word or phrase");
        }
        if rules.iter().any(|r| r.name == rule.name) {
            section.error("name", format!("\"{}\" is used twice", rule.name));
        }
        section.finish();
        rules.push(rule);
    }
    if let Err(why) = SignalRules::new(&rules) {
        signals.error("keywords", why);
    }
    signals.finish();
    rules
}

fn read_decisions(
    root: &Section,
    models: &[Model],
    keywords: &[KeywordRule],
    routes: &mut Vec<Route>,
) -> Vec<DecisionRule> {
    let mut sections: Vec<(u32, Section)> = Vec::new();
    for section in root.sections("decisions") {
        sections.push((section.whole("priority", 0..=100, 0), section));
    }
    // Stable: equal priorities keep the document's order.
    sections.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    if sections.is_empty() {
        return vec![all_models(models, routes)];
    }
    let mut decisions: Vec<DecisionRule> = Vec::new();
    for (priority, section) in &sections {
        let name = section.required("name", "what this decision is called");
        if decisions.iter().any(|d| d.name == name) {
            section.error("name", format!("\"{name}\" is used twice"));
        }
        let category = section.text_or("category", &name);
        for (key, text) in [("name", &name), ("category", &category)] {
            // Both stand in response headers.
            if text.chars().any(char::is_control) {
                section.error(key, "must not have line breaks or other control characters");
            }
        }
        let when = section.sections("when").iter().filter_map(|s| read_condition(s, keywords)).collect();
        let names = section.texts("models");
        if names.is_empty() {
            section.error("models", "must list at least one model");
        }
        if names.iter().enumerate().any(|(i, n)| names.iter().take(i).any(|m| m == n)) {
            section.error("models", "must not list a model twice");
        }
        let chosen = names.iter().filter_map(|n| index_of(section, "models", n, models)).collect();
        section.finish();
        let decision = new_decision(name, category, when, chosen, models, decisions.len(), routes);
        decisions.push(DecisionRule { priority: *priority, ..decision });
    }
    decisions
}

/// Without decisions every model is a candidate for every prompt.
fn all_models(models: &[Model], routes: &mut Vec<Route>) -> DecisionRule {
    new_decision("default".into(), "general".into(), vec![], (0..models.len()).collect(), models, 0, routes)
}

fn new_decision(
    name: String,
    category: String,
    when: Vec<Condition>,
    chosen: Vec<usize>,
    models: &[Model],
    decision: usize,
    routes: &mut Vec<Route>,
) -> DecisionRule {
    let first = routes.len();
    for model in chosen {
        let model_name = models.get(model).map_or("", |m| m.name.as_str());
        routes.push(Route { name: format!("{name}/{model_name}"), model, decision });
    }
    DecisionRule { name, category, priority: 0, when, routes: (first..routes.len()).collect() }
}

fn read_condition(section: &Section, keywords: &[KeywordRule]) -> Option<Condition> {
    let keyword = section.text("keyword");
    let signal = section.text("signal");
    let above = section.number("above", 0.0..=1.0, 0.5) as f32;
    section.finish();
    match (keyword, signal) {
        (Some(rule), None) => {
            if !keywords.iter().any(|k| k.name == rule) {
                section.error("keyword", format!("\"{rule}\" is not the name of a rule of signals.keywords"));
            }
            Some(Condition::Keyword(rule))
        }
        (None, Some(_)) => {
            let name = section.choice("signal", &SIGNALS, SignalName::Code);
            Some(Condition::Above(name, above))
        }
        _ => {
            section.error("keyword", "a condition is either {keyword: NAME} or {signal: NAME, above: 0.5}");
            None
        }
    }
}
