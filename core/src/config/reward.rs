//! The reward's weights and constants (DESIGN.md §5).

use serde::{Deserialize, Serialize};

use super::section::Section;

/// Weights and constants of the reward. What says how good an answer was lies in −1..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RewardConfig {
    /// w₁, weight of the response's quality.
    pub quality: f64,
    /// w₂, weight of the user's satisfaction.
    pub satisfaction: f64,
    /// w₃, weight of efficiency.
    pub efficiency: f64,
    /// Dollars that count as a cost of 1.0 (the whole efficiency penalty).
    pub cost_reference: f64,
    /// Quality of an answer with a status of 2xx.
    pub ok: f64,
    /// Quality of one with 4xx.
    pub client_error: f64,
    /// Quality of one with 5xx.
    pub server_error: f64,
    /// Added to a success that a response cache answered.
    pub cache_hit: f64,
    /// Added to a stream that came to its end.
    pub complete_stream: f64,
    /// Added to a body that is valid and not empty.
    pub valid_body: f64,
    /// Satisfaction where the next turn approves.
    pub satisfied: f64,
    /// Satisfaction where the next turn asks what was meant.
    pub need_clarification: f64,
    /// Satisfaction where the next turn wants another version.
    pub want_different: f64,
    /// Satisfaction where the next turn says that the answer is wrong.
    pub wrong_answer: f64,
    /// Satisfaction where the next turn complains, or the same prompt is sent again.
    pub dissatisfaction: f64,
    /// Satisfaction where nothing followed within the window.
    pub no_follow_up: f64,
    /// Satisfaction of the judge's best score, and minus that of its worst.
    pub judge: f64,
    /// How many times what a user says outright counts as much as what is inferred.
    pub explicit_weight: f64,
    /// How long after an answer its follow-up may come, minutes.
    pub window_minutes: f64,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            quality: 0.4,
            satisfaction: 0.4,
            efficiency: 0.2,
            cost_reference: 0.01,
            ok: 1.0,
            client_error: -0.5,
            server_error: -1.0,
            cache_hit: 0.2,
            complete_stream: 0.1,
            valid_body: 0.2,
            satisfied: 1.0,
            need_clarification: 0.0,
            want_different: -0.3,
            wrong_answer: -1.0,
            dissatisfaction: -0.5,
            no_follow_up: 0.5,
            judge: 1.0,
            explicit_weight: 4.0,
            window_minutes: 10.0,
        }
    }
}

impl RewardConfig {
    pub(super) fn read(section: &Section) -> Self {
        let d = Self::default();
        let weight = |key, default| section.number(key, 0.0..=1.0, default);
        let value = |key, default| section.number(key, -1.0..=1.0, default);
        let reward = Self {
            quality: weight("quality", d.quality),
            satisfaction: weight("satisfaction", d.satisfaction),
            efficiency: weight("efficiency", d.efficiency),
            cost_reference: section.number("cost_reference", 1e-9..=1e3, d.cost_reference),
            ok: value("ok", d.ok),
            client_error: value("client_error", d.client_error),
            server_error: value("server_error", d.server_error),
            cache_hit: value("cache_hit", d.cache_hit),
            complete_stream: value("complete_stream", d.complete_stream),
            valid_body: value("valid_body", d.valid_body),
            satisfied: value("satisfied", d.satisfied),
            need_clarification: value("need_clarification", d.need_clarification),
            want_different: value("want_different", d.want_different),
            wrong_answer: value("wrong_answer", d.wrong_answer),
            dissatisfaction: value("dissatisfaction", d.dissatisfaction),
            no_follow_up: value("no_follow_up", d.no_follow_up),
            judge: weight("judge", d.judge),
            explicit_weight: section.number("explicit_weight", 1.0..=1e3, d.explicit_weight),
            window_minutes: section.number("window_minutes", 0.001..=1440.0, d.window_minutes),
        };
        if reward.quality + reward.satisfaction + reward.efficiency <= 0.0 {
            section.error("quality", "at least one of the three weights must be above 0");
        }
        section.finish();
        reward
    }

    /// How long after an answer its follow-up may come, milliseconds.
    pub fn window_ms(&self) -> u64 {
        // At most a day: exact, and never negative.
        (self.window_minutes * 60_000.0) as u64
    }
}
