//! Satisfaction: what all evidence about one answer says together.
//!
//! Explicit evidence is what raters say, implicit evidence is inferred: from the next turn, from silence, by a judge.
//! Each kind is a mean of its pieces by their weights, and *nothing known* (0) fills up weights below 1 in all, so
//! that a doubtful piece alone counts for little:
//!
//! ```text
//! mean = Σ w·v / max(1, Σ w)      certainty c = min(1, Σ w)
//! satisfaction = (E·cₑ·meanₑ + cᵢ·meanᵢ) / (E·cₑ + cᵢ)      E = reward.explicit_weight
//! ```
//!
//! With raters only, this is their mean; with inferences only, theirs.

use serde::{Deserialize, Serialize};

use super::feedback::Feedback;
use super::score::{BEST, WORST};
use crate::config::RewardConfig;
use crate::signals::FeedbackKind;

/// One piece of what is known about an answer beside the response itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Evidence {
    /// A rater spoke.
    Feedback {
        /// What was said.
        said: Feedback,
        /// How much this voice counts, 0..=1.
        weight: f64,
    },
    /// The next turn of the conversation says this of the answer.
    FollowUp {
        /// What it says; `none` only notes that there is a next turn.
        kind: FeedbackKind,
        /// How sure the detector is, 0..=1.
        score: f32,
    },
    /// The next turn has words of dissatisfaction.
    Complaint,
    /// The same prompt was sent again.
    Regenerated,
    /// Nothing followed within the window.
    Silence,
    /// A judge's score.
    Judge {
        /// 1 (worst) to 5 (best).
        score: u8,
    },
}

// === impl Evidence ===

impl Evidence {
    /// Its name in metrics and in the log: `feedback`, `satisfied`, `silence` and so on.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Feedback { .. } => "feedback",
            Self::FollowUp { kind: FeedbackKind::None, .. } => "follow_up",
            Self::FollowUp { kind: FeedbackKind::Satisfied, .. } => "satisfied",
            Self::FollowUp { kind: FeedbackKind::NeedClarification, .. } => "need_clarification",
            Self::FollowUp { kind: FeedbackKind::WantDifferent, .. } => "want_different",
            Self::FollowUp { kind: FeedbackKind::WrongAnswer, .. } => "wrong_answer",
            Self::Complaint => "complaint",
            Self::Regenerated => "regenerated",
            Self::Silence => "silence",
            Self::Judge { .. } => "judge",
        }
    }

    /// Whether it shows that the conversation went on.
    fn follows(&self) -> bool {
        matches!(self, Self::FollowUp { .. } | Self::Complaint | Self::Regenerated)
    }

    /// Value in −1..=1 and weight in 0..=1.
    fn worth(&self, config: &RewardConfig) -> (f64, f64) {
        let (middle, half) = (f64::from(BEST + WORST) / 2.0, f64::from(BEST - WORST) / 2.0);
        match self {
            Self::Feedback { said, weight } => (said.satisfaction(), weight.clamp(0.0, 1.0)),
            Self::FollowUp { kind, score } => match follow_up(config, *kind) {
                Some(value) => (value, f64::from(*score).clamp(0.0, 1.0)),
                None => (0.0, 0.0),
            },
            Self::Complaint | Self::Regenerated => (config.dissatisfaction, 1.0),
            Self::Silence => (config.no_follow_up, 1.0),
            Self::Judge { score } => {
                let score = f64::from((*score).clamp(WORST, BEST));
                (config.judge * (score - middle) / half, 1.0)
            }
        }
    }
}

fn follow_up(config: &RewardConfig, kind: FeedbackKind) -> Option<f64> {
    match kind {
        FeedbackKind::None => None,
        FeedbackKind::Satisfied => Some(config.satisfied),
        FeedbackKind::NeedClarification => Some(config.need_clarification),
        FeedbackKind::WantDifferent => Some(config.want_different),
        FeedbackKind::WrongAnswer => Some(config.wrong_answer),
    }
}

/// Whether raters and the feedback detector are of one mind about an answer, pleased or displeased; `None` while one of
/// them has said nothing, or nothing that is either. The first word of each counts, so that what is once there stays.
pub fn agreement(config: &RewardConfig, evidence: &[Evidence]) -> Option<bool> {
    let pleased = |piece: &Evidence| {
        let (value, weight) = piece.worth(config);
        (value * weight != 0.0).then_some(value > 0.0)
    };
    let said = evidence.iter().filter(|e| matches!(e, Evidence::Feedback { .. })).find_map(pleased)?;
    let detected = evidence.iter().filter(|e| matches!(e, Evidence::FollowUp { .. })).find_map(pleased)?;
    Some(said == detected)
}

/// A weighted mean that 0 fills up to a weight of 1.
#[derive(Default)]
struct Mean {
    weight: f64,
    sum: f64,
}

impl Mean {
    fn add(&mut self, (value, weight): (f64, f64)) {
        self.weight += weight;
        self.sum += weight * value;
    }

    fn value(&self) -> f64 {
        self.sum / self.weight.max(1.0)
    }

    fn certainty(&self) -> f64 {
        self.weight.min(1.0)
    }
}

/// Satisfaction in −1..=1; 0 if nothing is known. See the room's formula.
pub(super) fn satisfaction(config: &RewardConfig, evidence: &[Evidence]) -> f64 {
    // A follow-up that was long under way may arrive after silence was noted: then there was none.
    let followed = evidence.iter().any(Evidence::follows);
    let (mut said, mut inferred) = (Mean::default(), Mean::default());
    for piece in evidence {
        match piece {
            Evidence::Silence if followed => {}
            Evidence::Feedback { .. } => said.add(piece.worth(config)),
            _ => inferred.add(piece.worth(config)),
        }
    }
    let (explicit, implicit) = (config.explicit_weight * said.certainty(), inferred.certainty());
    if explicit + implicit <= 0.0 {
        return 0.0;
    }
    // Exactly 1 where nothing is inferred.
    let share = explicit / (explicit + implicit);
    share * said.value() + (1.0 - share) * inferred.value()
}
