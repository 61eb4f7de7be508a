//! Policies: from a projected context and an arm's parameters to a score.
//!
//! This room owns the arithmetic of scoring. It must not know which arms are candidates or what they cost: that
//! is the [`crate::decision`]'s.

mod factor;
mod lanes;
mod linucb;
mod projection;

pub use factor::{packed_index, packed_len};
pub use linucb::{ArmParams, Score};
pub use projection::Projection;
