//! This room reads the signals off a prompt: keyword rules, how much it looks like code, mathematics, a question or a
//! hard task, its language and its mode of work; and, where it has an embedding, embedding rules, its domain, whether
//! facts want checking, and what it says of the answer before it.
//!
//! It must not know routes, configuration files or hosts, nor where embeddings come from. What it finds is the same to
//! the bit on every platform, because the sidecar replays the filter's decisions: scores use only `+ - * /`, sums have a
//! fixed order, and `exp` is libm's.
//!
//! Its cost has a ceiling. Scores are read off at most 2,000 characters of a prompt's head and as many of
//! its tail, keywords off 8 KiB of each; only lines and characters are counted over the whole. Lower case is made once.
#![deny(clippy::indexing_slicing)]

mod complexity;
mod domains;
mod embeddings;
mod evidence;
mod explain;
mod feedback;
mod heads;
mod keywords;
mod language;
mod mode;
mod model;
mod phrases;
mod scan;
mod scores;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::request::RequestFacts;
pub use complexity::Complexity;
pub use domains::{DOMAINS, Domains};
pub use embeddings::{Aggregation, EmbeddingHit, EmbeddingRule};
use evidence::Evidence;
pub use feedback::{FeedbackKind, FeedbackSignal};
use heads::Cues;
pub use heads::{BadHeads, FeedbackHead, FeedbackScores, Head, Heads};
pub(crate) use heads::{CUES_KEY, Tensor};
use keywords::Keywords;
pub use keywords::{KeywordHit, KeywordRule};
pub use language::Language;
pub use mode::{MODES, Mode, ModeSignal};
pub use model::SignalModel;
use phrases::fold;
use scan::{Scan, window_of_bytes, window_of_chars};

/// What keywords see of a prompt: so many bytes of its head, and of its tail.
const KEYWORD_BYTES: usize = 8 * 1024;
/// What scores see of a prompt: so many characters of its head, and of its tail.
const SCORE_CHARS: usize = 2_000;
/// From here on a score speaks for what it is about.
const CONVINCING: f32 = 0.5;

/// The compiled rules; built once for a configuration, then read by every request.
#[derive(Debug)]
pub struct SignalRules {
    keywords: Keywords,
    evidence: Evidence,
    embeddings: Vec<EmbeddingRule>,
    model: Arc<SignalModel>,
    cues: Cues,
}

/// What a prompt shows. Scores lie in 0..=1; those that need an embedding are 0 without one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signals {
    /// The keyword rules that fired, in the order of the configuration.
    pub keywords: Vec<KeywordHit>,
    /// The embedding rules that fired, in the order of the configuration.
    pub embeddings: Vec<EmbeddingHit>,
    /// The embedding rules that did not fire, and how near they were; they count only where thresholds are tuned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<EmbeddingHit>,
    /// How likely the prompt is about each field of knowledge.
    pub domain: Domains,
    /// How likely it asks for facts that want checking.
    pub fact_check: f32,
    /// How much the prompt holds or asks for program code.
    pub code: f32,
    /// How much it is about mathematics.
    pub math: f32,
    /// How much it asks a question (and does not order a task).
    pub question: f32,
    /// How much work it asks for: its length, demands, listed points, code and mathematics.
    pub complexity: f32,
    /// The level of `complexity`.
    pub complexity_level: Complexity,
    /// The kind of work it asks for.
    pub mode: ModeSignal,
    /// What it says of the answer before it, if there is one.
    pub feedback: FeedbackSignal,
    /// The language it is written in, as far as scripts and common words tell.
    pub language: Language,
    /// How sure that is.
    pub language_score: f32,
    /// Lines of the whole prompt.
    pub lines: u32,
    /// Share of ASCII digits among the characters that are not white space.
    pub digit_share: f32,
    /// Share of upper case among the letters that have a case.
    pub upper_share: f32,
    /// Characters of the whole prompt.
    pub chars: u32,
}

// === impl SignalRules ===

