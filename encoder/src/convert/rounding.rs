//! How a matrix becomes whole numbers: each row `q = round(w / scale)`, a little nearer to zero where sums of 16 bits ask it.

use crate::fused::dots;
use crate::fused::write::{Tensor, Values};

/// How a matrix is rounded.
pub(super) enum Rounding<'a> {
    /// To ±127, with the scale that gives the least `Σ importance · (w - scale q)²`, and so that [`dots`] allows it. An
    /// importance for each input.
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
        let (mut scale, mut whole) = (Vec::new(), Vec::new());
        for row in values.chunks_exact(inputs.max(1)) {
            let (by, rounded) = self.row(row);
            scale.push(by);
            whole.extend(rounded);
        }
        let each = values.iter().zip(&whole).zip(scale.iter().flat_map(|s| std::iter::repeat_n(s, inputs)));
        if matches!(self, Self::Exact) && each.into_iter().any(|((w, q), s)| (w - q * s).abs() > s * LOST) {
            return vec![tensor];
        }
        let rows = Values::Int8(whole.iter().map(|q| *q as i8).collect());
        vec![
            Tensor { name: format!("{name}.rows"), shape: vec![outputs, inputs], values: rows },
            Tensor { name: format!("{name}.scale"), shape: vec![outputs], values: Values::Float(scale) },
        ]
    }

    /// Scale and whole numbers of a row.
    fn row(&self, row: &[f32]) -> (f32, Vec<f32>) {
        let greatest = row.iter().fold(1e-30, |most: f32, w| most.max(w.abs())) / MOST;
        let Self::Weighted(importance) = self else {
            return (greatest, row.iter().map(|w| round(*w, greatest)).collect());
        };
        let tried = TRIED.map(|n| {
            let scale = greatest * n as f32 / UNIT;
            let mut whole: Vec<f32> = row.iter().map(|w| round(*w, scale)).collect();
            let runs =
                whole.as_chunks_mut().0.iter_mut().zip(row.as_chunks().0).zip(importance.as_chunks().0);
            runs.for_each(|((q, w), importance)| fit(q, w, importance, scale));
            let each = row.iter().zip(&whole).zip(*importance);
            let error: f32 = each.map(|((w, q), importance)| importance * (w - scale * q).powi(2)).sum();
            (error, scale, whole)
        });
        let best = tried.min_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, scale, whole)| (scale, whole)).unwrap_or_default()
    }
}

fn round(w: f32, scale: f32) -> f32 {
    (w / scale).round().clamp(-MOST, MOST)
}

/// Takes steps away from what is too much for [`dots`], each where it costs least.
fn fit(q: &mut [f32; dots::RUN], w: &[f32; dots::RUN], importance: &[f32; dots::RUN], scale: f32) {
    for (sum, sign) in dots::SUMS.into_iter().flat_map(|sum| [(sum, 1.0), (sum, -1.0)]) {
        loop {
            let with_sign = sum.into_iter().filter(|i| q[*i] * sign > 0.0);
            if with_sign.clone().map(|i| q[i].abs()).sum::<f32>() <= dots::MOST as f32 {
                break;
            }
            let error = |i: usize, q: f32| importance[i] * (w[i] - scale * q).powi(2);
            let cost = |i: usize| error(i, q[i] - sign) - error(i, q[i]);
            let cheapest = with_sign.min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
            let Some(i) = cheapest else { break };
            q[i] -= sign;
        }
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

    const WEIGHTS: [f32; 8] = [0.9, -0.3317, 0.0, 0.7123, -0.1111, 0.05, -0.6, 0.2];
    const ALIKE: [f32; 8] = [1.0; 8];

    #[test]
    fn a_weight_is_within_a_step() {
        let off = rounded(&Rounding::Weighted(&ALIKE), &WEIGHTS);
        assert!(off.iter().all(|off| *off <= 0.9 / 127.0), "{off:?}");
    }

    #[test]
    fn great_weights_side_by_side_fit_sums_of_16_bits_and_lose_little() {
        let weights = [0.9, 0.5, -0.9, 0.1, 0.45, 0.5, -0.6, -0.7];
        let (scale, whole) = Rounding::Weighted(&ALIKE).row(&weights);
        let bytes: Vec<i8> = whole.iter().map(|q| *q as i8).collect();
        assert!(dots::fit(&bytes), "{bytes:?}");
        assert!(!dots::fit(&weights.map(|w| (w * 127.0 / 0.9) as i8)));
        let off = whole.iter().zip(&weights).map(|(q, w)| (q * scale - w).abs()).fold(0.0, f32::max);
        assert!(off <= 0.01, "{off}: {bytes:?}");
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
            let mut importance = ALIKE;
            importance[important] = 1e6;
            let [plain, weighted] = [ALIKE, importance].map(|i| rounded(&Rounding::Weighted(&i), &WEIGHTS));
            assert!(weighted[important] < 0.2 * plain[important], "{important}: {weighted:?} {plain:?}");
        }
    }
}
