//! Keyword rules: the operator's own words that say what a prompt is about.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::phrases::{Phrases, fold};

/// A longer keyword is a pasted text by mistake.
const MAX_KEYWORD_BYTES: usize = 200;
/// A hit names so many of its keywords.
const MAX_NAMED: usize = 4;
/// From here on another occurrence changes nothing in f32.
const MAX_COUNTED: u32 = 24;
/// What one occurrence convinces, unless the rule says otherwise.
const WEIGHT: f32 = 0.5;

/// A rule that fires when the right keywords occur. Keywords are words or phrases; they match whole words (in scripts
/// with spaces between words), across any white space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeywordRule {
    /// The rule's name; unique.
    pub name: String,
    /// At least one of these must occur, unless there are none.
    pub any: Vec<String>,
    /// All of these must occur.
    pub all: Vec<String>,
    /// None of these may occur.
    pub none: Vec<String>,
    /// Whether upper and lower case are told apart; not by default.
    pub case_sensitive: bool,
    /// What one occurrence convinces, 0..=1.
    pub weight: f32,
    /// The same for single keywords of `any` and `all`, as they are spelled there.
    pub weights: BTreeMap<String, f32>,
}

/// A rule that fired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeywordHit {
    /// The rule's name.
    pub rule: String,
    /// Its keywords that occurred, as the rule spells them and in its order; distinct, at most 4.
    pub matched: Vec<String>,
    /// 1 - Π(1 - w) over all occurrences of keywords of weight w.
    pub score: f32,
}

/// The compiled rules.
#[derive(Debug)]
pub(super) struct Keywords {
    rules: Vec<Rule>,
    sets: [Set; 2],
}

/// A rule with its keywords in one list.
#[derive(Debug)]
struct Rule {
    name: String,
    keywords: Vec<Keyword>,
    /// Whether one of [`Role::Any`] must occur.
    needs_any: bool,
}

#[derive(Debug)]
struct Keyword {
    text: String,
    role: Role,
    weight: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Any,
    All,
    None,
}

/// The keywords of all rules of one sort of case.
#[derive(Debug)]
struct Set {
    phrases: Phrases,
    /// For each phrase its rule's and its own place in that rule.
    owners: Vec<(usize, usize)>,
}

// === impl KeywordRule ===

impl Default for KeywordRule {
    fn default() -> Self {
        Self {
            name: String::new(),
            any: vec![],
            all: vec![],
            none: vec![],
            case_sensitive: false,
            weight: WEIGHT,
            weights: BTreeMap::new(),
        }
    }
}

impl KeywordRule {
    fn keywords(&self) -> impl Iterator<Item = (&String, Role)> {
        let lists = [(&self.any, Role::Any), (&self.all, Role::All), (&self.none, Role::None)];
        lists.into_iter().flat_map(|(list, role)| list.iter().map(move |keyword| (keyword, role)))
    }

    fn folded(&self, keyword: &str) -> String {
        fold(keyword.trim(), self.case_sensitive)
    }

    /// What one occurrence of a keyword of the rule convinces.
    pub fn weight_of(&self, keyword: &str) -> f32 {
        self.weights.get(keyword).copied().unwrap_or(self.weight)
    }
}

// === impl Keywords ===

impl Keywords {
    pub(super) fn new(rules: &[KeywordRule]) -> Result<Self, String> {
        let mut names = BTreeSet::new();
        let faults: Vec<String> = rules
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| match names.insert(rule.name.as_str()) {
                true => fault(index, rule),
                false => Some(format!("two keyword rules are named `{}`", rule.name)),
            })
            .collect();
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let compiled: Vec<Rule> = rules.iter().map(Rule::new).collect();
        let set = |case_sensitive: bool| {
            let which =
                |(_, (rule, _)): &(usize, (&KeywordRule, &Rule))| rule.case_sensitive == case_sensitive;
            let rules = rules.iter().zip(&compiled).enumerate().filter(which);
            Set::new(rules.map(|(place, (_, rule))| (place, rule)), case_sensitive)
        };
        let sets = [set(false)?, set(true)?];
        Ok(Keywords { rules: compiled, sets })
    }

    /// The rules that fire on `text`, in their order; `folded` is the same text in lower case, if that is at hand.
    pub(super) fn find(&self, text: &str, folded: Option<&str>) -> Vec<KeywordHit> {
        let mut counts: Vec<Vec<u32>> = self.rules.iter().map(|rule| vec![0; rule.keywords.len()]).collect();
        let [blind, sensitive] = &self.sets;
        let mut count = |set: &Set, text: &str| {
            set.phrases.find(text, |phrase| {
                let Some(&(rule, keyword)) = set.owners.get(phrase) else { return };
                if let Some(count) = counts.get_mut(rule).and_then(|counts| counts.get_mut(keyword)) {
                    *count = count.saturating_add(1);
                }
            });
        };
        match folded {
            _ if blind.owners.is_empty() => {}
            Some(folded) => count(blind, folded),
            None => count(blind, &fold(text, false)),
        }
        if !sensitive.owners.is_empty() {
            count(sensitive, &fold(text, true));
        }
        self.rules.iter().zip(&counts).filter_map(|(rule, counts)| rule.hit(counts)).collect()
    }
}

