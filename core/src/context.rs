//! The context vector `x = [ embedding (D) | 32 signal features | 16 meta features ]`, index by index.
//!
//! Every feature is in about 0..=1, so that one ridge fits all. The vector is rounded to f16 *before* anything is
//! scored: the replay record carries exactly the numbers the decision was made with.

use half::f16;

use crate::request::RequestFacts;
use crate::signals::{FeedbackKind, Language, MODES, Signals};

/// Number of signal features.
pub const SIGNALS: usize = 32;
/// Number of meta features.
pub const META: usize = 16;

/// What each signal feature means, by its index after the embedding.
pub const SIGNAL_NAMES: [&str; SIGNALS] = [
    "domain_business",
    "domain_law",
    "domain_psychology",
    "domain_biology",
    "domain_chemistry",
    "domain_history",
    "domain_other",
    "domain_health",
    "domain_economics",
    "domain_math",
    "domain_physics",
    "domain_computer_science",
    "domain_philosophy",
    "domain_engineering",
    "fact_check",
    "code",
    "math",
    "question",
    "complexity",
    "mode_debug",
    "mode_plan",
    "mode_architecture",
    "mode_review",
    "mode_coding",
    "mode_routine",
    "keyword",
    "feedback_want_different",
    "feedback_wrong_answer",
    "language_not_english",
    "language_cjk",
    "digit_share",
    "upper_share",
];

/// The signal features that are linear in the embedding but for a squashing: domains and fact check. Where prompts are
/// compared by their embeddings these would only count the same thing twice.
pub const OF_EMBEDDING: std::ops::Range<usize> = 0..15;

/// What a text looks like, whatever it says: its length, its lines, its shares of digits and of capitals. Named, because
/// they are among the signals and the meta features alike.
pub const FORM: [&str; 4] = ["prompt_length", "lines", "digit_share", "upper_share"];

/// What each meta feature means, by its index after the signals.
pub const META_NAMES: [&str; META] = [
    "bias",
    "has_embedding",
    "prompt_length",
    "conversation_length",
    "system_length",
    "lines",
    "turns",
    "complaints",
    "images",
    "tools",
    "json_output",
    "stream",
    "max_output_tokens",
    "reserved_13",
    "reserved_14",
    "reserved_15",
];

/// Index of the constant 1 among the meta features.
pub const BIAS: usize = 0;
/// Index of the flag that there is an embedding, among the meta features.
pub const HAS_EMBEDDING: usize = 1;

/// The context vector of one request: `D + 48` numbers, each exactly an f16.
#[derive(Debug, Clone, PartialEq)]
pub struct Context(Vec<f32>);

impl Context {
    /// Builds the vector. `embedding` is `None` when the encoder did not answer; `dimensions` is its size D.
    /// An embedding of any other size counts as none.
    pub fn new(
        embedding: Option<&[f32]>,
        dimensions: usize,
        signals: &Signals,
        facts: &RequestFacts,
    ) -> Self {
        let embedding = embedding.filter(|e| e.len() == dimensions);
        let mut x = Vec::with_capacity(dimensions + SIGNALS + META);
        match embedding {
            Some(values) => x.extend_from_slice(values),
            None => x.resize(dimensions, 0.0),
        }
        x.extend(signal_features(signals));
        x.extend(meta_features(embedding.is_some(), signals, facts));
        x.iter_mut().for_each(|v| *v = round(*v));
        Self(x)
    }

    /// The numbers, `[D + 48]`.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// The embedding, `[D]`; `None` where the encoder did not answer.
    pub fn embedding(&self) -> Option<&[f32]> {
        let (embedding, rest) = self.0.split_at_checked(self.0.len().checked_sub(SIGNALS + META)?)?;
        rest.get(SIGNALS + HAS_EMBEDDING).is_some_and(|has| *has > 0.0).then_some(embedding)
    }

    /// Little-endian f16, two bytes a number.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
    }

    /// The inverse of [`Context::to_bytes`]; `None` if a number is not finite or a byte is missing.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let values: Vec<f32> = pairs.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect();
        (rest.is_empty() && values.iter().all(|v| v.is_finite())).then_some(Self(values))
    }
}

/// To the nearest f16 within its finite range; what is not a number becomes 0.
fn round(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { f16::from_f32(v.clamp(-60_000.0, 60_000.0)).to_f32() }
}

fn signal_features(s: &Signals) -> [f32; SIGNALS] {
    let flag = |on: bool| if on { 1.0 } else { 0.0 };
    let keyword = s.keywords.iter().map(|k| k.score).fold(0.0, f32::max);
    let [language_other, language_cjk] =
        [!matches!(s.language, Language::En | Language::Unknown), s.language == Language::Cjk].map(flag);
    let feedback = |kind: FeedbackKind| if s.feedback.kind == kind { s.feedback.score } else { 0.0 };
    let mut f = [0.0; SIGNALS];
    let mut slots = f.iter_mut();
    let mut put = |value: f32| slots.next().into_iter().for_each(|slot| *slot = value);
    // In the order of SIGNAL_NAMES.
    s.domain.0.into_iter().for_each(&mut put);
    [s.fact_check, s.code, s.math, s.question, s.complexity].into_iter().for_each(&mut put);
    MODES.iter().for_each(|(_, mode)| put(flag(s.mode.kind == *mode)));
    put(keyword);
    [FeedbackKind::WantDifferent, FeedbackKind::WrongAnswer].into_iter().for_each(|kind| put(feedback(kind)));
    [language_other, language_cjk, s.digit_share, s.upper_share].into_iter().for_each(&mut put);
    f
}

