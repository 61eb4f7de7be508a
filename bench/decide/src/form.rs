//! The forms in which a route's parameters can be, and random ones of each.

use std::fmt;

use dragoman_core::context::{META, SIGNALS};
use dragoman_core::policy::{Projection, packed_len};
use dragoman_core::snapshot::RouteParams;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::CONTEXT;

/// How a route is scored. A new form needs its line in each of the matches below, and a goal in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The context is projected to k dimensions; θ `[k]`, R `[k × k]` triangular.
    Projected,
    /// The whole context as it is: k = d, the projection is the identity; R `[d × d]` triangular.
    Dense,
}

// === impl Form ===

impl Form {
    /// The projection of the whole context to `k` dimensions, as an encoder's components give it, or to all of them;
    /// always the same one. `None` if `k` leaves no room.
    pub fn projection(self, k: usize) -> Option<Projection> {
        match self {
            Self::Projected => {
                let mut random = ChaCha8Rng::seed_from_u64(1);
                let size = CONTEXT - SIGNALS - META;
                let mut numbers =
                    |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
                let (mean, components) = (numbers(size), numbers(k * size));
                Projection::from_components(k, &mean, &components, &vec![1.0; k])
            }
            Self::Dense => identity(CONTEXT),
        }
    }

    /// Parameters of one route in `k` dimensions without a single zero.
    pub(crate) fn params(self, k: usize, random: &mut ChaCha8Rng) -> RouteParams {
        let mut numbers =
            |n: usize, scale: f32| (0..n).map(|_| random.random_range(0.1..1.0) * scale).collect();
        RouteParams { theta: numbers(k, 0.1), length: numbers(k, 0.01), factor: numbers(packed_len(k), 0.02) }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Projected => "projected",
            Self::Dense => "dense",
        })
    }
}

/// The identity of `d` dimensions.
fn identity(d: usize) -> Option<Projection> {
    let values = (0..d * d).map(|i| if i / d == i % d { 1.0 } else { 0.0 });
    Projection::new(d, d, values.collect())
}