// === impl Rule ===

impl Rule {
    /// A keyword that is there twice must not count twice: the first stays.
    fn new(rule: &KeywordRule) -> Self {
        let mut seen = BTreeSet::new();
        let distinct = rule.keywords().filter(|(text, _)| seen.insert(rule.folded(text)));
        let keyword = |(text, role): (&String, Role)| Keyword {
            text: text.clone(),
            role,
            weight: rule.weight_of(text),
        };
        Rule {
            name: rule.name.clone(),
            keywords: distinct.map(keyword).collect(),
            needs_any: !rule.any.is_empty(),
        }
    }

    /// `counts` are the occurrences of each keyword.
    fn hit(&self, counts: &[u32]) -> Option<KeywordHit> {
        let occur = |role: Role| {
            self.keywords
                .iter()
                .zip(counts)
                .filter(move |(keyword, _)| keyword.role == role)
                .map(|(_, n)| *n > 0)
        };
        let fires = !occur(Role::None).any(|it| it)
            && occur(Role::All).all(|it| it)
            && (!self.needs_any || occur(Role::Any).any(|it| it));
        if !fires {
            return None;
        }
        let found = || self.keywords.iter().zip(counts).filter(|(_, n)| **n > 0);
        // In the rule's order, so that the product is the same to the bit whatever the order in the text.
        let doubt = found().fold(1.0_f32, |doubt, (keyword, n)| {
            (0..(*n).min(MAX_COUNTED)).fold(doubt, |doubt, _| doubt * (1.0 - keyword.weight))
        });
        let matched = found().take(MAX_NAMED).map(|(keyword, _)| keyword.text.clone()).collect();
        Some(KeywordHit { rule: self.name.clone(), matched, score: 1.0 - doubt })
    }
}

// === impl Set ===

impl Set {
    fn new<'r>(rules: impl Iterator<Item = (usize, &'r Rule)>, case_sensitive: bool) -> Result<Self, String> {
        let mut owners = Vec::new();
        let mut phrases = Vec::new();
        for (place, rule) in rules {
            for (keyword, Keyword { text, .. }) in rule.keywords.iter().enumerate() {
                owners.push((place, keyword));
                phrases.push(text.trim());
            }
        }
        Ok(Set { phrases: Phrases::new(phrases, case_sensitive)?, owners })
    }
}

fn fault(index: usize, rule: &KeywordRule) -> Option<String> {
    let name = &rule.name;
    if name.trim().is_empty() {
        return Some(format!("keyword rule {} has no name", index + 1));
    }
    if rule.any.is_empty() && rule.all.is_empty() {
        return Some(format!("keyword rule `{name}` has no keywords: list some under `any` or `all`"));
    }
    if rule.keywords().any(|(keyword, _)| keyword.trim().is_empty()) {
        return Some(format!("keyword rule `{name}` has an empty keyword"));
    }
    let mut roles = BTreeMap::new();
    for (keyword, role) in rule.keywords() {
        if *roles.entry(rule.folded(keyword)).or_insert(role) != role {
            return Some(format!("keyword rule `{name}` has `{keyword}` in two of its lists"));
        }
    }
    let known = |keyword: &String| rule.any.contains(keyword) || rule.all.contains(keyword);
    if let Some(keyword) = rule.weights.keys().find(|keyword| !known(keyword)) {
        return Some(format!(
            "keyword rule `{name}` weighs `{keyword}`, which is neither in `any` nor in `all`"
        ));
    }
    if rule.weights.values().chain([&rule.weight]).any(|weight| !(0.0..=1.0).contains(weight)) {
        return Some(format!("keyword rule `{name}` has a weight outside 0..1"));
    }
    let too_long = rule.keywords().any(|(keyword, _)| keyword.len() > MAX_KEYWORD_BYTES);
    too_long.then(|| format!("keyword rule `{name}` has a keyword of more than {MAX_KEYWORD_BYTES} bytes"))
}
