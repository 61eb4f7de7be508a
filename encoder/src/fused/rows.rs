//! The left side of a product: rows of floats, and what they are quantised to.

use std::ops::Range;

use super::lines::{LINE, Line, grow, lines};
use super::simd::{ROUND, Simd, vectors, vectors_mut};

/// Rows are worked on in blocks of this many at most; every buffer has room for whole blocks.
pub(super) const BLOCK: usize = 8;

/// Rows that something is multiplied with.
#[derive(Debug, Default)]
pub(super) struct Rows {
    width: usize,
    count: usize,
    floats: Vec<Line>,
    /// `[block of Simd::ROWS rows][four inputs][row of the block]`: in the order a tile takes them.
    quads: Vec<[u8; 4]>,
    steps: Vec<Step>,
}

/// A quantised row's `x ≈ step · u + low`, u within 0..=127.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) step: f32,
    pub(super) low: f32,
    /// `Σ u`.
    pub(super) total: f32,
}

/// Some of the rows, whole blocks of them.
pub(super) struct Part<'a> {
    pub(super) width: usize,
    pub(super) floats: &'a [f32],
    pub(super) quads: &'a [[u8; 4]],
    pub(super) steps: &'a [Step],
}

impl Rows {
    /// Makes `count` rows of `width` floats, to be written; their old content is anything. `settle` follows.
    pub(super) fn lay(&mut self, count: usize, width: usize) -> &mut [Line] {
        (self.width, self.count) = (width, count);
        let size = count * lines(width);
        grow(&mut self.floats, size, Line::ZERO);
        grow(&mut self.quads, count * width / 4, [0; 4]);
        grow(&mut self.steps, count, Step::default());
        self.floats.get_mut(..size).unwrap_or_default()
    }

    /// Quantises what was written, if it is for int8: each row from its least to its greatest, or all `within` a range
    /// that is known to hold them.
    #[inline(always)]
    pub(super) fn settle<S: Simd>(&mut self, int8: bool, within: Option<(f32, f32)>) {
        match S::ROWS {
            _ if !int8 => {}
            8 => self.settle_by::<S, 8>(within),
            _ => self.settle_by::<S, 4>(within),
        }
    }

    #[inline(always)]
    fn settle_by<S: Simd, const R: usize>(&mut self, within: Option<(f32, f32)>) {
        let (depth, lines) = (self.width / 4, lines(self.width));
        if depth == 0 {
            return;
        }
        let blocks = self.quads.as_chunks_mut::<R>().0.chunks_exact_mut(depth);
        let rows = self.floats.chunks_exact(R * lines).zip(self.steps.as_chunks_mut::<R>().0);
        for ((rows, steps), block) in rows.zip(blocks).take(self.count / R) {
            for (r, (row, step)) in rows.chunks_exact(lines).zip(steps).enumerate() {
                let (low, high) = within.unwrap_or_else(|| ends::<S>(row));
                *step = quantise::<S, R>(row, block, r, low, high);
            }
        }
    }

    /// Two rows for what one row needs more than seven bits of: after `settle`, the second becomes what rounding took from
    /// the first, and is quantised in its turn. The sum of their products is the product.
    #[inline(always)]
    pub(super) fn settle_rest<S: Simd>(&mut self, int8: bool) {
        let Some(Step { step, low, .. }) = self.steps.first().copied().filter(|_| int8) else { return };
        let numbers = bytemuck::must_cast_slice_mut::<Line, f32>(&mut self.floats);
        let Some((first, rest)) = numbers.split_at_mut_checked(self.width) else { return };
        let rounded = self.quads.iter().step_by(S::ROWS).flatten();
        for ((rest, x), u) in rest.iter_mut().zip(first).zip(rounded) {
            *rest = *x - (step * f32::from(*u) + low);
        }
        self.settle::<S>(int8, None);
    }

    /// All rows as lines.
    pub(super) fn lines(&self) -> &[Line] {
        self.floats.get(..self.count * lines(self.width)).unwrap_or_default()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// All rows.
    pub(super) fn all(&self) -> Part<'_> {
        self.part(0..self.count)
    }

