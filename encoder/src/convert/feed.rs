//! The feed-forward half of a layer, cut into bands of its inner channels.
//!
//! Trained transformers have "massive activations" (Sun et al. 2024, arXiv:2402.17762): of GeGLU's product one or two
//! channels are a hundred times as large as the others, in most tokens. They would take all seven bits of a row. The
//! inner channels have no order of their own, so the strongest come first and get a scale for themselves.

use crate::fused::write::{Tensor, Values};
use crate::fused::{Shape, file};

/// The weights of one layer's half.
pub(super) struct Feed {
    pub(super) layer: usize,
    /// `[hidden]`: of the norm before it.
    pub(super) norm: Vec<f32>,
    /// `[2 · intermediate, hidden]`: values, then gates.
    pub(super) wi: Vec<f32>,
    /// `[hidden, intermediate]`.
    pub(super) wo: Vec<f32>,
}

/// Some of the channels.
pub(super) struct Band {
    pub(super) wi: Tensor,
    pub(super) wo: Tensor,
    /// What an error in each input of `wo` counts.
    pub(super) importance: Vec<f32>,
}

impl Feed {
    /// The strongest channels, then the others.
    pub(super) fn bands(&self, shape: &Shape) -> Vec<Band> {
        let gains = self.gains(shape);
        let gain = |channel: &usize| gains.get(*channel).copied().unwrap_or_default();
        let order = self.order(shape);
        let cut = |(b, band)| {
            let channels = order.get::<std::ops::Range<usize>>(band).unwrap_or_default();
            // The square of an activation would grow with gain²; those of the strongest grow much faster.
            let importance = channels.iter().map(|c| gain(c).powi(4)).collect();
            Band { wi: self.wi(shape, b, channels), wo: self.wo(shape, b, channels), importance }
        };
        shape.bands().into_iter().enumerate().map(cut).collect()
    }

    /// The inner channels, from the strongest on.
    pub(super) fn order(&self, shape: &Shape) -> Vec<usize> {
        let gains = self.gains(shape);
        let mut channels: Vec<(usize, f32)> = gains.into_iter().enumerate().collect();
        channels.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        channels.into_iter().map(|(channel, _)| channel).collect()
    }

    /// How strong each channel can become: after the norm, value and gate are at most as long as their weights.
    fn gains(&self, shape: &Shape) -> Vec<f32> {
        let length =
            |row: &[f32]| row.iter().zip(&self.norm).map(|(w, n)| (w * n).powi(2)).sum::<f32>().sqrt();
        let rows = self.wi.chunks_exact(shape.hidden);
        let gates = rows.clone().skip(shape.intermediate);
        rows.zip(gates).map(|(value, gate)| length(value) * length(gate)).collect()
    }

    fn wi(&self, shape: &Shape, b: usize, channels: &[usize]) -> Tensor {
        let d = shape.hidden;
        let row = |at: usize| self.wi.get(at * d..(at + 1) * d).unwrap_or_default();
        let gates = channels.iter().map(|c| c + shape.intermediate);
        let values = channels.iter().copied().chain(gates).flat_map(row).copied().collect();
        self.tensor(b, "Wi", [2 * channels.len(), d], values)
    }

    fn wo(&self, shape: &Shape, b: usize, channels: &[usize]) -> Tensor {
        let row = |row: &[f32]| channels.iter().filter_map(|c| row.get(*c).copied()).collect::<Vec<_>>();
        let values = self.wo.chunks_exact(shape.intermediate).flat_map(row).collect();
        self.tensor(b, "Wo", [shape.hidden, channels.len()], values)
    }

    fn tensor(&self, b: usize, part: &str, shape: [usize; 2], values: Vec<f32>) -> Tensor {
        let name = format!("{}.weight", file::layer(self.layer, &file::band(b, part)));
        Tensor { name, shape: shape.to_vec(), values: Values::Float(values) }
    }
}
