//! What the loop itself decided: events of the log like any other, so that a rebuild takes the same turns.

use dragoman_core::optimizer::Step;
use serde::{Deserialize, Serialize};

/// One such decision. A proposal goes by the place of its event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all = "snake_case")]
pub enum Turn {
    /// Signals were tuned: a proposal.
    Tuned(Step),
    /// Everything was learned anew: a proposal.
    Retrained {
        /// The last event that was learned.
        through: i64,
    },
    /// A proposal counts from now on, or never will.
    Judged {
        /// Which.
        proposal: i64,
        /// Whether it counts.
        promoted: bool,
    },
}
