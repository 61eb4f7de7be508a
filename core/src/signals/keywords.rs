//! Keyword rules: the operator's own words that say what a prompt is about.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::phrases::{Phrases, fold};

/// A longer keyword is a pasted text by mistake.
const MAX_KEYWORD_BYTES: usize = 200;
/// A hit names so many of its keywords.
const MAX_NAMED: usize = 4;
/// From here on another occurrence changes nothing in f32.
const MAX_COUNTED: u32 = 24;

/// A rule that fires when any of its keywords occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeywordRule {
    /// The rule's name; unique.
    pub name: String,
    /// Words or phrases. They match whole words (in scripts with spaces between words), across any white
    /// space.
    pub any: Vec<String>,
    /// Whether upper and lower case are told apart; not by default.
    #[serde(default)]
    pub case_sensitive: bool,
}

/// A rule that fired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeywordHit {
    /// The rule's name.
    pub rule: String,
    /// Its keywords that occurred, as the rule spells them and in its order; distinct, at most 4.
    pub matched: Vec<String>,
    /// 1 - 2⁻ⁿ for n occurrences, of one keyword or of several.
    pub score: f32,
}

/// The compiled rules.
#[derive(Debug)]
pub(super) struct Keywords {
    rules: Vec<KeywordRule>,
    sets: [Set; 2],
}

/// The keywords of all rules of one sort of case.
#[derive(Debug)]
struct Set {
    phrases: Phrases,
    /// For each phrase its rule's and its own place in that rule.
    owners: Vec<(usize, usize)>,
}

/// What was found for one rule.
#[derive(Clone, Default)]
struct Tally {
    occurrences: u32,
    matched: BTreeSet<usize>,
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
        Ok(Keywords { rules: rules.to_vec(), sets: [Set::new(rules, false)?, Set::new(rules, true)?] })
    }

    pub(super) fn find(&self, text: &str) -> Vec<KeywordHit> {
        let mut tallies = vec![Tally::default(); self.rules.len()];
        for set in &self.sets {
            set.phrases.find(text, |phrase| {
                let Some(&(rule, keyword)) = set.owners.get(phrase) else { return };
                let Some(tally) = tallies.get_mut(rule) else { return };
                tally.occurrences = tally.occurrences.saturating_add(1);
                tally.matched.insert(keyword);
            });
        }
        let hits = self.rules.iter().zip(tallies).filter(|(_, tally)| tally.occurrences > 0);
        hits.map(|(rule, tally)| hit(rule, &tally)).collect()
    }
}

// === impl Set ===

impl Set {
    fn new(rules: &[KeywordRule], case_sensitive: bool) -> Result<Self, String> {
        let mut owners = Vec::new();
        let mut phrases = Vec::new();
        for (place, rule) in
            rules.iter().enumerate().filter(|(_, rule)| rule.case_sensitive == case_sensitive)
        {
            let mut seen = BTreeSet::new();
            for (keyword, phrase) in rule.any.iter().enumerate() {
                // A keyword that is there twice must not count twice.
                if seen.insert(fold(phrase.trim(), case_sensitive)) {
                    owners.push((place, keyword));
                    phrases.push(phrase.trim());
                }
            }
        }
        Ok(Set { phrases: Phrases::new(phrases, case_sensitive)?, owners })
    }
}

fn hit(rule: &KeywordRule, tally: &Tally) -> KeywordHit {
    let half_to_the_n = (0..tally.occurrences.min(MAX_COUNTED)).fold(1.0_f32, |half, _| half * 0.5);
    let named = tally.matched.iter().take(MAX_NAMED).filter_map(|&place| rule.any.get(place));
    KeywordHit { rule: rule.name.clone(), matched: named.cloned().collect(), score: 1.0 - half_to_the_n }
}

fn fault(index: usize, rule: &KeywordRule) -> Option<String> {
    let name = &rule.name;
    if name.trim().is_empty() {
        return Some(format!("keyword rule {} has no name", index + 1));
    }
    if rule.any.is_empty() {
        return Some(format!("keyword rule `{name}` has no keywords"));
    }
    if rule.any.iter().any(|keyword| keyword.trim().is_empty()) {
        return Some(format!("keyword rule `{name}` has an empty keyword"));
    }
    let too_long = rule.any.iter().any(|keyword| keyword.len() > MAX_KEYWORD_BYTES);
    too_long.then(|| format!("keyword rule `{name}` has a keyword of more than {MAX_KEYWORD_BYTES} bytes"))
}
