//! What a user says of an answer outright.

use serde::{Deserialize, Serialize};

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
    pub(super) fn satisfaction(&self) -> f64 {
        let sign = |yes: bool| if yes { 1.0 } else { -1.0 };
        let rating = self.rating.map(|r| (f64::from(r) - 3.0) / 2.0);
        let parts = [rating, self.correct.map(sign), self.helpful.map(sign), self.model_fit.map(sign)];
        let said: Vec<f64> = parts.into_iter().flatten().collect();
        if said.is_empty() { 0.0 } else { said.iter().sum::<f64>() / said.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_out_of_range_is_refused_in_a_sentence() {
        let bad = Feedback { rating: Some(6), ..Default::default() };
        assert_eq!(bad.check().unwrap_err(), "rating must be from 1 to 5, not 6");
        assert!(Feedback::default().check().is_err());
    }
}
