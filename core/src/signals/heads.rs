//! Heads: linear classifiers on a prompt's embedding. They are trained elsewhere and travel in the snapshot.
//!
//! Every dot product has the fixed order of `policy::lanes`, and `exp` is libm's: the same bits on every platform.

mod file;

use std::fmt;

use dragoman_lanes::dot;

use super::domains::{DOMAINS, Domains};
use super::feedback::{FeedbackKind, FeedbackSignal};
use super::phrases::{Phrases, fold};

pub(crate) use file::{CUES_KEY, Tensor};

/// The kinds of feedback, in the order of the head's rows.
const KINDS: [FeedbackKind; 5] = [
    FeedbackKind::None,
    FeedbackKind::Satisfied,
    FeedbackKind::NeedClarification,
    FeedbackKind::WantDifferent,
    FeedbackKind::WrongAnswer,
];

/// Cues are looked for in so many characters of the turn's beginning: later text is quotation or a new task.
const CUE_CHARS: usize = 300;

/// The classifiers that an encoder comes with; any of them may be missing, and is then neutral.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heads {
    /// Softmax over [`DOMAINS`].
    pub domain: Option<Head>,
    /// The logistic function of one row: whether facts want checking.
    pub fact_check: Option<Head>,
    /// Softmax over the kinds of feedback.
    pub feedback: Option<FeedbackHead>,
}

/// `weight · embedding + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `[rows × columns]`, row-major.
    weight: Vec<f32>,
    /// `[rows]`.
    bias: Vec<f32>,
    columns: usize,
}

/// A head that also looks for phrases: its columns are the embedding's and then one for each cue, which is 1 where the
/// cue occurs and 0 where not.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackHead {
    head: Head,
    /// Phrases in lower case.
    cues: Vec<String>,
}

/// The probability of each kind of feedback, in the order of [`FeedbackScores::iter`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeedbackScores([f32; KINDS.len()]);

// === impl Heads ===

impl Heads {
    /// D, the size of the embeddings they take; `None` without any.
    pub fn embedding_size(&self) -> Option<usize> {
        let plain = [&self.domain, &self.fact_check].into_iter().flatten().map(|head| head.columns);
        plain.chain(self.feedback.as_ref().map(FeedbackHead::embedding_size)).next()
    }

    /// How likely the prompt of this embedding is about each domain.
    pub(super) fn domains(&self, embedding: &[f32]) -> Domains {
        let scores = self.domain.as_ref().and_then(|head| head.apply(embedding));
        scores.and_then(softmax).map_or_else(Domains::default, Domains)
    }

    /// How likely it asks for facts that want checking.
    pub(super) fn fact_check(&self, embedding: &[f32]) -> f32 {
        let score = self.fact_check.as_ref().and_then(|head| head.apply(embedding));
        score.and_then(|score| score.first().copied()).map_or(0.0, |z| 1.0 / (1.0 + libm::expf(-z)))
    }
}

// === impl Head ===

impl Head {
    /// `weight` is `[bias.len() × columns]`.
    ///
    /// # Errors
    ///
    /// A clause: the sizes do not fit, or a number is not finite.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, columns: usize) -> Result<Self, String> {
        if columns == 0 || bias.is_empty() || weight.len() != bias.len() * columns {
            let (numbers, rows) = (weight.len(), bias.len());
            return Err(format!("has {numbers} weights instead of {} for {rows} rows", rows * columns));
        }
        if !weight.iter().chain(&bias).all(|v| v.is_finite()) {
            return Err("has a number that is not finite".into());
        }
        Ok(Self { weight, bias, columns })
    }

    /// One number a row; `None` if the embedding is of another size.
    fn apply(&self, embedding: &[f32]) -> Option<Vec<f32>> {
        (embedding.len() == self.columns)
            .then(|| self.rows().map(|(row, bias)| dot(row, embedding) + bias).collect())
    }

    fn rows(&self) -> impl Iterator<Item = (&[f32], f32)> {
        self.weight.chunks_exact(self.columns).zip(self.bias.iter().copied())
    }
}

// === impl FeedbackHead ===

impl FeedbackHead {
    /// The last columns of `head` are those of `cues`.
    ///
    /// # Errors
    ///
    /// A clause: it has not as many rows as there are kinds, or too few columns.
    pub fn new(head: Head, cues: Vec<String>) -> Result<Self, String> {
        if head.bias.len() != KINDS.len() || head.columns <= cues.len() {
            let (rows, columns, cues) = (head.bias.len(), head.columns, cues.len());
            return Err(format!(
                "is [{rows}, {columns}] with {cues} cues instead of [{}, D + {cues}]",
                KINDS.len()
            ));
        }
        Ok(Self { head, cues })
    }

    fn embedding_size(&self) -> usize {
        self.head.columns.saturating_sub(self.cues.len())
    }

    /// One number a row, of a turn that holds the cues of these places; `None` if the embedding is of another size. Of
    /// thousands of cues a turn holds a few, so only their columns are looked at.
    fn apply(&self, embedding: &[f32], found: &[usize]) -> Option<Vec<f32>> {
        let size = self.embedding_size();
        let score = |(row, bias): (&[f32], f32)| {
            let cues = found.iter().filter_map(|cue| row.get(size + cue));
            dot(row, embedding) + cues.sum::<f32>() + bias
        };
        (embedding.len() == size).then(|| self.head.rows().map(score).collect())
    }
}

// === impl FeedbackScores ===

impl FeedbackScores {
    /// Every kind with its probability.
    pub fn iter(&self) -> impl Iterator<Item = (FeedbackKind, f32)> + '_ {
        KINDS.into_iter().zip(self.0)
    }

    /// The likeliest kind, the first of equals.
    pub fn top(&self) -> FeedbackSignal {
        let best = self.iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or_else(FeedbackSignal::default, |(kind, score)| FeedbackSignal { kind, score })
    }
}

/// The feedback head's cues, ready to be looked for.
#[derive(Debug)]
pub(super) struct Cues(Phrases);

// === impl Cues ===

impl Cues {
    pub(super) fn of(heads: &Heads) -> Result<Self, String> {
        let cues = heads.feedback.iter().flat_map(|head| &head.cues).map(String::as_str);
        Ok(Self(Phrases::new(cues, false)?))
    }

    /// What `turn` says of the answer before it; `None` without a head or with an embedding of another size.
    pub(super) fn feedback(&self, heads: &Heads, turn: &str, embedding: &[f32]) -> Option<FeedbackScores> {
        let head = heads.feedback.as_ref()?;
        let mut found = Vec::new();
        let start: String = turn.chars().take(CUE_CHARS).collect();
        self.0.find(&fold(&start, false), |cue| found.push(cue));
        found.sort_unstable();
        found.dedup();
        softmax(head.apply(embedding, &found)?).map(FeedbackScores)
    }
}

/// Probabilities from scores; `None` unless there are N.
fn softmax<const N: usize>(scores: Vec<f32>) -> Option<[f32; N]> {
    let mut scores = <[f32; N]>::try_from(scores).ok()?;
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|z| *z = libm::expf(*z - most));
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|p| *p /= sum);
    Some(scores)
}

/// Why a file of heads cannot be used: a clause that wants the file's name before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadHeads(pub(crate) String);

impl fmt::Display for BadHeads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadHeads {}
