//! When a conversation stays on its model.

use serde::{Deserialize, Serialize};

use super::routing::StickyOverride;
use super::section::Section;

/// Prompt caches live with the model that answered before: moving a conversation must be worth it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sticky {
    /// Whether conversations are held at all.
    pub enabled: bool,
    /// Expected gain, in reward less the price of its dollars, above which a conversation moves.
    pub margin: f32,
    /// A conversation that was silent for longer is a new one.
    pub minutes: u32,
    /// Conversations remembered by one Envoy; an even number, since a conversation has two places to be in.
    pub slots: u32,
}

impl Default for Sticky {
    fn default() -> Self {
        Self { enabled: true, margin: 0.05, minutes: 30, slots: 4096 }
    }
}

impl Sticky {
    pub(super) fn read(section: &Section) -> Self {
        let d = Self::default();
        let sticky = Self {
            enabled: section.switch("enabled", d.enabled),
            margin: section.number("margin", 0.0..=2.0, d.margin.into()) as f32,
            minutes: section.whole("minutes", 1..=1440, d.minutes),
            slots: section.whole("slots", 2..=65_536, d.slots),
        };
        if sticky.slots % 2 == 1 {
            section.error("slots", format!("must be even, not {}", sticky.slots));
        }
        section.finish();
        sticky
    }

    /// The margin within which a conversation stays in a decision that says `own` for itself; `None` if it is free.
    pub fn margin_of(&self, own: Option<StickyOverride>) -> Option<f32> {
        match own {
            None => self.enabled.then_some(self.margin),
            Some(StickyOverride::On) => Some(self.margin),
            Some(StickyOverride::Margin(margin)) => Some(margin),
            Some(StickyOverride::Off) => None,
        }
    }

    /// How long a conversation is remembered, milliseconds.
    pub fn lifetime_ms(&self) -> u64 {
        u64::from(self.minutes) * 60_000
    }
}
