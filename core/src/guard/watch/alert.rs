//! What is watched for, and how it is told.

use serde::{Deserialize, Serialize};

use super::{MARGIN, Reading};

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The share of good answers fell, against the hours before.
    SuccessDrop,
    /// A request costs more, against the hour before.
    CostRise,
    /// Too large a share of choices explores.
    Exploration,
    /// A model's mean reward swings from hour to hour.
    ScoreVariance,
    /// Implicit feedback contradicts explicit feedback on the same answers.
    DetectorAccuracy,
}

/// An episode begins or is over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// What.
    pub kind: Kind,
    /// Whether it begins; else it is over.
    pub raised: bool,
    /// A sentence.
    pub message: String,
    /// What was measured.
    pub value: f64,
    /// What it may be.
    pub limit: f64,
    /// When, milliseconds since the Unix epoch.
    pub time: u64,
}

// === impl Kind ===

impl Kind {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::SuccessDrop, Self::CostRise, Self::Exploration, Self::ScoreVariance, Self::DetectorAccuracy];

    /// Its name in metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::SuccessDrop => "success_drop",
            Self::CostRise => "cost_rise",
            Self::Exploration => "exploration",
            Self::ScoreVariance => "score_variance",
            Self::DetectorAccuracy => "detector_accuracy",
        }
    }

    /// Of an accuracy less is worse, of all others more.
    pub(super) fn beyond(self, value: f64, limit: f64) -> bool {
        if self == Self::DetectorAccuracy { value < limit } else { value > limit }
    }

    pub(super) fn cleared(self, limit: f64) -> f64 {
        limit * if self == Self::DetectorAccuracy { 1.0 + MARGIN } else { 1.0 - MARGIN }
    }

    pub(super) fn alert(self, raised: bool, reading: &Reading, limit: f64, time: u64) -> Alert {
        let Reading { value, baseline, .. } = *reading;
        let percent = |x: f64| format!("{:.1} %", 100.0 * x);
        let what = match self {
            Self::SuccessDrop => format!(
                "{} of the answers of the last hour are good, {} were before",
                percent(baseline - value),
                percent(baseline)
            ),
            Self::CostRise => {
                format!(
                    "a request of the last hour costs {} more than one of the hour before",
                    percent(value)
                )
            }
            Self::Exploration => format!("{} of the choices of the last hour explore", percent(value)),
            Self::ScoreVariance => format!("a model's mean reward varies by {value:.3} from hour to hour"),
            Self::DetectorAccuracy => {
                format!("implicit feedback agrees with explicit feedback in {} of the cases", percent(value))
            }
        };
        let message = if raised { what } else { format!("over: {what}") };
        Alert { kind: self, raised, message, value, limit, time }
    }
}
