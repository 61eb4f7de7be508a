//! Simulated users: they read an answer, know whether it was good, and most of them say so, now and
//! then wrongly.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::marker::Marker;

/// What a user posts to `/v1/router_replay/{id}/feedback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// Stars, 1 to 5.
    pub rating: u8,
    /// Whether the user takes the answer for correct.
    pub correct: bool,
    /// Whether it helped.
    pub helpful: bool,
}

/// A crowd of users with the same habits.
#[derive(Debug, Clone, Copy)]
pub struct Users {
    seed: u64,
    /// The share (0 to 1) of answers that get rated at all.
    pub rating_share: f64,
    /// The share (0 to 1) of ratings that say the opposite of the truth.
    pub noise: f64,
}

// === impl Users ===

impl Users {
    /// Users of whom 80 % rate, and 5 % of those wrongly.
    pub fn new(seed: u64) -> Self {
        Self { seed, rating_share: 0.8, noise: 0.05 }
    }

    /// The user's true verdict: 1 for a good answer, 0 for a bad one. The demo's figures rest on this.
    pub fn verdict(answer: &Marker) -> f64 {
        if answer.good { 1.0 } else { 0.0 }
    }

    /// What the user of request number `nth` says about the answer; `None` if they say nothing. The
    /// same seed and number give the same mood, whatever the order in which answers arrive.
    pub fn feedback(&self, nth: u64, answer: &Marker) -> Option<Feedback> {
        let mut mood = ChaCha8Rng::seed_from_u64(self.seed);
        mood.set_stream(nth);
        if mood.random::<f64>() >= self.rating_share {
            return None;
        }
        let pleased = answer.good != (mood.random::<f64>() < self.noise);
        // A casual talk is rated more warmly than an answer that can be checked.
        let warm = if answer.category == "chat" { 0.8 } else { 0.6 };
        let extreme = mood.random::<f64>() < warm;
        let rating = match (pleased, extreme) {
            (true, true) => 5,
            (true, false) => 4,
            (false, true) => 1,
            (false, false) => 2,
        };
        Some(Feedback { rating, correct: pleased, helpful: pleased })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(good: bool) -> Marker {
        Marker { model: "small".into(), good, category: "facts".into() }
    }

    #[test]
    fn four_users_in_five_rate_and_one_rating_in_twenty_is_wrong() {
        let users = Users::new(7);
        for good in [true, false] {
            let said: Vec<_> = (0..20_000).filter_map(|nth| users.feedback(nth, &answer(good))).collect();
            let wrong = said.iter().filter(|feedback| feedback.correct != good).count();
            let (rated, noise) = (said.len() as f64 / 20_000.0, wrong as f64 / said.len() as f64);
            assert!((rated - 0.8).abs() < 0.01, "{rated} of the users rated");
            assert!((noise - 0.05).abs() < 0.006, "{noise} of the ratings were wrong");
        }
    }

    #[test]
    fn the_same_user_says_the_same_twice() {
        let say = || (0..100).map(|nth| Users::new(3).feedback(nth, &answer(true))).collect::<Vec<_>>();
        assert_eq!(say(), say());
    }

    #[test]
    fn stars_agree_with_the_words() {
        for feedback in (0..500).filter_map(|nth| Users::new(1).feedback(nth, &answer(nth % 2 == 0))) {
            assert_eq!(feedback.rating >= 4, feedback.correct);
            assert_eq!(feedback.helpful, feedback.correct);
        }
    }
}
