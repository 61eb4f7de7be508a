//! Where a threshold belongs: where the rule and what comes after it are worth the same.
//!
//! A sharp regression discontinuity (Thistlethwaite & Campbell 1960; Imbens & Lemieux 2008, "Regression discontinuity
//! designs: a guide to practice"): on each side of the threshold the reward is fitted by a local line with a triangular
//! kernel, the best one at a boundary (Fan & Gijbels 1996, §3.2.5); the lines cross where the threshold should be.

use super::{Finding, Side};

/// Half-width of the band around the threshold that is fitted: wider, and what bends within it pulls the crossing away;
/// narrower, and too few samples say where it is.
const BAND: f64 = 0.25;
/// Where a side has too few samples the band widens by this factor.
const WIDEN: f64 = 1.25;
/// A difference of slopes counts from so many standard errors on; below it only the direction is known…
const SURE: f64 = 2.0;
/// …and the target is so far off in it.
const ONWARD: f64 = 0.1;

/// `r ≈ level + slope · u`, with the variances of both.
struct Line {
    level: f64,
    slope: f64,
    level_variance: f64,
    slope_variance: f64,
}

pub(super) fn find(now: f64, sides: &[Side], least: usize) -> Option<Finding> {
    let (band, samples) = band(now, sides, least)?;
    let fit = |above| {
        let side = sides.iter().filter(|s| s.above == above);
        Line::of(side.filter_map(|s| {
            let u = s.signal - now;
            let kernel = 1.0 - u.abs() / band;
            (kernel > 0.0).then_some((u, s.got.reward, kernel * s.got.weight))
        }))
    };
    let (rule, rest) = (fit(true)?, fit(false)?);
    let gain = rule.level - rest.level;
    let error = (rule.level_variance + rest.level_variance).sqrt();
    let steeper = rule.slope - rest.slope;
    let known = steeper > SURE * (rule.slope_variance + rest.slope_variance).sqrt();
    let distance = if known { gain / steeper } else { ONWARD.copysign(gain) };
    Some(Finding { target: now - distance, gain, error, samples })
}

/// The band's half-width, and the samples within it.
fn band(now: f64, sides: &[Side], least: usize) -> Option<(f64, usize)> {
    let within = |band: f64| {
        let near = || sides.iter().filter(|s| (s.signal - now).abs() < band);
        let above = near().filter(|s| s.above).count();
        (above, near().count() - above)
    };
    let mut band = BAND;
    while band < 1.0 {
        let (above, below) = within(band);
        if above.min(below) >= least {
            return Some((band, above + below));
        }
        band *= WIDEN;
    }
    None
}

// === impl Line ===

impl Line {
    /// Weighted least squares over `(u, reward, weight)`; `None` if all u are the same.
    fn of(points: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Option<Self> {
        // Σ w uᵏ, Σ w² uᵏ, Σ w r uᵏ.
        let (mut s, mut q, mut r) = ([0.0; 3], [0.0; 3], [0.0; 2]);
        for (u, reward, w) in points.clone() {
            let powers = [1.0, u, u * u];
            s.iter_mut().zip(powers).for_each(|(s, p)| *s += w * p);
            q.iter_mut().zip(powers).for_each(|(q, p)| *q += w * w * p);
            r.iter_mut().zip(powers).for_each(|(r, p)| *r += w * reward * p);
        }
        let ([s0, s1, s2], [q0, q1, q2], [r0, r1]) = (s, q, r);
        let determinant = s0 * s2 - s1 * s1;
        if determinant <= 1e-12 * s0 * s0 {
            return None;
        }
        let level = (s2 * r0 - s1 * r1) / determinant;
        let slope = (s0 * r1 - s1 * r0) / determinant;
        let squares: f64 = points.map(|(u, reward, w)| w * (reward - level - slope * u).powi(2)).sum();
        // Freedom by the effective number of samples (Kish).
        let freedom = (s0 * s0 / q0 - 2.0).max(1.0);
        let noise = squares / s0 * (freedom + 2.0) / freedom / (determinant * determinant);
        Some(Self {
            level,
            slope,
            level_variance: noise * (s2 * s2 * q0 - 2.0 * s1 * s2 * q1 + s1 * s1 * q2),
            slope_variance: noise * (s1 * s1 * q0 - 2.0 * s0 * s1 * q1 + s0 * s0 * q2),
        })
    }
}
