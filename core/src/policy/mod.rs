//! Policies: from a context to features, and from these and an arm's parameters to a score.
//!
//! This room owns the arithmetic of scoring. It must not know which arms are candidates or what they cost: that
//! is the [`crate::decision`]'s.

mod curve;
mod factor;
mod features;
mod linucb;
pub(crate) mod matching;
mod projection;

pub use curve::Curve;
pub use factor::{Factor, packed_index, packed_len, packed_panel, packed_rows};
pub use features::{BIAS, Features, Landmarks};
pub(crate) use features::{LINEAR_LIMIT, kernel};
pub use linucb::{ArmParams, Score};
pub use projection::Projection;
