//! What was observed, kept as long as the features may still change.

use std::sync::Arc;

use super::Answered;
use crate::context::Context;

/// Features are first fitted to so many observations, and again each time their number has doubled…
const FIRST: usize = 32;
/// …up to this one; after it they stay, and single observations are forgotten.
const LAST: usize = 4096;

/// One observation, free of features.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Observed {
    pub(super) route: Arc<str>,
    pub(super) ordinal: u64,
    pub(super) context: Arc<Context>,
    pub(super) reward: f64,
    pub(super) length: f64,
}

/// Observations since the start, in their order; `None` once the features are final.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Memory(Option<Vec<Observed>>);

// === impl Memory ===

impl Memory {
    pub(super) fn new(needed: bool) -> Self {
        Self(needed.then(Vec::new))
    }

    /// True when it is time to fit the features.
    pub(super) fn remember(&mut self, seen: Observed) -> bool {
        let Some(all) = &mut self.0 else { return false };
        all.push(seen);
        all.len() >= FIRST && all.len().is_power_of_two()
    }

    pub(super) fn revise(&mut self, route: &str, ordinal: u64, reward: f64) {
        let all = self.0.iter_mut().flatten().rev();
        if let Some(seen) = all.into_iter().find(|o| o.ordinal == ordinal && *o.route == *route) {
            seen.reward = reward;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Observed> {
        self.0.iter().flatten()
    }

    pub(super) fn answered(&self) -> Vec<Answered<'_>> {
        self.iter().map(|o| Answered { route: &o.route, context: &o.context, reward: o.reward }).collect()
    }

    /// All of it; `None` once the features are final.
    pub(super) fn all(&self) -> Option<&[Observed]> {
        self.0.as_deref()
    }

    /// Holds this instead.
    pub(super) fn replace(&mut self, all: Option<Vec<Observed>>) {
        self.0 = all;
    }

    /// The features were fitted to all of this.
    pub(super) fn fitted(&mut self) {
        if self.0.as_ref().is_some_and(|all| all.len() >= LAST) {
            self.0 = None;
        }
    }
}
