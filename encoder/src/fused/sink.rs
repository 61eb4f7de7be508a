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

/// A block's mix of one head's values, each row times `by`: one over what its shares add up to.
pub(super) struct Mix<'a> {
    pub(super) grid: &'a mut [Line],
    pub(super) stride: usize,
    /// Where the head begins in a row, and how many lines it takes.
    pub(super) start: usize,
    pub(super) size: usize,
    pub(super) by: [f32; BLOCK],
}

/// Rows of `stride` lines from row `first` on, each from where `panel` lies in it.
#[inline(always)]
fn rows<S: Simd>(
    grid: &mut [Line],
    stride: usize,
    first: usize,
    panel: usize,
) -> impl Iterator<Item = &mut [S::Floats]> {
    let stride = (stride * LINE / S::LANES).max(1);
    let rows = vectors_mut::<S>(grid).get_mut(first * stride..).unwrap_or_default().chunks_mut(stride);
    rows.map(move |row| row.get_mut(2 * panel..).unwrap_or_default())
}

/// Both vectors, or one: the last panel may be wider than the row. No loop, because in WebAssembly that becomes a call which
/// copies one or two vectors.
#[inline(always)]
fn put<S: Simd>(slots: &mut [S::Floats], product: &[S::F; 2]) {
    match slots {
        [first, second, ..] => {
            S::store(first, product[0]);
            S::store(second, product[1]);
        }
        [only] => S::store(only, product[0]),
        _ => {}
    }
}

impl<S: Simd> Sink<S> for Put<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]) {
        for (slots, product) in rows::<S>(self.grid, self.stride, first, panel).zip(tile) {
            put::<S>(slots, product);
        }
    }
}

impl<S: Simd> Sink<S> for Scatter<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]) {
        for (place, product) in self.places.get(first..).unwrap_or_default().iter().zip(tile) {
            Sink::<S>::take(&mut Put { grid: self.grid, stride: self.stride }, *place, panel, &[*product]);
        }
    }
}

impl<S: Simd> Sink<S> for Add<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]) {
        for (slots, product) in rows::<S>(self.grid, self.stride, first, panel).zip(tile) {
            for (slot, x) in slots.iter_mut().zip(product) {
                S::store(slot, S::add(S::load(slot), *x));
            }
        }
    }
}

impl<S: Simd> Sink<S> for Gate<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]) {
        let stride = (self.stride * LINE / S::LANES).max(1);
        let mut values = [S::splat(0.0); R];
        for (value, [x, _]) in values.iter_mut().zip(tile) {
            *value = *x;
        }
        let values = gelu::<S, R>(values);
        let rows =
            vectors_mut::<S>(self.grid).get_mut(first * stride..).unwrap_or_default().chunks_mut(stride);
        for (row, (value, [_, gate])) in rows.zip(values.iter().zip(tile)) {
            if let Some(slot) = row.get_mut(panel) {
                S::store(slot, S::mul(*value, *gate));
            }
        }
    }
}

impl<S: Simd> Sink<S> for Scores<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]) {
        let panel = panel.wrapping_sub(self.first_panel);
        Sink::<S>::take(&mut Put { grid: self.grid, stride: self.stride }, first, panel, tile);
    }
}

impl<S: Simd> Sink<S> for Mix<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]) {
        let vectors = LINE / S::LANES;
        let each = self.by.get(first..).unwrap_or_default();
        for (r, (product, by)) in tile.iter().zip(each).enumerate() {
            let by = S::splat(*by);
            let head = ((first + r) * self.stride + self.start) * vectors;
            let end = head + self.size * vectors;
            let here = (head + 2 * panel).min(end)..(head + 2 * panel + 2).min(end);
            let slots = vectors_mut::<S>(self.grid).get_mut(here).unwrap_or_default();
            put::<S>(slots, &[S::mul(product[0], by), S::mul(product[1], by)]);
        }
    }
}
