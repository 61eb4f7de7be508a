//! When a decision holds: a tree of conditions on signals.

use serde::{Deserialize, Serialize};

use super::section::Section;
use crate::signals::{Complexity, DOMAINS, FeedbackKind, Language, MODES, Mode};

/// Trees are at most so deep.
const MAX_DEPTH: usize = 8;

/// One condition on a request's signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The keyword rule of this name fired.
    Keyword(String),
    /// The embedding rule of this name fired.
    Embedding(String),
    /// The signal is above the threshold.
    Above(SignalName, f32),
    /// The confidence in the domain of this name is above the threshold.
    Domain(String, f32),
    /// The mode is this one.
    Mode(Mode),
    /// The language is this one.
    Language(Language),
    /// The turn says this of the answer before it.
    Feedback(FeedbackKind),
    /// The complexity has this level.
    Complexity(Complexity),
    /// All of these hold; none of them is true.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
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
    /// Asks for facts that want checking.
    FactCheck,
}

const SIGNALS: [(&str, SignalName); 5] = [
    ("code", SignalName::Code),
    ("math", SignalName::Math),
    ("question", SignalName::Question),
    ("complexity", SignalName::Complexity),
    ("fact_check", SignalName::FactCheck),
];

const LANGUAGES: [(&str, Language); 6] = [
    ("en", Language::En),
    ("other_latin", Language::OtherLatin),
    ("cjk", Language::Cjk),
    ("cyrillic", Language::Cyrillic),
    ("other", Language::Other),
    ("unknown", Language::Unknown),
];

const FEEDBACK: [(&str, FeedbackKind); 5] = [
    ("none", FeedbackKind::None),
    ("satisfied", FeedbackKind::Satisfied),
    ("need_clarification", FeedbackKind::NeedClarification),
    ("want_different", FeedbackKind::WantDifferent),
    ("wrong_answer", FeedbackKind::WrongAnswer),
];

const LEVELS: [(&str, Complexity); 3] =
    [("trivial", Complexity::Trivial), ("moderate", Complexity::Moderate), ("complex", Complexity::Complex)];

impl SignalName {
    /// As the configuration calls it.
    pub fn name(self) -> &'static str {
        SIGNALS.iter().find(|(_, signal)| *signal == self).map_or("", |(name, _)| name)
    }
}

/// The names of the rules that conditions may refer to.
#[derive(Clone, Copy)]
pub(super) struct RuleNames<'r> {
    pub(super) keywords: &'r [&'r str],
    pub(super) embeddings: &'r [&'r str],
}

/// What a condition may be, by its key.
type Reader = fn(&Section, RuleNames, usize) -> Option<Condition>;

const KINDS: [(&str, Reader); 11] = [
    ("keyword", |s, names, _| {
        known(s, "keyword", s.text("keyword")?, names.keywords, "signals.keywords").map(Condition::Keyword)
    }),
    ("embedding", |s, names, _| {
        known(s, "embedding", s.text("embedding")?, names.embeddings, "signals.embeddings")
            .map(Condition::Embedding)
    }),
    ("signal", |s, _, _| Some(Condition::Above(s.choice("signal", &SIGNALS, SignalName::Code), above(s)))),
    ("domain", |s, _, _| {
        let names = DOMAINS.map(|name| (name, name));
        Some(Condition::Domain(s.choice("domain", &names, "other").to_owned(), above(s)))
    }),
    ("mode", |s, _, _| Some(Condition::Mode(s.choice("mode", &MODES, Mode::Routine)))),
    ("language", |s, _, _| Some(Condition::Language(s.choice("language", &LANGUAGES, Language::En)))),
    ("feedback", |s, _, _| Some(Condition::Feedback(s.choice("feedback", &FEEDBACK, FeedbackKind::None)))),
    ("complexity", |s, _, _| {
        Some(Condition::Complexity(s.choice("complexity", &LEVELS, Complexity::Trivial)))
    }),
    ("all", |s, names, depth| Some(Condition::All(read_list(s, "all", names, depth)))),
    ("any", |s, names, depth| {
        let list = read_list(s, "any", names, depth);
        if list.is_empty() {
            s.error("any", "must list at least one condition: with none it never holds");
        }
        Some(Condition::Any(list))
    }),
    ("not", |s, names, depth| {
        read(&s.section("not"), names, depth + 1).map(|inner| Condition::Not(Box::new(inner)))
    }),
];

/// The conditions in the list under `key`; `depth` is that of the section.
pub(super) fn read_list(
    section: &Section,
    key: &'static str,
    names: RuleNames,
    depth: usize,
) -> Vec<Condition> {
    section.sections(key).iter().filter_map(|s| read(s, names, depth + 1)).collect()
}

fn read(section: &Section, names: RuleNames, depth: usize) -> Option<Condition> {
    if depth > MAX_DEPTH {
        section.fault(format!("is nested more than {MAX_DEPTH} deep; split the decision"));
        return None;
    }
    // Every key is asked for, so that the error names what there is.
    let there: Vec<_> = KINDS.iter().filter(|(key, _)| section.get(key).is_some()).collect();
    let threshold = section.get("above").is_some();
    let [(key, reader)] = there[..] else {
        let keys = KINDS.map(|(key, _)| key).join(", ");
        section.fault(format!("a condition has exactly one of {keys}, not {} of them", there.len()));
        section.finish();
        return None;
    };
    if threshold && !["signal", "domain"].contains(key) {
        section.error("above", "only stands beside `signal` or `domain`");
    }
    let condition = reader(section, names, depth);
    section.finish();
    condition
}

fn above(section: &Section) -> f32 {
    section.number("above", 0.0..=1.0, 0.5) as f32
}

fn known(section: &Section, key: &str, name: String, names: &[&str], list: &str) -> Option<String> {
    if !names.contains(&name.as_str()) {
        section.error(key, format!("\"{name}\" is not the name of a rule of {list}"));
    }
    Some(name)
}
