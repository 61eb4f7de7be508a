//! One direction in all of the embedding along which rewards rise.
//!
//! The kernel compares prompts by the leading components of their embeddings. What else the embedding says of rewards is
//! too little for a feature each, but together it counts: so one feature more is `wᵀx`, w the ridge regression of rewards,
//! each less its route's mean, on all of the embedding. A feature that was fitted to the rewards that it is to explain
//! explains them too well. So w is also fitted without each of some folds of the prompts, and statistics see of a prompt
//! only what the other folds say (stacking: Wolpert 1992, "Stacked generalization"); how far a route follows it is then
//! for its own regression to find.

use std::collections::BTreeMap;

use dragoman_lanes::dot;
use serde::{Deserialize, Serialize};

use super::Answered;
use super::checkpoint::f32s;
use super::components::mean;
use crate::context::{Context, HAS_EMBEDDING, META, SIGNALS};

/// Folds of the prompts.
const FOLDS: usize = 8;
/// Standard deviation of the feature, of which a sixteenth of what the kernel explains is so expected. From .18 to .35
/// all is alike; more, and what was held out of few prompts misleads.
const DEVIATION: f32 = 0.25;
/// It is used from so many standard deviations of chance on, by the correlation of what was held out with the rewards.
const SURE: f32 = 3.0;
/// Rounds of conjugate gradients at most, and the part of the residual that is small enough.
const ROUNDS: usize = 50;
const SMALL: f32 = 1e-3;

/// w, as a row `[d]` of P.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    #[serde(with = "f32s")]
    whole: Vec<f32>,
    /// Without each of the folds, one after another `[FOLDS × d]`.
    #[serde(with = "f32s")]
    without: Vec<f32>,
}

struct Point {
    /// Centred `[D]`.
    x: Vec<f32>,
    y: f32,
    fold: usize,
}

// === impl Trend ===

impl Trend {
    /// From what was observed; `ridge` is that of features of mean square 1. `None` from fewer prompts than an embedding
    /// has numbers, or if nothing can be told from chance.
    pub(super) fn of(answered: &[Answered], ridge: f64) -> Option<Self> {
        let embeddings: Vec<&[f32]> = answered.iter().filter_map(|a| a.context.embedding()).collect();
        let center = mean(&embeddings)?;
        let points = points(answered, &center);
        if points.len() < center.len() {
            return None;
        }
        let size = points.iter().map(|p| dot(&p.x, &p.x)).sum::<f32>() / points.len() as f32;
        let ridge = ridge as f32 * size;
        let without: Vec<Vec<f32>> =
            (0..FOLDS).map(|fold| solve(&points, ridge, |p| p.fold != fold)).collect();
        let held_out: Vec<f32> =
            points.iter().filter_map(|p| Some(dot(without.get(p.fold)?, &p.x))).collect();
        let rewards: Vec<f32> = points.iter().map(|p| p.y).collect();
        let chance = (dot(&held_out, &held_out) * dot(&rewards, &rewards) / rewards.len() as f32).sqrt();
        if dot(&held_out, &rewards) < SURE * chance {
            return None;
        }
        let scale = DEVIATION / (dot(&held_out, &held_out) / held_out.len() as f32).sqrt();
        let row = |w: Vec<f32>| {
            let mut row: Vec<f32> = w.iter().map(|w| w * scale).collect();
            let offset = dot(&row, &center);
            row.resize(center.len() + SIGNALS + META, 0.0);
            // A missing embedding counts as an average one.
            *row.get_mut(center.len() + SIGNALS + HAS_EMBEDDING)? = -offset;
            row.iter().all(|v| v.is_finite()).then_some(row)
        };
        let whole = row(solve(&points, ridge, |_| true))?;
        let without: Vec<Vec<f32>> = without.into_iter().map(row).collect::<Option<_>>()?;
        Some(Self { whole, without: without.concat() })
    }

    /// Its row of P, for deciding.
    pub(super) fn row(&self) -> &[f32] {
        &self.whole
    }

    /// Whether all its rows are of `d` numbers.
    pub(super) fn fits(&self, d: usize) -> bool {
        self.whole.len() == d && self.without.len() == FOLDS * d
    }

    /// The feature of a context as far as other prompts tell, for statistics.
    pub(super) fn held_out(&self, x: &Context) -> f32 {
        let row = self.without.chunks_exact(self.whole.len().max(1)).nth(fold(x));
        row.map_or(0.0, |row| dot(row, x.values()))
    }
}

/// The same for the same prompt, however often it comes.
fn fold(x: &Context) -> usize {
    let hash = |h: u64, v: &f32| (h ^ u64::from(v.to_bits())).wrapping_mul(0x100_0000_01b3);
    let hash = x.values().iter().fold(0xcbf2_9ce4_8422_2325, hash);
    (hash >> 32) as usize % FOLDS
}

fn points(answered: &[Answered], center: &[f32]) -> Vec<Point> {
    let mut routes: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for one in answered {
        let (sum, count) = routes.entry(one.route).or_default();
        *sum += one.reward;
        *count += 1.0;
    }
    let point = |one: &Answered| {
        let x = one.context.embedding()?.iter().zip(center).map(|(v, c)| v - c).collect();
        let (sum, count) = routes.get(one.route)?;
        Some(Point { x, y: (one.reward - sum / count) as f32, fold: fold(one.context) })
    };
    answered.iter().filter_map(point).collect()
}

/// `(XᵀX + ridge·I)⁻¹Xᵀy` of the points that are taken, by conjugate gradients (Golub & Van Loan, "Matrix
/// Computations", §11.3.8): the ridge keeps them few.
fn solve(points: &[Point], ridge: f32, taken: impl Fn(&Point) -> bool) -> Vec<f32> {
    let taken: Vec<&Point> = points.iter().filter(|p| taken(p)).collect();
    let mut w = vec![0.0; taken.first().map_or(0, |p| p.x.len())];
    let mut residual = w.clone();
    taken.iter().for_each(|p| add(&mut residual, p.y, &p.x));
    let mut direction = residual.clone();
    let mut left = dot(&residual, &residual);
    let enough = SMALL * SMALL * left;
    for _ in 0..ROUNDS {
        if left <= enough {
            break;
        }
        let mut image: Vec<f32> = direction.iter().map(|d| ridge * d).collect();
        taken.iter().for_each(|p| add(&mut image, dot(&p.x, &direction), &p.x));
        let step = left / dot(&direction, &image);
        add(&mut w, step, &direction);
        add(&mut residual, -step, &image);
        let now = dot(&residual, &residual);
        direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + now / left * *d);
        left = now;
    }
    w
}

fn add(sum: &mut [f32], scale: f32, x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(s, x)| *s += scale * x);
}
