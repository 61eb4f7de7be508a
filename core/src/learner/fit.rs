//! Fits the kernel features to the prompts that really come: the directions in which they differ, their centre, their
//! spread and landmarks among them.
#![allow(clippy::indexing_slicing)] // matrices by row: every index is below its dimension by its loop

use std::ops::Range;

use super::Base;
use super::cholesky::{Cholesky, triangle};
use super::components::leading;
use crate::context::{Context, FORM};
use crate::policy::{Landmarks, kernel};

/// Mean squared distance of two prompts, from the embedding and again from the other features: `κ` is about
/// exp(−1.4) between prompts that have nothing in common, so a landmark speaks for many prompts.
const SPREAD: f64 = 0.7;
/// A feature that varies less than this among the prompts seen is taken to be constant…
const CONSTANT: f64 = 0.004;
/// …and to have this standard deviation, so that the first prompt that differs is not out of all bounds.
const UNSEEN_DEVIATION: f64 = 0.25;
/// Added to κ(landmarks, landmarks): the standard jitter against landmarks that coincide.
const JITTER: f64 = 1e-3;
/// Lloyd's algorithm's rounds.
const ROUNDS: usize = 8;
/// Prompts that all is fitted to, at most.
const SAMPLE: usize = 1024;
/// Prompts it takes for each component to find the traffic's own: of fewer they are mostly chance, and the encoder's serve.
const PROMPTS_PER_COMPONENT: usize = 8;

/// At most `dimensions` features. `None` without contexts, or if a number is not finite.
pub(super) fn fit(base: &Base, contexts: &[&Context], dimensions: usize) -> Option<Landmarks> {
    let linear = FORM.len();
    let count = dimensions.saturating_sub(linear + 1);
    let step = contexts.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&Context> = contexts.iter().step_by(step).copied().collect();
    let own = of_traffic(base, &sample);
    let base = own.as_ref().unwrap_or(base);
    let raw: Vec<Vec<f32>> = sample.iter().map(|x| base.projection.apply(x.values())).collect();
    let (center, scale) = standardise(&raw, base.embedding, linear)?;
    let projection = base.projection.rescaled(&center, &scale)?;
    let compared = projection.rows().checked_sub(linear)?;
    let place = |x: &&Context| projection.apply(x.values()).into_iter().take(compared).collect();
    let points: Vec<Vec<f32>> = sample.iter().map(place).collect();
    let landmarks = cluster(&points, count.min(points.len()));
    let whitening = whiten(&landmarks, compared)?;
    Landmarks::new(projection, linear, landmarks, whitening)
}

/// P with the principal components of these prompts' embeddings in the place of the encoder's; `None` where there are
/// too few of them, or they differ too little.
fn of_traffic(base: &Base, sample: &[&Context]) -> Option<Base> {
    let points: Vec<&[f32]> = sample.iter().filter_map(|x| x.embedding()).collect();
    if points.len() < PROMPTS_PER_COMPONENT * base.embedding {
        return None;
    }
    let (mean, components) = leading(&points, base.embedding)?;
    Base::from_components(&mean, &components)
}

/// Per row of P: its mean and what to multiply by. The embedding's rows share one factor, so that leading components
/// keep their larger part; other features get their own. The last, `linear` ones together have the variance 1: as much
/// is expected of them as of the kernel, which is 1 between a prompt and itself.
fn standardise(raw: &[Vec<f32>], embedding: usize, linear: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let (n, p) = (raw.len() as f64, raw.first()?.len());
    let column = |j: usize| raw.iter().map(move |row| f64::from(row[j]));
    let center: Vec<f64> = (0..p).map(|j| column(j).sum::<f64>() / n).collect();
    let variance: Vec<f64> =
        (0..p).map(|j| column(j).map(|v| (v - center[j]).powi(2)).sum::<f64>() / n).collect();
    let deviation: Vec<f64> = variance
        .iter()
        .enumerate()
        .map(|(j, variance)| match variance.sqrt() {
            _ if j < embedding => 1.0,
            d if d < CONSTANT => UNSEEN_DEVIATION,
            d => d,
        })
        .collect();
    let energy = |rows: Range<usize>| rows.map(|j| variance[j] / deviation[j].powi(2)).sum::<f64>();
    let (embedding, compared) = (embedding.min(p), p.checked_sub(linear)?);
    let kernel = |rows| (SPREAD / (2.0 * energy(rows).max(1e-6))).sqrt();
    let blocks = [
        (0..embedding, kernel(0..embedding)),
        (embedding..compared, kernel(embedding..compared)),
        (compared..p, energy(compared..p).max(1.0).sqrt().recip()),
    ];
    let scale = blocks.into_iter().flat_map(|(rows, factor)| rows.map(move |j| (j, factor)));
    let scale = scale.map(|(j, factor)| (factor / deviation[j]) as f32).collect();
    Some((center.iter().map(|c| *c as f32).collect(), scale))
}

/// The centres of `count` clusters, row after row (Lloyd 1982), from points evenly apart in the order they came.
fn cluster(points: &[Vec<f32>], count: usize) -> Vec<f32> {
    let apart = |i: usize| i * (points.len() - 1) / (count - 1).max(1);
    let mut centers: Vec<f32> = (0..count).flat_map(|i| points[apart(i)].iter().copied()).collect();
    let Some(p) = points.first().map(Vec::len).filter(|p| *p > 0 && count > 0) else { return centers };
    for _ in 0..ROUNDS {
        let norms = norms(&centers, p);
        let (mut sums, mut members) = (vec![0.0f32; centers.len()], vec![0u32; count]);
        for point in points {
            let near = kernel(&centers, &norms, point);
            let Some((best, _)) = near.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)) else {
                continue;
            };
            members[best] += 1;
            sums[best * p..(best + 1) * p].iter_mut().zip(point).for_each(|(s, v)| *s += v);
        }
        for ((center, sum), n) in centers.chunks_exact_mut(p).zip(sums.chunks_exact(p)).zip(members) {
            if n > 0 {
                center.iter_mut().zip(sum).for_each(|(c, s)| *c = s / n as f32);
            }
        }
    }
    centers
}

fn norms(points: &[f32], p: usize) -> Vec<f32> {
    points.chunks_exact(p.max(1)).map(|c| c.iter().map(|v| v * v).sum()).collect()
}

/// L⁻¹ `[m × m]` of κ(landmarks, landmarks) + jitter.
fn whiten(landmarks: &[f32], p: usize) -> Option<Vec<f32>> {
    let norms = norms(landmarks, p);
    let m = norms.len();
    let mut k = Vec::with_capacity(triangle(m));
    for (i, point) in landmarks.chunks_exact(p.max(1)).enumerate() {
        k.extend(kernel(landmarks, &norms, point).iter().take(i + 1).map(|v| f64::from(*v)));
    }
    let inverse = Cholesky::of(&k, m, JITTER)?.inverse();
    let mut full = vec![0.0; m * m];
    for i in 0..m {
        let row = &inverse[triangle(i)..triangle(i + 1)];
        full[i * m..=i * m + i].iter_mut().zip(row).for_each(|(f, v)| *f = *v as f32);
    }
    Some(full)
}
