//! How a matrix becomes whole numbers: each row `q = round(w / scale)`.

use crate::fused::write::{Tensor, Values};

/// How a matrix is rounded.
pub(super) enum Rounding<'a> {
    /// To ±127; `scale = greatest |w| / 127`.
    Int8,
    /// To ±127, with the scale that gives the least `Σ importance · (w - scale q)²`. An importance for each input.
    Weighted(&'a [f32]),
    /// To ±127 where that takes nothing away, else not at all: after the mean no error is averaged any more.
    Exact,
}

/// The scales tried, over that of the row's greatest weight: from some that cut it to far coarser ones, so many that one
/// fits the few inputs that count.
const TRIED: std::ops::Range<i32> = 230..410;
const UNIT: f32 = 256.0;
/// What a weight may be away from a whole number of steps: floats are not exact.
const LOST: f32 = 1e-3;
/// The greatest of whole numbers.
const MOST: f32 = 127.0;

impl Rounding<'_> {
    /// `NAME.rows` and `NAME.scale` of a `NAME.weight`.
    pub(super) fn of(&self, tensor: Tensor) -> Vec<Tensor> {
        let (Values::Float(values), Some(name), &[outputs, inputs]) =
            (&tensor.values, tensor.name.strip_suffix(".weight"), &tensor.shape[..])
        else {
            return vec![tensor];
        };
        let rows = values.chunks_exact(inputs.max(1));
        let scale: Vec<f32> = rows.clone().map(|row| self.scale(row)).collect();
        let whole = rows.zip(&scale).flat_map(|(row, scale)| row.iter().map(|w| self.round(*w, *scale)));
        let lost =
            values.iter().zip(whole.clone()).zip(scale.iter().flat_map(|s| std::iter::repeat_n(s, inputs)));
        if matches!(self, Self::Exact) && lost.into_iter().any(|((w, q), s)| (w - q * s).abs() > s * LOST) {
            return vec![tensor];
        }
        let rows = Values::Int8(whole.map(|q| q as i8).collect());
        vec![
            Tensor { name: format!("{name}.rows"), shape: vec![outputs, inputs], values: rows },
            Tensor { name: format!("{name}.scale"), shape: vec![outputs], values: Values::Float(scale) },
        ]
    }

    fn round(&self, w: f32, scale: f32) -> f32 {
        (w / scale).round().clamp(-MOST, MOST)
    }

    fn scale(&self, row: &[f32]) -> f32 {
        let greatest = row.iter().fold(1e-30, |most: f32, w| most.max(w.abs())) / MOST;
        let Self::Weighted(importance) = self else { return greatest };
        let error = |scale: f32| -> f32 {
            let off = |w: f32| (w - scale * self.round(w, scale)).powi(2);
            row.iter().zip(*importance).map(|(w, importance)| importance * off(*w)).sum()
        };
        let tried = TRIED.map(|n| greatest * n as f32 / UNIT).map(|scale| (error(scale), scale));
        tried.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(greatest, |(_, scale)| scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `weights` after rounding.
    fn rounded(rounding: &Rounding<'_>, weights: &[f32]) -> Vec<f32> {
        let tensor = Tensor {
            name: "m.weight".into(),
            shape: vec![1, weights.len()],
            values: Values::Float(weights.to_vec()),
        };
        let whole: Vec<f32> = match &rounding.of(tensor)[..] {
            [Tensor { values: Values::Int8(q), .. }, Tensor { values: Values::Float(s), .. }] => {
                q.iter().map(|q| f32::from(*q) * s[0]).collect()
            }
            _ => vec![],
        };
        whole.iter().zip(weights).map(|(a, b)| (a - b).abs()).collect()
    }

    const WEIGHTS: [f32; 6] = [0.9, -0.3317, 0.0, 0.7123, -0.1111, 0.05];

    #[test]
    fn a_weight_is_within_half_a_step() {
        assert!(rounded(&Rounding::Int8, &WEIGHTS).iter().all(|off| *off <= 0.5001 * 0.9 / 127.0));
    }

    #[test]
    fn what_would_lose_something_is_left_alone() {
        let tensor = |values: &[f32]| Tensor {
            name: "m.weight".into(),
            shape: vec![2, 2],
            values: Values::Float(values.to_vec()),
        };
        let step = 0.013;
        let whole = [127.0, -3.0, 50.0, -127.0].map(|q| q * step);
        assert!(matches!(Rounding::Exact.of(tensor(&whole))[0].values, Values::Int8(_)));
        let between = [127.0, -3.4, 50.0, -127.0].map(|q| q * step);
        assert!(matches!(Rounding::Exact.of(tensor(&between))[0].values, Values::Float(_)));
    }

    #[test]
    fn the_weight_that_counts_is_nearly_exact() {
        for important in [1, 3, 4] {
            let mut importance = [1.0; 6];
            importance[important] = 1e6;
            let (plain, weighted) =
                (rounded(&Rounding::Int8, &WEIGHTS), rounded(&Rounding::Weighted(&importance), &WEIGHTS));
            assert!(weighted[important] < 0.2 * plain[important], "{important}: {weighted:?} {plain:?}");
        }
    }
}
