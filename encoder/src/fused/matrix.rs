//! Products with a weight matrix: `[n, inputs] · [inputs, outputs]`, in f32 or int8.
//!
//! Weights lie in panels of two vectors of outputs, input after input, so that the inner loop reads them in order.
//!
//! int8: a weight is `w ≈ scale[output] · q`, q within ±127; an activation is `x ≈ step · u + low`, u within 0..=127,
//! `step` and `low` found for each row (dynamic quantisation; seven bits, because relaxed SIMD promises no more). So
//! `Σ xw ≈ scale · (step · Σ uq + low · Σ q)`, and Σ uq is exact on every processor.

use std::marker::PhantomData;

use super::lines::{ByteLine, LINE, Line};
use super::rows::Rows;
use super::simd::{Simd, vectors};
use super::tile;

/// Weights as they are stored: `[outputs, inputs]`, row by row.
#[derive(Debug, Clone)]
pub(super) enum Plain {
    /// float32.
    Float(Vec<f32>),
    /// int8 with one scale per output.
    Int8(Vec<i8>, Vec<f32>),
}

/// Weights in the order the kernels read them.
#[derive(Debug)]
pub(super) struct Matrix<S> {
    inputs: usize,
    weights: Weights,
    simd: PhantomData<S>,
}

#[derive(Debug)]
enum Weights {
    Float(Vec<Line>),
    /// Weights, and for each output `scale` and `scale · Σ q`.
    Int8(Vec<ByteLine>, Vec<Line>, Vec<Line>),
}

/// Where products go, two vectors at a time.
///
/// A trait and not a closure: its methods must be inlined into code compiled for the processor.
pub(super) trait Sink<S: Simd> {
    /// Takes outputs `panel` of row `row`.
    fn take(&mut self, row: usize, panel: usize, product: [S::F; 2]);
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
    /// Outputs of a panel.
    pub(super) const PANEL: usize = 2 * S::LANES;

    /// Packs `[outputs, inputs]` weights so that output j is the stored output `order[j]`.
    pub(super) fn pack(plain: &Plain, inputs: usize, order: &[usize]) -> Self {
        let stored = |j: usize, k: usize| order.get(j).map(|o| o * inputs + k);
        let size = order.len().div_ceil(Self::PANEL) * Self::PANEL * inputs;
        let weights = match plain {
            Plain::Float(values) => {
                let mut panels = vec![Line::ZERO; size / LINE];
                pack(bytemuck::must_cast_slice_mut(&mut panels), (inputs, Self::PANEL, 1), |j, k| {
                    stored(j, k).and_then(|i| values.get(i)).copied().unwrap_or_default()
                });
                Weights::Float(panels)
            }
            Plain::Int8(values, scale) => {
                let weight = |j, k| stored(j, k).and_then(|i| values.get(i)).copied().unwrap_or_default();
                let mut panels = vec![ByteLine::ZERO; size / (4 * LINE)];
                pack(bytemuck::must_cast_slice_mut(&mut panels), (inputs, Self::PANEL, 4), weight);
                let scale = |j| order.get(j).and_then(|o| scale.get(*o)).copied().unwrap_or_default();
                let sum = |j| scale(j) * (0..inputs).map(|k| i32::from(weight(j, k))).sum::<i32>() as f32;
                let outputs = size / inputs;
                Weights::Int8(panels, per_output(outputs, scale), per_output(outputs, sum))
            }
        };
        Self { inputs, weights, simd: PhantomData }
    }

    /// Whether the rows it is multiplied with must be quantised.
    pub(super) fn int8(&self) -> bool {
        matches!(self.weights, Weights::Int8(..))
    }

    /// Hands the product of every row to `sink`.
    #[inline(always)]
    pub(super) fn multiply(&self, rows: &Rows, mut sink: impl Sink<S>) {
        if rows.width() != self.inputs {
            return;
        }
        match (&self.weights, S::ROWS) {
            (Weights::Float(panels), 8) => self.float_product::<8>(panels, rows, &mut sink),
            (Weights::Float(panels), _) => self.float_product::<4>(panels, rows, &mut sink),
            (Weights::Int8(panels, ..), 8) => self.int8_product::<8>(panels, rows, &mut sink),
            (Weights::Int8(panels, ..), _) => self.int8_product::<4>(panels, rows, &mut sink),
        }
    }

    #[inline(always)]
    fn float_product<const R: usize>(&self, panels: &[Line], rows: &Rows, sink: &mut impl Sink<S>) {
        let panels = vectors::<S>(panels).as_chunks::<2>().0.chunks_exact(self.inputs);
        for (p, panel) in panels.enumerate() {
            for (block, a) in rows.floats().chunks_exact(R * self.inputs).enumerate() {
                let sums = tile::floats::<S, R>(a, self.inputs, panel);
                for (r, sums) in sums.into_iter().enumerate() {
                    sink.take(block * R + r, p, sums);
                }
            }
        }
    }

    #[inline(always)]
    fn int8_product<const R: usize>(&self, panels: &[ByteLine], rows: &Rows, sink: &mut impl Sink<S>) {
        let Weights::Int8(_, scale, sums) = &self.weights else { return };
        let depth = self.inputs / 4;
        let panels = bytemuck::must_cast_slice::<ByteLine, S::Quads>(panels).as_chunks::<2>().0;
        let scales = vectors::<S>(scale).as_chunks::<2>().0.iter().zip(vectors::<S>(sums).as_chunks::<2>().0);
        for ((p, panel), (scale, sums)) in panels.chunks_exact(depth).enumerate().zip(scales) {
            let (scale, sums) = (scale.each_ref().map(S::load), sums.each_ref().map(S::load));
            let steps = rows.steps().as_chunks::<R>().0.iter();
            for ((block, a), steps) in rows.quads().chunks_exact(R * depth).enumerate().zip(steps) {
                let dots = tile::quads::<S, R>(a, depth, panel);
                for ((r, [x, y]), step) in dots.into_iter().enumerate().zip(steps) {
                    let (by, low) = (S::splat(step.step), S::splat(step.low));
                    let x = S::fma(S::mul(S::to_float(x), by), scale[0], S::mul(low, sums[0]));
                    let y = S::fma(S::mul(S::to_float(y), by), scale[1], S::mul(low, sums[1]));
                    sink.take(block * R + r, p, [x, y]);
                }
            }
        }
    }
}

/// Lays weights out as `[panel][input / group][output of the panel][input % group]`.
fn pack<T>(to: &mut [T], (inputs, panel, group): (usize, usize, usize), weight: impl Fn(usize, usize) -> T) {
    for (i, slot) in to.iter_mut().enumerate() {
        let (rest, within) = (i / group, i % group);
        let (rest, column) = (rest / panel, rest % panel);
        let (p, k) = (rest / (inputs / group), rest % (inputs / group));
        *slot = weight(p * panel + column, k * group + within);
    }
}

fn per_output(outputs: usize, value: impl Fn(usize) -> f32) -> Vec<Line> {
    super::lines::to_lines(&(0..outputs).map(value).collect::<Vec<_>>())
}