impl SignalRules {
    /// Compiles keyword and embedding rules; `model` is what embeddings are read with.
    ///
    /// # Errors
    ///
    /// One sentence for each faulty rule, joined by `; `: no name, a name used twice, no keywords or candidates, an
    /// empty or overlong one, a weight or threshold outside 0..1.
    pub fn new(
        keywords: &[KeywordRule],
        embeddings: &[EmbeddingRule],
        model: Arc<SignalModel>,
    ) -> Result<Self, String> {
        let mut faults = embeddings::faults(embeddings);
        let keywords = Keywords::new(keywords).map_err(|why| faults.insert(0, why)).ok();
        let (Some(keywords), []) = (keywords, faults.as_slice()) else { return Err(faults.join("; ")) };
        let (embeddings, cues) = (embeddings.to_vec(), Cues::of(&model.heads)?);
        Ok(SignalRules { keywords, evidence: Evidence::new()?, embeddings, model, cues })
    }

    /// Reads the signals off a prompt; `facts` are those of the same request, `embedding` is the prompt's, of unit
    /// length. One of another size than the model's counts as none.
    pub fn extract(&self, prompt: &str, facts: &RequestFacts, embedding: Option<&[f32]>) -> Signals {
        let text = window_of_chars(prompt, SCORE_CHARS);
        let scan = Scan::of(&text);
        let folded = fold(&text, false);
        let found = self.evidence.find(&folded);
        let code = scores::code(&scan, &found);
        let math = scores::math(&scan, &found);
        let complexity = scores::complexity(&scan, &found, facts, code, math);
        let heads = &self.model.heads;
        let (embeddings, missed) = embedding
            .map(|e| embeddings::find(&self.embeddings, &self.model.candidates, e))
            .unwrap_or_default();
        let (language, language_score) = language::of(&scan, &text);
        Signals {
            keywords: self.find_keywords(prompt, matches!(text, Cow::Borrowed(_)).then_some(&folded)),
            embeddings,
            missed,
            domain: embedding.map_or(Domains::default(), |e| heads.domains(e)),
            fact_check: embedding.map_or(0.0, |e| heads.fact_check(e)),
            code,
            math,
            question: scores::question(&scan, &found, &text),
            complexity,
            complexity_level: Complexity::of(complexity),
            mode: found.mode,
            feedback: match embedding.filter(|_| facts.replies) {
                Some(embedding) => {
                    self.feedback(prompt, embedding).map(|scores| scores.top()).unwrap_or_default()
                }
                None => FeedbackSignal::default(),
            },
            language,
            language_score,
            lines: saturate(prompt.lines().count()),
            digit_share: scan.digit_share(),
            upper_share: scan.upper_share(),
            chars: saturate(prompt.chars().count()),
        }
    }

    /// What `turn`, taken as the reply to an answer, says of that answer; `None` if the model cannot tell.
    pub fn feedback(&self, turn: &str, embedding: &[f32]) -> Option<FeedbackScores> {
        self.cues.feedback(&self.model.heads, turn, embedding)
    }

    /// `folded` is the whole prompt in lower case, if that is at hand.
    fn find_keywords(&self, prompt: &str, folded: Option<&String>) -> Vec<KeywordHit> {
        match window_of_bytes(prompt, KEYWORD_BYTES) {
            Cow::Borrowed(whole) => self.keywords.find(whole, folded.map(String::as_str)),
            Cow::Owned(window) => self.keywords.find(&window, None),
        }
    }
}

// === impl Signals ===

impl Signals {
    /// How near the embedding rule of this name was, whether it fired or not; `None` if it was not measured.
    pub fn measured(&self, rule: &str) -> Option<&EmbeddingHit> {
        self.embeddings.iter().chain(&self.missed).find(|hit| hit.rule == rule)
    }

    /// Whether the prompt holds or asks for program code.
    pub fn has_code(&self) -> bool {
        self.code >= CONVINCING
    }

    /// Whether it is about mathematics.
    pub fn has_math(&self) -> bool {
        self.math >= CONVINCING
    }

    /// Whether it asks a question.
    pub fn is_question(&self) -> bool {
        self.question >= CONVINCING
    }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
