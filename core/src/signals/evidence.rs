//! The words and phrases that speak for code, mathematics, a question, demands, or a mode of work.

use super::mode::{KEYWORDS, MODES, Mode, ModeSignal, WEIGHT};
use super::phrases::Phrases;

/// What a phrase speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Code,
    Math,
    /// Asks wherever it stands; the words that ask only as a sentence's first are in `scores.rs`.
    Question,
    /// A demand on the answer.
    Demand,
    /// A kind of work; its own table is in `mode.rs`.
    Mode(Mode),
}

/// Topics there are.
const TOPICS: usize = 4 + MODES.len();

/// Phrases with one topic and one weight: how far a single one convinces, in 0..1.
type Row = (Topic, f32, &'static [&'static str]);

#[rustfmt::skip]
const TABLE: [Row; 10] = [
    (Topic::Code, 0.7, &[
        "```", "#include", "traceback (most recent call last)", "stack trace", "segmentation fault", "std::", "console.log(",
        "public static void", "def __init__", "nullpointerexception", "typeerror:", "syntaxerror:", "valueerror:", "undefined reference",
        "#!/bin/bash", "</div>", "<?php", "system.out.println", "fn main()", "int main(", "cannot read propert",
    ]),
    (Topic::Code, 0.45, &[
        "def ", "=> {", "() {", ") {", "();", "import numpy", "import pandas", "select * from", "function(", "const ", "let mut",
        "self.", "&&", "!=", "==", "npm install", "pip install", "git commit", "docker", "kubectl", "return true", "return null", "print(", "lambda",
    ]),
    (Topic::Code, 0.35, &[
        "python", "javascript", "typescript", "java", "rust", "golang", "c++", "c#", "php", "ruby", "kotlin", "swift", "sql", "bash",
        "html", "css", "regex", "unit test", "unit tests", "refactor", "compile", "compiler", "compiles", "debug", "source code", "code",
        "algorithm", "api", "json", "function that", "write a function", "write a program", "write a script", "class that", "exception",
        "代码", "函数", "コード", "코드", "код", "código", "programm",
    ]),
    (Topic::Math, 0.6, &[
        "integral", "integrate", "derivative", "differentiate", "theorem", "equation", "equations", "eigenvalue", "eigenvalues", "polynomial",
        "prove that", "proof of", "modulo", "logarithm", "hypotenuse", "matrix", "determinant", "trigonometry", "algebra", "calculus",
        "lemma", "binomial", "factorial", "congruent", "bijection", "积分", "方程", "证明", "積分", "方程式", "방정식", "уравнение", "ecuación",
        "équation", "gleichung",
    ]),
    (Topic::Math, 0.35, &[
        "probability", "prove", "solve for", "solve", "calculate", "compute", "sum of", "product of", "square root", "percent", "how many",
        "triangle", "radius", "perimeter", "area of", "fraction", "integer", "integers", "prime", "remainder", "divisible", "average", "mean of",
        "variance", "vector", "math", "mathematics", "arithmetic", "geometry", "概率", "计算", "数学", "計算",
    ]),
    (Topic::Question, 0.8, &[
        "吗", "什么", "怎么", "为什么", "如何", "多少", "哪个", "ですか", "ますか", "なぜ", "どうやって", "인가요", "무엇", "어떻게",
        "is it true", "do you know", "can you explain", "could you explain", "tell me why", "what's the difference",
    ]),
    (Topic::Demand, 0.25, &[
        "must", "must not", "at least", "at most", "exactly", "no more than", "no less than", "only use", "do not use", "without using",
        "make sure", "ensure", "should not", "be sure to", "required", "requirements", "constraints", "constraint", "including", "必须", "不要", "至少",
        "as well as", "in addition", "format", "handle",
    ]),
    (Topic::Demand, 0.35, &[
        "step by step", "step-by-step", "in detail", "detailed", "comprehensive", "in depth", "in-depth", "thorough", "thoroughly", "rigorous",
        "trade-offs", "tradeoffs", "compare and contrast", "pros and cons", "edge cases", "time complexity", "justify", "critically",
    ]),
    (Topic::Demand, 0.45, &[
        "design a", "architecture", "architect", "implement a", "implement an", "optimize", "optimise", "analyze", "analyse", "prove that",
        "derive", "essay", "research", "strategy", "distributed", "concurrent", "thread-safe", "production-ready", "from scratch", "migration",
    ]),
    (Topic::Demand, 0.2, &["first", "then", "finally", "also", "explain why", "each", "compare", "evaluate", "summarize"]),
];

/// The compiled table.
#[derive(Debug)]
pub(super) struct Evidence {
    phrases: Phrases,
    meanings: Vec<(Topic, f32)>,
}

/// How strongly a prompt's phrases speak for each topic, in 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) code: f32,
    pub(super) math: f32,
    pub(super) question: f32,
    pub(super) demand: f32,
    pub(super) mode: ModeSignal,
}

// === impl Topic ===

impl Topic {
    /// Its place among the topics.
    fn index(self) -> usize {
        match self {
            Topic::Code => 0,
            Topic::Math => 1,
            Topic::Question => 2,
            Topic::Demand => 3,
            Topic::Mode(mode) => 4 + mode as usize,
        }
    }
}

// === impl Evidence ===

impl Evidence {
    pub(super) fn new() -> Result<Self, String> {
        let topics = TABLE.iter().map(|(topic, weight, row)| (*topic, *weight, *row));
        let modes = KEYWORDS.iter().map(|(mode, row)| (Topic::Mode(*mode), WEIGHT, *row));
        let (mut phrases, mut meanings) = (Vec::new(), Vec::new());
        for (topic, weight, row) in topics.chain(modes) {
            phrases.extend_from_slice(row);
            meanings.extend(row.iter().map(|_| (topic, weight)));
        }
        Ok(Evidence { phrases: Phrases::new(phrases, false)?, meanings })
    }

    /// Each phrase counts once, however often it occurs, and in the table's order, so that the product of
    /// doubts is the same to the bit whatever the order in the text. `folded` is in lower case.
    pub(super) fn find(&self, folded: &str) -> Found {
        let mut seen = vec![false; self.meanings.len()];
        self.phrases.find(folded, |phrase| {
            if let Some(seen) = seen.get_mut(phrase) {
                *seen = true;
            }
        });
        let mut doubts = [1.0_f32; TOPICS];
        for ((topic, weight), _) in self.meanings.iter().zip(seen).filter(|(_, seen)| *seen) {
            if let Some(doubt) = doubts.get_mut(topic.index()) {
                *doubt *= 1.0 - weight;
            }
        }
        let conviction = |topic: Topic| doubts.get(topic.index()).map_or(0.0, |doubt| 1.0 - doubt);
        let mut modes =
            MODES.map(|(_, kind)| ModeSignal { kind, score: conviction(Topic::Mode(kind)) }).into_iter();
        Found {
            code: conviction(Topic::Code),
            math: conviction(Topic::Math),
            question: conviction(Topic::Question),
            demand: conviction(Topic::Demand),
            mode: modes.find(|mode| mode.score > 0.0).unwrap_or_default(),
        }
    }
}

/// How far independent pieces of evidence convince together: 1 - Π(1 - w).
pub(super) fn either(weights: impl IntoIterator<Item = f32>) -> f32 {
    1.0 - weights.into_iter().fold(1.0_f32, |doubt, weight| doubt * (1.0 - weight.clamp(0.0, 1.0)))
}
