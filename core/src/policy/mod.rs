//! Policies: from a projected context and an arm's parameters to a score.
//!
//! This room owns the arithmetic of scoring. It must not know which arms are candidates or what they cost: that
//! is the [`crate::decision`]'s.

mod linucb;
mod projection;

pub use linucb::{ArmParams, Score, packed_len};
pub use projection::Projection;
