//! Fields of knowledge: the fourteen categories of MMLU-Pro (Wang et al. 2024).

use serde::{Deserialize, Serialize};

/// Their names, in the order of every vector of them.
pub const DOMAINS: [&str; 14] = [
    "business",
    "law",
    "psychology",
    "biology",
    "chemistry",
    "history",
    "other",
    "health",
    "economics",
    "math",
    "physics",
    "computer science",
    "philosophy",
    "engineering",
];

/// How likely a prompt is about each of [`DOMAINS`]: they sum to 1, or all are 0 where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Domains(pub [f32; DOMAINS.len()]);

// === impl Domains ===

impl Domains {
    /// Each domain's name and confidence.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f32)> + '_ {
        DOMAINS.into_iter().zip(self.0)
    }

    /// The confidence in the domain of this name; 0 if there is none.
    pub fn of(&self, name: &str) -> f32 {
        self.iter().find(|(domain, _)| *domain == name).map_or(0.0, |(_, confidence)| confidence)
    }

    /// The likeliest domain, the first of equals; `None` where nothing is known.
    pub fn top(&self) -> Option<(&'static str, f32)> {
        let best = self.iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.filter(|(_, confidence)| *confidence > 0.0)
    }
}
