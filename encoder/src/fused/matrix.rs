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
        let mut panels = Panels::new::<S>(matches!(plain, Plain::Int8(..)));
        panels.lay::<S>(order.len(), inputs);
        match (plain, &mut panels) {
            (Plain::Float(values), Panels::Float(lines)) => {
                let to = bytemuck::must_cast_slice_mut::<Line, f32>(lines);
                pack::<S, f32, 1>(to, inputs, stored(values, inputs, order));
            }
            (Plain::Int8(values, scales), Panels::Int8 { quads, scale, sums, way }) => {
                *way = Way::of::<S>(values.chunks_exact(inputs.max(1)).all(dots::fit));
                pack::<S, i8, 4>(bytemuck::must_cast_slice_mut(quads), inputs, stored(values, inputs, order));
                let scale = bytemuck::must_cast_slice_mut::<Line, f32>(scale);
                let sums = bytemuck::must_cast_slice_mut::<Line, f32>(sums);
                let rows = order.iter().zip(stored(values, inputs, order));
                for ((output, row), (scale, sum)) in rows.zip(scale.iter_mut().zip(sums)) {
                    *scale = scales.get(*output).copied().unwrap_or_default();
                    *sum = *scale * row.iter().map(|w| i32::from(*w)).sum::<i32>() as f32;
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

/// The stored weights of each output, in this order.
fn stored<'a, T>(values: &'a [T], inputs: usize, order: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    order.iter().map(move |o| values.get(o * inputs..(o + 1) * inputs).unwrap_or_default())
}

/// Lays weights out as `[panel][input / GROUP][output of the panel][input % GROUP]`; what has none stays as it is.
fn pack<'a, S: Simd, T: Copy + 'a, const GROUP: usize>(
    to: &mut [T],
    inputs: usize,
    mut rows: impl Iterator<Item = &'a [T]>,
) {
    for panel in to.chunks_exact_mut((width::<S>() * inputs).max(1)) {
        for (column, row) in rows.by_ref().take(width::<S>()).enumerate() {
            let slots = panel.as_chunks_mut::<GROUP>().0.iter_mut().skip(column).step_by(width::<S>());
            slots.zip(row.as_chunks().0).for_each(|(slot, group)| *slot = *group);
        }
    }
}
