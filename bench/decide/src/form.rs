//! The forms in which a route's parameters can be, and random ones of each.

use std::fmt;

use dragoman_core::context::{FORM, META, SIGNALS};
use dragoman_core::policy::{Curve, Factor, Features, Landmarks, Projection, packed_len, packed_panel};
use dragoman_core::snapshot::RouteParams;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::CONTEXT;

/// Components of the embedding that the learner compares prompts by.
const COMPONENTS: usize = 32;
/// Rows that the learner keeps of a route's factor over the whole context.
const RANK: usize = 32;

/// How a route is scored. A new form needs its line in each of the matches below, and a goal in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The context is projected and made into k kernel features; θ `[k]`, R `[k × k]` triangular.
    Kernel,
    /// The whole context as it is, k = d; the factor is of low rank.
    Whole,
}

// === impl Form ===

impl Form {
    /// `k` features of a context of [`CONTEXT`] numbers, always the same ones. `None` if `k` leaves no room.
    pub fn features(self, k: usize) -> Option<Features> {
        match self {
            Self::Kernel => kernel_features(&projection()?, k),
            Self::Whole => Some(Features::Whole(CONTEXT)),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Whole => "whole, low rank",
        })
    }
}

/// `k` kernel features behind `projection`: random landmarks and a trend with no zeros, always the same ones. `None` if `k`
/// leaves none.
pub fn kernel_features(projection: &Projection, k: usize) -> Option<Features> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (m, p) = (k.checked_sub(FORM.len() + 2)?, projection.rows().checked_sub(FORM.len())?);
    let trend: Vec<f32> = (0..projection.columns()).map(|_| random.random_range(-0.1..0.1)).collect();
    let points = (0..m * p).map(|_| random.random_range(-0.1..0.1)).collect();
    let mut below = |n: usize| if n % m <= n / m { random.random_range(0.1..1.0) } else { 0.0 };
    let whitening = (0..m * m).map(&mut below).collect();
    let projection = projection.with_row(&trend)?;
    Landmarks::new(projection, FORM.len() + 1, points, whitening).map(Features::Landmarks)
}

/// An encoder's principal components, as many as the learner takes: mean `[D]`, components `[C × D]`.
pub fn components() -> (Vec<f32>, Vec<f32>) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let size = CONTEXT - SIGNALS - META;
    let length = (size as f32 / 3.0).sqrt();
    let mut numbers =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-1.0..1.0) / length).collect() };
    (numbers(size), numbers(COMPONENTS * size))
}

fn projection() -> Option<Projection> {
    let (mean, components) = components();
    Projection::from_components(COMPONENTS, &mean, &components)
}

/// Parameters of one route in `features` without a single zero.
pub(crate) fn params(features: &Features, random: &mut ChaCha8Rng) -> RouteParams {
    let k = features.size();
    let mut numbers = |n: usize, scale: f32| (0..n).map(|_| random.random_range(0.1..1.0) * scale).collect();
    let (theta, length) = (numbers(k, 0.1), numbers(k, 0.01));
    let factor = match features {
        Features::Landmarks(_) => Factor::Triangle(numbers(packed_len(k), 0.02)),
        // So little is known that some width is left.
        Features::Whole(_) => {
            Factor::LowRank { rows: numbers(RANK / 8 * packed_panel(k), 0.001), prior: 0.1 }
        }
    };
    // As much work as there can be.
    RouteParams { theta, length, factor, curve: Curve::through(0.7) }
}
