//! The left side of a product: rows of floats, and what they are quantised to.

use super::lines::{LINE, Line, grow, lines};
use super::simd::{ROUND, Simd, greatest, vectors, vectors_mut};

/// Rows are worked on in blocks of this many at most; every buffer has room for whole blocks.
pub(super) const BLOCK: usize = 8;

/// Rows that a matrix is multiplied with.
#[derive(Debug, Default)]
pub(super) struct Rows {
    width: usize,
    count: usize,
    floats: Vec<Line>,
    bytes: Vec<[u8; LINE]>,
    steps: Vec<Step>,
}

/// A quantised row's `x ≈ step · u + low`, u within 0..=127.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) step: f32,
    pub(super) low: f32,
}

impl Rows {
    /// Makes `count` rows of `width` floats, to be written; their old content is anything. `settle` follows.
    pub(super) fn lay(&mut self, count: usize, width: usize) -> &mut [Line] {
        (self.width, self.count) = (width, count);
        let size = count * lines(width);
        grow(&mut self.floats, size, Line::ZERO);
        grow(&mut self.bytes, size, [0; LINE]);
        grow(&mut self.steps, count, Step::default());
        self.floats.get_mut(..size).unwrap_or_default()
    }

    /// Quantises what was written, if it is for an int8 matrix.
    #[inline(always)]
    pub(super) fn settle<S: Simd>(&mut self, int8: bool) {
        if !int8 {
            return;
        }
        let rows =
            self.floats.chunks_exact(lines(self.width)).zip(self.bytes.chunks_exact_mut(lines(self.width)));
        for ((row, bytes), step) in rows.zip(&mut self.steps).take(self.count) {
            *step = quantise::<S>(row, bytes);
        }
    }

    /// Floats of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// All rows, one after the other.
    pub(super) fn lines(&self) -> &[Line] {
        self.floats.get(..self.count * lines(self.width)).unwrap_or_default()
    }

    /// The same as floats.
    pub(super) fn floats(&self) -> &[f32] {
        bytemuck::must_cast_slice(self.lines())
    }

    /// All quantised rows, one after the other, by fours.
    pub(super) fn quads(&self) -> &[[u8; 4]] {
        let all = self.bytes.as_flattened().as_chunks::<4>().0;
        all.get(..self.count * self.width / 4).unwrap_or_default()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// `u = round((x - low) / step)` with `step = (high - low) / 127`.
#[inline(always)]
fn quantise<S: Simd>(row: &[Line], bytes: &mut [[u8; LINE]]) -> Step {
    let (mut low, mut high) = (S::splat(f32::MAX), S::splat(f32::MIN));
    for x in vectors::<S>(row) {
        let x = S::load(x);
        (low, high) = (S::min(low, x), S::max(high, x));
    }
    let low = -greatest::<S>(S::sub(S::splat(0.0), low));
    // A row of equal values has a range of zero; any range does for it.
    let range = (greatest::<S>(high) - low).max(1e-30);
    let (scale, offset) = (S::splat(127.0 / range), S::splat(-low * (127.0 / range)));
    for (line, bytes) in row.iter().zip(bytes) {
        let mut scaled = *line;
        for x in vectors_mut::<S>(std::slice::from_mut(&mut scaled)) {
            let u = S::fma(S::load(x), scale, offset);
            let u = S::min(S::max(u, S::splat(0.0)), S::splat(127.0));
            S::store(x, S::add(u, S::splat(ROUND)));
        }
        *bytes = S::low_bytes(&scaled.0);
    }
    Step { step: range / 127.0, low }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::Portable;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quantised_value_is_within_half_a_step(values in prop::collection::vec(-1e3f32..1e3, 32)) {
            let mut rows = Rows::default();
            bytemuck::must_cast_slice_mut::<Line, f32>(rows.lay(1, 32)).copy_from_slice(&values);
            rows.settle::<Portable>(true);
            let Step { step, low } = rows.steps()[0];
            for (value, u) in values.iter().zip(rows.quads().as_flattened()) {
                prop_assert!(*u <= 127);
                prop_assert!((value - (step * f32::from(*u) + low)).abs() <= 0.502 * step, "{value}");
            }
        }
    }

    #[test]
    fn a_row_of_equal_values_is_kept() {
        let mut rows = Rows::default();
        rows.lay(1, 16).fill(Line([2.5; LINE]));
        rows.settle::<Portable>(true);
        let Step { step, low } = rows.steps()[0];
        assert!(rows.quads().as_flattened().iter().all(|u| (step * f32::from(*u) + low - 2.5).abs() < 1e-6));
    }
}
