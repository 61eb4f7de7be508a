//! Deciding, timed: the same code on the same numbers natively and in Envoy's V8.
//!
//! This room owns the cases (how many routes, dimensions, and in which form a route's parameters are), the random
//! snapshots and contexts they are measured with, and the loop that times them. The clock comes from outside. It
//! must not know who asks: `bench-learner` does natively; [`plugin`](self), built for wasm32-wasip1, does in Envoy.

mod case;
mod form;
#[cfg(target_arch = "wasm32")]
mod plugin;
mod snapshot;

pub use case::{Case, Clock, Effort, Timing, measure};
pub use form::{Form, components, kernel_features};
pub use snapshot::{competing, config, context, with_routes};

use serde::{Deserialize, Serialize};

/// Length of the whole context: a ModernBERT-base embedding, the signal and the meta features.
pub const CONTEXT: usize = 768 + dragoman_core::context::SIGNALS + dragoman_core::context::META;

/// What the plugin is asked, as its configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Questions {
    /// What to time.
    pub cases: Vec<Case>,
    /// How long.
    pub effort: Effort,
}

/// Opens each line of Envoy's log that carries an [`Answer`] as JSON.
pub const ANSWER: &str = "bench-decide answers ";

/// What the plugin logs of one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The case's place in [`Questions::cases`].
    pub case: usize,
    /// What was measured, or why it could not be.
    pub result: Result<Timing, String>,
}
