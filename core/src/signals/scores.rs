//! Puts counts and phrases together into scores in 0..=1.
//!
//! Every score multiplies doubts (`either`): each line below is one piece of evidence and how far it may
//! convince at most. The slopes were set by hand on a few dozen prompts; policies learn what they are worth.

use super::evidence::{Found, either};
use super::scan::{Scan, share};
use crate::request::RequestFacts;

/// Words that ask when they open a prompt.
const ASKING: [&str; 57] = [
    "what",
    "what's",
    "whats",
    "why",
    "how",
    "how's",
    "when",
    "where",
    "who",
    "who's",
    "whom",
    "whose",
    "which",
    "is",
    "are",
    "am",
    "was",
    "were",
    "do",
    "does",
    "did",
    "can",
    "could",
    "would",
    "should",
    "will",
    "has",
    "have",
    "wer",
    "wie",
    "wo",
    "wann",
    "warum",
    "welche",
    "pourquoi",
    "comment",
    "quel",
    "quelle",
    "qui",
    "où",
    "combien",
    "qué",
    "cómo",
    "cuál",
    "quién",
    "dónde",
    "cuándo",
    "perché",
    "quanto",
    "что",
    "как",
    "почему",
    "где",
    "кто",
    "когда",
    "сколько",
    "какой",
];

/// How far a count convinces: its share of `full`, at most 1, times `most`.
fn grows(count: f32, full: f32, most: f32) -> f32 {
    (count / full).min(1.0) * most
}

pub(super) fn code(scan: &Scan, found: &Found) -> f32 {
    let syntax = share(scan.syntax, scan.visible);
    let statements = share(scan.statement_lines, scan.lines);
    // Prose keeps below 4 % of such characters; LaTeX has them too.
    let density =
        if scan.latex > 2 || scan.visible < 20 { 0.0 } else { grows((syntax - 0.04).max(0.0), 0.12, 0.7) };
    let lines = if scan.statement_lines > 1 { grows(statements, 0.4, 0.7) } else { 0.0 };
    either([found.code, density, lines])
}

pub(super) fn math(scan: &Scan, found: &Found) -> f32 {
    // Code is full of operations; they speak for mathematics only where few braces and statements do not.
    let programmed = grows(share(scan.statement_lines, scan.lines), 0.4, 1.0);
    either([
        found.math,
        grows(scan.latex as f32, 4.0, 0.8),
        grows(scan.math_signs as f32, 4.0, 0.7),
        grows(scan.operations as f32, 4.0, 0.7) * (1.0 - programmed),
        grows(scan.digit_share(), 0.5, 0.3),
    ])
}

pub(super) fn question(scan: &Scan, found: &Found, text: &str) -> f32 {
    let ends = text.trim_end().ends_with(['?', '？', '؟']);
    let start = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let word = start.split(|c: char| !c.is_alphanumeric() && c != '\'').next().unwrap_or_default();
    // No word of the table is longer.
    let asks = word.len() <= 20 && ASKING.contains(&word.to_lowercase().as_str());
    either([
        found.question,
        if ends { 0.85 } else { 0.0 },
        if asks { 0.7 } else { 0.0 },
        grows(scan.questions as f32, 2.0, 0.6),
    ])
}

pub(super) fn complexity(scan: &Scan, found: &Found, facts: &RequestFacts, code: f32, math: f32) -> f32 {
    let chars = facts.prompt_chars as f32;
    let context = facts.total_chars.saturating_sub(facts.prompt_chars) as f32;
    let demands_json = if facts.json_output { 0.1 } else { 0.0 };
    either([
        chars / (chars + 1500.0) * 0.6,
        found.demand * 0.7,
        grows(scan.list_lines as f32, 8.0, 0.4),
        grows(scan.questions.saturating_sub(1) as f32, 4.0, 0.25),
        code * 0.3,
        math * 0.3,
        context / (context + 20_000.0) * 0.25,
        grows(facts.tools as f32, 10.0, 0.15),
        demands_json,
    ])
}
