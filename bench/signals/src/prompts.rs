//! Prompts of 2,000 characters of different kinds, and rules like those of a large configuration.

use std::sync::Arc;

use dragoman_core::request::RequestFacts;
use dragoman_core::signals::{
    Aggregation, EmbeddingRule, Heads, KeywordRule, SignalModel, SignalRules, Signals,
};

use crate::CHARS;

/// Size of the shipped encoder's embedding.
const D: usize = 384;
/// Keyword rules, and keywords of each.
const RULES: (usize, usize) = (20, 10);
/// Embedding rules, and candidates of each.
const NEAR: (usize, usize) = (4, 8);
/// The shipped heads.
const HEADS: &[u8] = include_bytes!("../../../models/dragoman-small/heads.safetensors");

/// What the prompts are, in their order.
pub const NAMES: [&str; 4] = ["prose", "code", "full of keywords", "Chinese"];

const TEXTS: [&str; 4] = [
    "The harbour was quiet in the early morning, and only the gulls seemed to mind that nothing moved. Nobody had told \
     the old man that the ferry would not come before the weekend, so he waited as he had always done. ",
    "fn merge(left: &[u32], right: &[u32]) -> Vec<u32> {\n    let mut out = Vec::with_capacity(left.len() + right.len());\n    \
     for (a, b) in left.iter().zip(right) {\n        if a < b { out.push(*a); } else { out.push(*b); }\n    }\n    out\n}\n",
    "Debug the error in this Python function, plan the migration step by step, review the architecture and implement the \
     algorithm; prove that the equation holds, calculate the probability, and explain why keyword7 must be word3 at least. ",
    "请写一个程序来计算积分,并且详细解释为什么这个方程必须有两个解。我们还需要一个函数,它可以处理至少三种不同的格式。",
];

/// Prompts and the rules they are read with.
pub struct Reader {
    rules: SignalRules,
    prompts: Vec<String>,
    embedding: Vec<f32>,
}

// === impl Reader ===

impl Reader {
    /// # Errors
    ///
    /// A sentence: the rules do not compile.
    pub fn new() -> Result<Self, String> {
        let keywords: Vec<KeywordRule> = (0..RULES.0).map(keyword_rule).collect();
        let embeddings: Vec<EmbeddingRule> = (0..NEAR.0).map(embedding_rule).collect();
        let mut noise = Noise(7);
        let candidates = (0..NEAR.0 * NEAR.1).map(|_| noise.unit()).collect();
        let model = SignalModel { heads: Heads::parse(HEADS).map_err(|e| e.to_string())?, candidates };
        let prompts = TEXTS.iter().map(|text| text.chars().cycle().take(CHARS).collect()).collect();
        let rules = SignalRules::new(&keywords, &embeddings, Arc::new(model))?;
        Ok(Self { rules, prompts, embedding: noise.unit() })
    }

    /// All signals of prompt number `prompt`, a reply to an answer.
    pub fn read(&self, prompt: usize, embedding: bool) -> Signals {
        let text = self.prompts.get(prompt).map_or("", String::as_str);
        let facts = RequestFacts { prompt_chars: CHARS as u32, replies: true, ..RequestFacts::default() };
        self.rules.extract(text, &facts, embedding.then_some(&self.embedding))
    }
}

fn keyword_rule(rule: usize) -> KeywordRule {
    let word =
        |i: usize| if i == 0 { "legal advice".to_owned() } else { format!("word{}", rule + i * RULES.0) };
    let any = (0..RULES.1).map(word).collect();
    KeywordRule {
        name: format!("rule {rule}"),
        any,
        none: vec![format!("never{rule}")],
        ..KeywordRule::default()
    }
}

fn embedding_rule(rule: usize) -> EmbeddingRule {
    EmbeddingRule {
        name: format!("near {rule}"),
        candidates: (0..NEAR.1).map(|i| format!("text {i}")).collect(),
        threshold: 0.0,
        aggregation_method: if rule.is_multiple_of(2) { Aggregation::Max } else { Aggregation::Mean },
    }
}

/// Numbers that look random and are the same everywhere.
struct Noise(u64);

// === impl Noise ===

impl Noise {
    /// In -1..1 (Knuth's MMIX generator).
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn unit(&mut self) -> Vec<f32> {
        let vector: Vec<f32> = (0..D).map(|_| self.next()).collect();
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter().map(|v| v / length).collect()
    }
}