    /// These rows; both ends are multiples of [`BLOCK`].
    pub(super) fn part(&self, rows: Range<usize>) -> Part<'_> {
        fn cut<'a, T>(all: &'a [T], rows: &Range<usize>, width: usize) -> &'a [T] {
            all.get(rows.start * width..rows.end * width).unwrap_or_default()
        }
        Part {
            width: self.width,
            floats: cut(bytemuck::must_cast_slice(&self.floats), &rows, self.width),
            quads: cut(&self.quads, &rows, self.width / 4),
            steps: cut(&self.steps, &rows, 1),
        }
    }
}

/// The least and the greatest of a row.
#[inline(always)]
fn ends<S: Simd>(row: &[Line]) -> (f32, f32) {
    let (mut least, mut most) = (S::splat(f32::MAX), S::splat(f32::MIN));
    for x in vectors::<S>(row) {
        let x = S::load(x);
        (least, most) = (S::min(least, x), S::max(most, x));
    }
    (-S::greatest(S::sub(S::splat(0.0), least)), S::greatest(most))
}

/// `u = round((x - low) / step)` with `step = (high - low) / 127`, to row r of a block.
#[inline(always)]
fn quantise<S: Simd, const R: usize>(
    row: &[Line],
    block: &mut [[[u8; 4]; R]],
    r: usize,
    low: f32,
    high: f32,
) -> Step {
    // A row of equal values has a range of zero; any range does for it. (`f32::max` is a call in WebAssembly.)
    let range = if high - low > 1e-30 { high - low } else { 1e-30 };
    let (scale, offset) = (S::splat(127.0 / range), S::splat(-low * (127.0 / range)));
    let mut total = S::splat(0.0);
    let round = S::splat(ROUND);
    for (line, to) in row.iter().zip(block.as_chunks_mut::<{ LINE / 4 }>().0) {
        let mut scaled = *line;
        for x in vectors_mut::<S>(std::slice::from_mut(&mut scaled)) {
            let u = S::fma(S::load(x), scale, offset);
            let u = S::add(S::min(S::max(u, S::splat(0.0)), S::splat(127.0)), round);
            total = S::add(total, S::sub(u, round));
            S::store(x, u);
        }
        for (quad, to) in S::low_bytes(&scaled.0).as_chunks::<4>().0.iter().zip(to) {
            to[r % R] = *quad;
        }
    }
    Step { step: range / 127.0, low, total: S::sum(total) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::Portable;
    use proptest::prelude::*;

    fn one(values: &[f32], within: Option<(f32, f32)>) -> (Vec<u8>, Step) {
        let mut rows = Rows::default();
        let laid = bytemuck::must_cast_slice_mut::<Line, f32>(rows.lay(BLOCK, values.len()));
        laid.iter_mut().zip(values).for_each(|(to, x)| *to = *x);
        rows.settle::<Portable>(true, within);
        let bytes = rows.all().quads.iter().step_by(Portable::ROWS).flatten().copied();
        (bytes.take(values.len()).collect(), rows.steps()[0])
    }

    proptest! {
        #[test]
        fn a_quantised_value_is_within_half_a_step(values in prop::collection::vec(-1e3f32..1e3, 32)) {
            let (bytes, Step { step, low, total }) = one(&values, None);
            for (value, u) in values.iter().zip(&bytes) {
                prop_assert!(*u <= 127);
                prop_assert!((value - (step * f32::from(*u) + low)).abs() <= 0.502 * step, "{value}");
            }
            prop_assert_eq!(total, bytes.iter().map(|u| f32::from(*u)).sum::<f32>());
        }
    }

    #[test]
    fn a_row_of_equal_values_is_kept() {
        let (bytes, Step { step, low, .. }) = one(&[2.5; 16], None);
        assert!(bytes.iter().all(|u| (step * f32::from(*u) + low - 2.5).abs() < 1e-6));
    }

    #[test]
    fn a_known_range_is_kept() {
        let (bytes, Step { low, step, .. }) = one(&[0.5; 16], Some((0.0, 1.0)));
        assert_eq!((low, step, bytes[0]), (0.0, 1.0 / 127.0, 64));
    }
}
