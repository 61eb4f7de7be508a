//! Where a product's tiles go: into a grid, onto one, through GeGLU into one; and the two products of attention.

use super::lines::{LINE, Line};
use super::panels::Sink;
use super::pointwise::gelu;
use super::rows::BLOCK;
use super::simd::{Simd, vectors_mut};

/// Rows of `stride` lines that are written.
pub(super) struct Put<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
}

/// Rows of `stride` lines, of which row r of the product is written to row `places[r]`; those without a place are left out.
pub(super) struct Scatter<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
    pub(super) places: &'a [usize],
}

/// Rows of `stride` lines that are added to.
pub(super) struct Add<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
}

/// Rows of `stride` lines that get `gelu(value) · gate`.
pub(super) struct Gate<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
}

/// Scores of a block, from a panel of keys on.
pub(super) struct Scores<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
    pub(super) first_panel: usize,
}

/// A block's mix of one head's values, divided by what the row's shares add up to.
pub(super) struct Mix<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
    /// Where the head begins in a row, and how many lines it takes.
    pub(super) start: usize,
    pub(super) size: usize,
    pub(super) totals: [f32; BLOCK],
}

/// Where `panel` lies in row `row`; the last panel may be wider than the row.
#[inline(always)]
fn place<S: Simd>(grid: &mut [Line], stride: usize, row: usize, panel: usize) -> &mut [S::Floats] {
    let stride = stride * LINE / S::LANES;
    let start = row * stride + 2 * panel;
    vectors_mut::<S>(grid).get_mut(start..(start + 2).min((row + 1) * stride)).unwrap_or_default()
}

impl<S: Simd> Sink<S> for Put<'_> {
    #[inline(always)]
    fn take(&mut self, row: usize, panel: usize, product: [S::F; 2]) {
        for (slot, x) in place::<S>(self.grid, self.stride, row, panel).iter_mut().zip(product) {
            S::store(slot, x);
        }
    }
}

impl<S: Simd> Sink<S> for Scatter<'_> {
    #[inline(always)]
    fn take(&mut self, row: usize, panel: usize, product: [S::F; 2]) {
        let Some(row) = self.places.get(row) else { return };
        for (slot, x) in place::<S>(self.grid, self.stride, *row, panel).iter_mut().zip(product) {
            S::store(slot, x);
        }
    }
}

impl<S: Simd> Sink<S> for Add<'_> {
    #[inline(always)]
    fn take(&mut self, row: usize, panel: usize, product: [S::F; 2]) {
        for (slot, x) in place::<S>(self.grid, self.stride, row, panel).iter_mut().zip(product) {
            S::store(slot, S::add(S::load(slot), x));
        }
    }
}

impl<S: Simd> Sink<S> for Gate<'_> {
    #[inline(always)]
    fn take(&mut self, row: usize, panel: usize, [value, gate]: [S::F; 2]) {
        let stride = self.stride * LINE / S::LANES;
        if let Some(slot) = vectors_mut::<S>(self.grid).get_mut(row * stride + panel) {
            S::store(slot, S::mul(gelu::<S>(value), gate));
        }
    }
}

impl<S: Simd> Sink<S> for Scores<'_> {
    #[inline(always)]
    fn take(&mut self, row: usize, panel: usize, product: [S::F; 2]) {
        let panel = panel.wrapping_sub(self.first_panel);
        for (slot, x) in place::<S>(self.grid, self.stride, row, panel).iter_mut().zip(product) {
            S::store(slot, x);
        }
    }
}

impl<S: Simd> Sink<S> for Mix<'_> {
    #[inline(always)]
    fn take(&mut self, row: usize, panel: usize, product: [S::F; 2]) {
        let Some(total) = self.totals.get(row) else { return };
        let by = S::splat(1.0 / total);
        let vectors = LINE / S::LANES;
        let head = (row * self.stride + self.start) * vectors;
        let end = head + self.size * vectors;
        let here = (head + 2 * panel).min(end)..(head + 2 * panel + 2).min(end);
        let slots = vectors_mut::<S>(self.grid).get_mut(here).unwrap_or_default();
        for (slot, x) in slots.iter_mut().zip(product) {
            S::store(slot, S::mul(x, by));
        }
    }
}
