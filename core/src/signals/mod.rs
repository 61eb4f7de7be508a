//! This room reads the plain signals off a prompt's text: keyword rules, and how much it looks like code,
//! mathematics, a question or a hard task, and in which language it is.
//!
//! It must not know embeddings, routes, configuration files or hosts. What it finds is the same to the
//! bit on every platform, because the sidecar replays the filter's decisions: scores use only `+ - * /`.
//!
//! Its cost has a ceiling. Scores are read off at most 2,000 characters of a prompt's head and as many of
//! its tail, keywords off 8 KiB of each; only lines and characters are counted over the whole.
#![deny(clippy::indexing_slicing)]

mod evidence;
mod feedback;
mod keywords;
mod language;
mod phrases;
mod scan;
mod scores;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::request::RequestFacts;
use evidence::Evidence;
pub use feedback::{FeedbackKind, FeedbackSignal};
use keywords::Keywords;
pub use keywords::{KeywordHit, KeywordRule};
pub use language::Language;
use scan::{Scan, window_of_bytes, window_of_chars};

/// What keywords see of a prompt: so many bytes of its head, and of its tail.
const KEYWORD_BYTES: usize = 8 * 1024;
/// What scores see of a prompt: so many characters of its head, and of its tail.
const SCORE_CHARS: usize = 2_000;
/// From here on a score is worth a sentence.
const WORTH_TELLING: f32 = 0.5;

/// The compiled rules; built once for a configuration, then read by every request.
#[derive(Debug)]
pub struct SignalRules {
    keywords: Keywords,
    evidence: Evidence,
}

/// What a prompt's text shows. Scores lie in 0..=1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signals {
    /// The keyword rules that fired, in the order of the configuration.
    pub keywords: Vec<KeywordHit>,
    /// How much the prompt holds or asks for program code.
    pub code: f32,
    /// How much it is about mathematics.
    pub math: f32,
    /// How much it asks a question (and does not order a task).
    pub question: f32,
    /// How much work it asks for: its length, demands, listed points, code and mathematics.
    pub complexity: f32,
    /// The language it is written in, as far as scripts and common words tell.
    pub language: Language,
    /// Lines of the whole prompt.
    pub lines: u32,
    /// Share of ASCII digits among the characters that are not white space.
    pub digit_share: f32,
    /// Share of upper case among the letters that have a case.
    pub upper_share: f32,
    /// Characters of the whole prompt.
    pub chars: u32,
    /// What the turn says of the answer before it.
    pub feedback: FeedbackSignal,
}

// === impl SignalRules ===

impl SignalRules {
    /// Compiles keyword rules.
    ///
    /// # Errors
    ///
    /// One sentence for each faulty rule, joined by `; `: no name, a name used twice, no keywords, an empty
    /// or overlong keyword.
    pub fn new(rules: &[KeywordRule]) -> Result<Self, String> {
        Ok(SignalRules { keywords: Keywords::new(rules)?, evidence: Evidence::new()? })
    }

    /// Reads the signals off a prompt; `facts` are those of the same request.
    pub fn extract(&self, prompt: &str, facts: &RequestFacts) -> Signals {
        let text = window_of_chars(prompt, SCORE_CHARS);
        let scan = Scan::of(&text);
        let found = self.evidence.find(&text);
        let code = scores::code(&scan, &found);
        let math = scores::math(&scan, &found);
        Signals {
            keywords: self.keywords.find(&window_of_bytes(prompt, KEYWORD_BYTES)),
            code,
            math,
            question: scores::question(&scan, &found, &text),
            complexity: scores::complexity(&scan, &found, facts, code, math),
            language: language::of(&scan, &text),
            lines: saturate(prompt.lines().count()),
            digit_share: scan.digit_share(),
            upper_share: scan.upper_share(),
            chars: saturate(prompt.chars().count()),
            feedback: FeedbackSignal::default(),
        }
    }
}

// === impl Signals ===

impl Signals {
    /// Short sentences naming what fired. They hold words of the configuration, never of the prompt.
    pub fn explain(&self) -> Vec<String> {
        let rules = self.keywords.iter().map(|hit| {
            let words = hit.matched.join("`, `");
            format!("keyword rule `{}` matched `{words}` (score {:.2})", hit.rule, hit.score)
        });
        let scores = [
            ("the prompt holds or asks for code", self.code),
            ("the prompt is about mathematics", self.math),
            ("the prompt asks a question", self.question),
            ("the task is complex", self.complexity),
        ];
        let scores = scores
            .into_iter()
            .filter(|(_, score)| *score >= WORTH_TELLING)
            .map(|(sentence, score)| format!("{sentence} (score {score:.2})"));
        let language = self.language.sentence().map(str::to_owned);
        rules.chain(scores).chain(language).collect()
    }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
