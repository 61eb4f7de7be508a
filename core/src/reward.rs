//! The reward of one request (DESIGN.md §5): `R = w₁·quality + w₂·satisfaction + w₃·efficiency`.
//!
//! Evidence comes in steps — the response at once, explicit feedback later — and every step computes the whole
//! reward anew from all evidence, so the learner can be revised exactly by the difference.

use serde::{Deserialize, Serialize};

use crate::config::RewardConfig;
use crate::response::ResponseFacts;

/// What a user said of an answer. At least one of the four is set (see [`Feedback::is_empty`]).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// 1 (bad) to 5 (good).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<u8>,
    /// The answer is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// The answer helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helpful: Option<bool>,
    /// The model was the right one for this prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_fit: Option<bool>,
}

impl Feedback {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A sentence if a value is out of range.
    pub fn check(&self) -> Result<(), String> {
        match self.rating {
            _ if self.is_empty() => {
                Err("feedback must have at least one of rating, correct, helpful and model_fit".into())
            }
            Some(r) if !(1..=5).contains(&r) => Err(format!("rating must be from 1 to 5, not {r}")),
            _ => Ok(()),
        }
    }

    /// Satisfaction in −1..=1: the mean of what was said; a rating of 3 is 0.
    fn satisfaction(&self) -> f64 {
        let sign = |yes: bool| if yes { 1.0 } else { -1.0 };
        let rating = self.rating.map(|r| (f64::from(r) - 3.0) / 2.0);
        let parts = [rating, self.correct.map(sign), self.helpful.map(sign), self.model_fit.map(sign)];
        let said: Vec<f64> = parts.into_iter().flatten().collect();
        if said.is_empty() { 0.0 } else { said.iter().sum::<f64>() / said.len() as f64 }
    }
}

/// A reward and its parts, as shown in the explanation of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Reward {
    /// Of the response itself, −1.0..=1.5.
    pub quality: f64,
    /// Of the user, −1..=1; 0 while nothing is known.
    pub satisfaction: f64,
    /// Minus the normalised cost, −1..=0.
    pub efficiency: f64,
    /// The weighted sum.
    pub total: f64,
}

const OK: f64 = 1.0;
const CLIENT_ERROR: f64 = -0.5;
const SERVER_ERROR: f64 = -1.0;
const CACHE_HIT: f64 = 0.2;
const COMPLETE_STREAM: f64 = 0.1;
const VALID_BODY: f64 = 0.2;

impl Reward {
    /// The lowest and the highest total that there can be.
    pub fn range(config: &RewardConfig) -> (f64, f64) {
        let best = OK + CACHE_HIT + COMPLETE_STREAM + VALID_BODY;
        let low = config.quality * SERVER_ERROR - config.satisfaction - config.efficiency;
        (low, config.quality * best + config.satisfaction)
    }

    /// The reward of one answer. `cost` is in dollars.
    pub fn of(
        config: &RewardConfig,
        response: &ResponseFacts,
        cost: f64,
        feedback: Option<&Feedback>,
    ) -> Self {
        let quality = quality(response);
        let satisfaction = feedback.map_or(0.0, Feedback::satisfaction);
        let efficiency = -(cost / config.cost_reference).clamp(0.0, 1.0);
        let total =
            config.quality * quality + config.satisfaction * satisfaction + config.efficiency * efficiency;
        Self { quality, satisfaction, efficiency, total }
    }
}

fn quality(r: &ResponseFacts) -> f64 {
    let when = |holds: bool, points: f64| if holds { points } else { 0.0 };
    match r.status {
        200..=299 => {
            OK + when(r.cache_hit, CACHE_HIT)
                + when(r.stream && r.stream_complete, COMPLETE_STREAM)
                + when(r.body_valid && r.has_content, VALID_BODY)
        }
        // The client left before the model answered: that says nothing of the model.
        0 => 0.0,
        400..=499 => CLIENT_ERROR,
        _ => SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok() -> ResponseFacts {
        ResponseFacts { status: 200, body_valid: true, has_content: true, ..Default::default() }
    }

    fn total(response: &ResponseFacts, cost: f64, feedback: Option<Feedback>) -> f64 {
        Reward::of(&RewardConfig::default(), response, cost, feedback.as_ref()).total
    }

    #[test]
    fn the_table_of_the_design_holds() {
        assert!((total(&ok(), 0.0, None) - 0.4 * 1.2).abs() < 1e-12);
        let cached = ResponseFacts { cache_hit: true, ..ok() };
        assert!((total(&cached, 0.0, None) - 0.4 * 1.4).abs() < 1e-12);
        let streamed = ResponseFacts { stream: true, stream_complete: true, ..ok() };
        assert!((total(&streamed, 0.0, None) - 0.4 * 1.3).abs() < 1e-12);
        let status = |status| ResponseFacts { status, ..Default::default() };
        assert!((total(&status(404), 0.0, None) - 0.4 * -0.5).abs() < 1e-12);
        assert!((total(&status(503), 0.0, None) - -0.4).abs() < 1e-12);
    }

    #[test]
    fn feedback_moves_the_reward_by_its_weight() {
        let liked = Feedback { rating: Some(5), ..Default::default() };
        let wrong = Feedback { correct: Some(false), ..Default::default() };
        assert!((total(&ok(), 0.0, Some(liked)) - total(&ok(), 0.0, None) - 0.4).abs() < 1e-12);
        assert!((total(&ok(), 0.0, Some(wrong)) - total(&ok(), 0.0, None) + 0.4).abs() < 1e-12);
    }

    #[test]
    fn cost_is_a_penalty_that_saturates() {
        assert!((total(&ok(), 0.005, None) - (0.48 - 0.1)).abs() < 1e-12);
        assert!((total(&ok(), 9.0, None) - (0.48 - 0.2)).abs() < 1e-12);
    }

    #[test]
    fn the_best_and_the_worst_answers_are_the_ends_of_the_range() {
        let (low, high) = Reward::range(&RewardConfig::default());
        let best = ResponseFacts { cache_hit: true, stream: true, stream_complete: true, ..ok() };
        let worst = ResponseFacts { status: 500, ..Default::default() };
        let said = |rating| Some(Feedback { rating: Some(rating), ..Default::default() });
        assert!((total(&best, 0.0, said(5)) - high).abs() < 1e-12);
        assert!((total(&worst, 9.0, said(1)) - low).abs() < 1e-12);
    }

    #[test]
    fn feedback_out_of_range_is_refused_in_a_sentence() {
        let bad = Feedback { rating: Some(6), ..Default::default() };
        assert_eq!(bad.check().unwrap_err(), "rating must be from 1 to 5, not 6");
        assert!(Feedback::default().check().is_err());
    }
}
