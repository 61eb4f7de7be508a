//! A weight matrix, packed.

use std::marker::PhantomData;

use super::dots::{self, Way};
use super::lines::Line;
use super::panels::{Panels, Sink, Window, multiply, multiply_two, width};
use super::rows::Rows;
use super::simd::Simd;

/// Weights as they are stored: `[outputs, inputs]`, row by row.
#[derive(Debug, Clone)]
pub(super) enum Plain {
    /// float32.
    Float(Vec<f32>),
    /// int8 with one scale per output.
    Int8(Vec<i8>, Vec<f32>),
}

/// `[outputs, inputs]` for one kind of processor.
#[derive(Debug)]
pub(super) struct Matrix<S> {
    inputs: usize,
    outputs: usize,
    panels: Panels,
    simd: PhantomData<S>,
}

/// Outputs in their own order.
pub(super) fn in_order(outputs: usize) -> Vec<usize> {
    (0..outputs).collect()
}

/// A value and its gate side by side, a vector of each to a panel: of `[values; gates]`, `half` of each.
pub(super) fn gated<S: Simd>(half: usize) -> Vec<usize> {
    let starts = (0..half).step_by(S::LANES);
    let vector = |start: usize| start..start + S::LANES;
    starts.flat_map(|start| vector(start).chain(vector(half + start))).collect()
}

impl<S: Simd> Matrix<S> {
    /// Packs `[outputs, inputs]` weights so that output j is the stored output `order[j]`.
    pub(super) fn pack(plain: &Plain, inputs: usize, order: &[usize]) -> Self {
        let stored = |j: usize, k: usize| order.get(j).map(|o| o * inputs + k);
        let mut panels = Panels::new::<S>(matches!(plain, Plain::Int8(..)));
        panels.lay::<S>(order.len(), inputs);
        match (plain, &mut panels) {
            (Plain::Float(values), Panels::Float(lines)) => {
                pack::<S, _>(bytemuck::must_cast_slice_mut::<Line, f32>(lines), inputs, 1, |j, k| {
                    stored(j, k).and_then(|i| values.get(i)).copied().unwrap_or_default()
                });
            }
            (Plain::Int8(values, scales), Panels::Int8 { quads, scale, sums, way }) => {
                *way = Way::of::<S>(values.chunks_exact(inputs.max(1)).all(dots::fit));
                let weight = |j, k| stored(j, k).and_then(|i| values.get(i)).copied().unwrap_or_default();
                pack::<S, _>(bytemuck::must_cast_slice_mut(quads), inputs, 4, weight);
                let scale = bytemuck::must_cast_slice_mut::<Line, f32>(scale);
                let sums = bytemuck::must_cast_slice_mut::<Line, f32>(sums);
                for (j, (scale, sum)) in scale.iter_mut().zip(sums).enumerate() {
                    *scale = order.get(j).and_then(|o| scales.get(*o)).copied().unwrap_or_default();
                    *sum = *scale * (0..inputs).map(|k| i32::from(weight(j, k))).sum::<i32>() as f32;
                }
            }
            _ => {}
        }
        Self { inputs, outputs: order.len(), panels, simd: PhantomData }
    }

    /// Whether the rows it is multiplied with must be quantised.
    pub(super) fn int8(&self) -> bool {
        self.panels.int8()
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Hands the product of every row to `sink`.
    #[inline(always)]
    pub(super) fn multiply(&self, rows: &Rows, sink: impl Sink<S>) {
        let window = Window { panels: 0..self.outputs.div_ceil(width::<S>()), inputs: 0..self.inputs };
        multiply::<S>(&rows.all(), &self.panels, self.inputs, window, sink);
    }

    /// Hands the product of the first two rows to `sink`.
    #[inline(always)]
    pub(super) fn multiply_two(&self, rows: &Rows, sink: impl Sink<S>) {
        let window = Window { panels: 0..self.outputs.div_ceil(width::<S>()), inputs: 0..self.inputs };
        multiply_two::<S>(&rows.all(), &self.panels, window, sink);
    }
}

/// Lays weights out as `[panel][input / group][output of the panel][input % group]`.
fn pack<S: Simd, T>(to: &mut [T], inputs: usize, group: usize, weight: impl Fn(usize, usize) -> T) {
    let panel = width::<S>();
    for (i, slot) in to.iter_mut().enumerate() {
        let (rest, within) = (i / group, i % group);
        let (rest, column) = (rest / panel, rest % panel);
        let (p, k) = (rest / (inputs / group), rest % (inputs / group));
        *slot = weight(p * panel + column, k * group + within);
    }
}