fn meta_features(has_embedding: bool, s: &Signals, facts: &RequestFacts) -> [f32; META] {
    let flag = |on: bool| if on { 1.0 } else { 0.0 };
    // ln(1 + n) / ln(1 + top): 0 at none, 1 at `top`.
    let log = |n: u32, top: f32| libm::log1pf(n as f32) / libm::log1pf(top);
    let output = facts.max_output_tokens.map_or(0.0, |n| log(n, 8192.0));
    [
        1.0,
        flag(has_embedding),
        log(facts.prompt_chars, 10_000.0),
        log(facts.total_chars, 100_000.0),
        log(facts.system_chars, 10_000.0),
        log(s.lines, 200.0),
        log(facts.user_turns.saturating_sub(1), 20.0),
        log(facts.complaints, 5.0),
        flag(facts.images > 0),
        flag(facts.tools > 0),
        flag(facts.json_output),
        flag(facts.stream),
        output,
        0.0,
        0.0,
        0.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::{Domains, FeedbackSignal, KeywordHit, Mode, ModeSignal};
    use proptest::prelude::*;

    #[test]
    fn every_index_has_a_name_of_its_own() {
        let mut names: Vec<&str> = SIGNAL_NAMES.iter().chain(&META_NAMES).copied().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SIGNALS + META);
    }

    #[test]
    fn every_signal_lands_at_the_index_of_its_name() {
        let signals = Signals {
            code: 0.1,
            math: 0.2,
            question: 0.3,
            complexity: 0.4,
            keywords: vec![KeywordHit { rule: "r".into(), matched: vec![], score: 0.5 }],
            language: Language::Cjk,
            digit_share: 0.6,
            upper_share: 0.7,
            domain: Domains(std::array::from_fn(|i| (i + 1) as f32 / 100.0)),
            fact_check: 0.8,
            mode: ModeSignal { kind: Mode::Plan, score: 0.5 },
            feedback: FeedbackSignal { kind: FeedbackKind::WrongAnswer, score: 0.9 },
            ..Default::default()
        };
        let named = [
            ("domain_business", 0.01),
            ("domain_law", 0.02),
            ("domain_psychology", 0.03),
            ("domain_biology", 0.04),
            ("domain_chemistry", 0.05),
            ("domain_history", 0.06),
            ("domain_other", 0.07),
            ("domain_health", 0.08),
            ("domain_economics", 0.09),
            ("domain_math", 0.1),
            ("domain_physics", 0.11),
            ("domain_computer_science", 0.12),
            ("domain_philosophy", 0.13),
            ("domain_engineering", 0.14),
            ("fact_check", 0.8),
            ("mode_plan", 1.0),
            ("feedback_wrong_answer", 0.9),
            ("code", 0.1),
            ("math", 0.2),
            ("question", 0.3),
            ("complexity", 0.4),
            ("keyword", 0.5),
            ("language_not_english", 1.0),
            ("language_cjk", 1.0),
            ("digit_share", 0.6),
            ("upper_share", 0.7),
        ];
        let features = signal_features(&signals);
        for (name, value) in SIGNAL_NAMES.iter().zip(features) {
            let expected = named.iter().find(|(n, _)| n == name).map_or(0.0, |(_, v)| *v);
            assert_eq!(value, expected, "{name}");
            assert!(!name.starts_with("reserved_"), "{name}");
        }
        assert_eq!(SIGNAL_NAMES[OF_EMBEDDING.start], "domain_business");
        assert_eq!(SIGNAL_NAMES[OF_EMBEDDING.end - 1], "fact_check");
        assert_eq!(META_NAMES[BIAS], "bias");
        assert_eq!(META_NAMES[HAS_EMBEDDING], "has_embedding");
    }

    #[test]
    fn without_an_embedding_the_other_signals_still_count() {
        let signals = Signals { code: 1.0, ..Default::default() };
        let x = Context::new(None, 4, &signals, &RequestFacts::default());
        assert_eq!(x.values()[..4], [0.0; 4]);
        assert_eq!(x.values()[4 + 15], 1.0, "code");
        assert_eq!(x.values()[4 + SIGNALS + BIAS], 1.0, "bias");
        assert_eq!(x.values()[4 + SIGNALS + 1], 0.0, "has_embedding");
        assert_eq!(x.embedding(), None);
        let x = Context::new(Some(&[0.0, 0.5, 0.0, 0.0]), 4, &signals, &RequestFacts::default());
        assert_eq!(x.embedding(), Some(&[0.0, 0.5, 0.0, 0.0][..]));
    }

    #[test]
    fn an_embedding_of_the_wrong_size_counts_as_none() {
        let x = Context::new(Some(&[1.0; 3]), 4, &Signals::default(), &RequestFacts::default());
        assert_eq!(x.values()[4 + SIGNALS + 1], 0.0);
    }

    proptest! {
        #[test]
        fn bytes_carry_the_exact_numbers(embedding in prop::collection::vec(-1e9f32..1e9, 8)) {
            let x = Context::new(Some(&embedding), 8, &Signals::default(), &RequestFacts::default());
            prop_assert_eq!(Context::from_bytes(&x.to_bytes()), Some(x));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(x) = Context::from_bytes(&bytes) {
                prop_assert!(x.values().iter().all(|v| v.is_finite()));
            }
        }
    }
}
