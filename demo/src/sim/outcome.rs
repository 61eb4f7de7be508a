//! Draws what happens to a request: a function of seed, model, prompt and repetition alone, so that
//! the same question asked the n-th time has the same answer in every run.

use std::f64::consts::TAU;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ask::Ask;
use super::config::ModelConfig;
use crate::marker::Marker;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 503.
    Error,
    /// 429.
    RateLimit,
    /// 200.
    Answer(Answer),
}

/// An answer, before any dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Unique per outcome, without a dialect's prefix.
    pub(super) id: String,
    pub(super) model: String,
    pub(super) good: bool,
    /// The text, one token each; the first is the marker.
    pub(super) pieces: Vec<String>,
    pub(super) input_tokens: u64,
    /// Whether it stopped at a length limit.
    pub(super) truncated: bool,
    /// If streamed, cut after so many pieces.
    pub(super) broken_after: Option<usize>,
}

/// What seeds an outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw<'a> {
    pub(super) seed: u64,
    pub(super) category: &'a str,
    /// How often this model was asked this prompt before.
    pub(super) repetition: u64,
}

const WORDS: [&str; 40] = [
    "first", "look", "at", "the", "whole", "and", "then", "each", "part", "in", "turn", "because", "one",
    "step", "leads", "to", "another", "which", "keeps", "things", "simple", "while", "most", "cases",
    "follow", "from", "what", "was", "said", "before", "so", "a", "short", "check", "helps", "where",
    "details", "matter", "more", "often",
];

// === impl Outcome ===

impl Outcome {
    /// Draws the outcome. Every figure is drawn in a fixed order whether or not it is used, so that
    /// changing one rate leaves all else as it was.
    pub(super) fn draw(model: &ModelConfig, ask: &Ask, draw: Draw<'_>) -> Self {
        let mut rng = seeded(draw, &model.name, &ask.prompt);
        let failure = rng.random::<f64>();
        let skill = rng.random::<f64>();
        let truncation = rng.random::<f64>();
        let cut = rng.random::<f64>();
        let length = normal(&mut rng);
        let id = format!("{:016x}", rng.random::<u64>());
        if failure < model.error_rate {
            return Self::Error;
        }
        if failure < model.error_rate + model.rate_limit_rate {
            return Self::RateLimit;
        }
        let good = skill < model.skill_in(draw.category);
        let marker = Marker { model: ask.model.clone(), good, category: draw.category.to_owned() };
        let wanted = model.output_tokens.mean * (1.0 + model.output_tokens.spread * length);
        let mut pieces = words(&marker, wanted.round().max(2.0) as usize, &mut rng);
        let natural = pieces.len();
        if truncation < model.truncation_rate {
            pieces.truncate((natural / 2).max(1));
        }
        pieces.truncate(ask.max_tokens.unwrap_or(usize::MAX).max(1));
        Self::Answer(Answer {
            id,
            model: ask.model.clone(),
            good,
            input_tokens: ask.input_tokens,
            truncated: pieces.len() < natural,
            broken_after: (cut < model.break_stream_rate).then_some(pieces.len().div_ceil(2)),
            pieces,
        })
    }
}

// === impl Answer ===

impl Answer {
    pub(super) fn text(&self) -> String {
        self.pieces.concat()
    }

    pub(super) fn output_tokens(&self) -> u64 {
        self.pieces.len() as u64
    }
}

/// A 64-bit FNV-1a hash: unlike the standard library's, it is the same in every release.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn seeded(draw: Draw<'_>, model: &str, prompt: &str) -> ChaCha8Rng {
    let mut seed = [0; 32];
    let parts = [draw.seed, fnv(model.as_bytes()), fnv(prompt.trim().as_bytes()), draw.repetition];
    for (slot, part) in seed.chunks_exact_mut(8).zip(parts) {
        slot.copy_from_slice(&part.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

/// A standard normal figure (Box-Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// The marker and `count - 1` words that say nothing, in sentences.
fn words(marker: &Marker, count: usize, rng: &mut impl Rng) -> Vec<String> {
    let mut pieces = vec![marker.to_string()];
    for index in 1..count {
        let word = WORDS[rng.random_range(0..WORDS.len())];
        let stop = if index % 12 == 0 || index + 1 == count { "." } else { "" };
        pieces.push(format!(" {word}{stop}"));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(prompt: &str) -> Ask {
        Ask {
            model: "m".into(),
            prompt: prompt.into(),
            stream: false,
            include_usage: false,
            max_tokens: None,
            input_tokens: 1,
        }
    }

    fn draw(model: &ModelConfig, prompt: &str, seed: u64, repetition: u64) -> Outcome {
        Outcome::draw(model, &ask(prompt), Draw { seed, category: "code", repetition })
    }

    #[test]
    fn the_same_question_the_nth_time_has_the_same_answer() {
        let model = ModelConfig::named("m");
        assert_eq!(draw(&model, "why", 7, 3), draw(&model, "why", 7, 3));
        for other in [draw(&model, "why", 8, 3), draw(&model, "how", 7, 3), draw(&model, "why", 7, 4)] {
            assert_ne!(draw(&model, "why", 7, 3), other);
        }
    }

    #[test]
    fn good_answers_come_as_often_as_the_skill_says() {
        let mut model = ModelConfig::named("m");
        model.skill = [("code".to_owned(), 0.2)].into();
        let good = (0..5_000)
            .filter(|n| matches!(draw(&model, "q", 1, *n), Outcome::Answer(Answer { good: true, .. })))
            .count();
        assert!((900..1_100).contains(&good), "{good} of 5000 were good");
    }

    #[test]
    fn a_raised_error_rate_leaves_the_other_answers_as_they_were() {
        let model = ModelConfig::named("m");
        let flaky = ModelConfig { error_rate: 0.5, ..model.clone() };
        for n in 0..50 {
            let after = draw(&flaky, "q", 1, n);
            assert!(after == Outcome::Error || after == draw(&model, "q", 1, n));
        }
    }

    #[test]
    fn lengths_follow_the_mean_and_the_limit() {
        let model = ModelConfig::named("m");
        let length = |limit| {
            let asked = Ask { max_tokens: limit, ..ask("q") };
            (0..2_000).map(move |n| {
                match Outcome::draw(&model, &asked, Draw { seed: 1, category: "x", repetition: n }) {
                    Outcome::Answer(answer) => (answer.pieces.len(), answer.truncated),
                    other => panic!("{other:?}"),
                }
            })
        };
        let mean = length.clone()(None).map(|(pieces, _)| pieces).sum::<usize>() as f64 / 2_000.0;
        assert!((mean - 40.0).abs() < 1.5, "the mean length is {mean}");
        assert!(length(Some(1)).all(|answer| answer == (1, true)), "a limit of one leaves the marker alone");
    }
}
