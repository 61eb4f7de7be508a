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
    /// `Σ u` of shares.
    pub(super) total: f32,
}

/// What a row's range is at least, of the size of its numbers.
const LEVEL: f32 = 1.0 / 16384.0;

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

    /// Quantises what was written, if it is for int8, each row from its least to its greatest.
    #[inline(always)]
    pub(super) fn settle<S: Simd>(&mut self, int8: bool) {
        self.settle_as::<S>(int8, false);
    }

    /// The same of numbers within 0 and 1, of which it also reckons [`Step::total`].
    #[inline(always)]
    pub(super) fn settle_shares<S: Simd>(&mut self, int8: bool) {
        self.settle_as::<S>(int8, true);
    }

    #[inline(always)]
    fn settle_as<S: Simd>(&mut self, int8: bool, shares: bool) {
        match S::ROWS {
            _ if !int8 => {}
            8 => self.settle_by::<S, 8>(shares),
            _ => self.settle_by::<S, 4>(shares),
        }
    }

    #[inline(always)]
    fn settle_by<S: Simd, const R: usize>(&mut self, shares: bool) {
        let (depth, lines) = (self.width / 4, lines(self.width));
        if depth == 0 {
            return;
        }
        let blocks = self.quads.as_chunks_mut::<R>().0.chunks_exact_mut(depth);
        let rows = self.floats.chunks_exact(R * lines).zip(self.steps.as_chunks_mut::<R>().0);
        for ((rows, steps), block) in rows.zip(blocks).take(self.count / R) {
            let mut each: [&[Line]; R] = [&[]; R];
            let mut terms = [[S::splat(0.0); 2]; R];
            let slots = each.iter_mut().zip(&mut terms).zip(&mut *steps);
            for (row, ((each, terms), step)) in rows.chunks_exact(lines).zip(slots) {
                *each = row;
                (*step, *terms) = Step::between::<S>(if shares { (0.0, 1.0) } else { ends::<S>(row) });
            }
            let totals = quantise::<S, R>(&each, &terms, block, shares);
            for (step, total) in steps.iter_mut().zip(totals) {
                step.total = S::sum(total);
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
        self.settle::<S>(int8);
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

impl Step {
    /// For a row from `low` to `high`: of 126 steps, so that what lies between is rounded to 0..=127. And what a number is
    /// multiplied with, and what is added then, to leave u in the lowest bits.
    #[inline(always)]
    fn between<S: Simd>((low, high): (f32, f32)) -> (Self, [S::F; 2]) {
        // A row of nearly equal values would have its zero too far away. (`f32::max` is a call in WebAssembly.)
        let least = 1e-30 + LEVEL * (low.abs() + high.abs());
        let range = if high - low > least { high - low } else { least };
        let (step, scale) = (range / 126.0, S::splat(126.0 / range));
        // What the least number is rounded to, by what rounds all others: none of them can be less.
        let rounded = S::fma(S::splat(low), scale, S::splat(ROUND));
        let low = S::greatest(rounded) - ROUND;
        (Self { step, low: low * step, total: 0.0 }, [scale, S::splat(ROUND - low)])
    }
}

/// `u = round(x / step) - round(low / step)` of R rows, to a block; of shares it adds up each row's.
#[inline(always)]
fn quantise<S: Simd, const R: usize>(
    rows: &[&[Line]; R],
    terms: &[[S::F; 2]; R],
    block: &mut [[[u8; 4]; R]],
    shares: bool,
) -> [S::F; R] {
    let mut totals = [S::splat(0.0); R];
    for (i, block) in block.as_chunks_mut::<{ LINE / 4 }>().0.iter_mut().enumerate() {
        let mut rounded = [Line::ZERO; R];
        for (((rounded, row), [scale, zero]), total) in
            rounded.iter_mut().zip(rows).zip(terms).zip(&mut totals)
        {
            let Some(line) = row.get(i) else { continue };
            let from = vectors::<S>(std::slice::from_ref(line));
            for (to, x) in vectors_mut::<S>(std::slice::from_mut(rounded)).iter_mut().zip(from) {
                let u = S::fma(S::load(x), *scale, *zero);
                S::store(to, u);
                if shares {
                    *total = S::add(*total, S::sub(u, S::splat(ROUND)));
                }
            }
        }
        *block = S::quads(&rounded);
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::Portable;
    use proptest::prelude::*;

    fn one(values: &[f32], shares: bool) -> (Vec<u8>, Step) {
        let mut rows = Rows::default();
        let laid = bytemuck::must_cast_slice_mut::<Line, f32>(rows.lay(BLOCK, values.len()));
        laid.iter_mut().zip(values).for_each(|(to, x)| *to = *x);
        match shares {
            true => rows.settle_shares::<Portable>(true),
            false => rows.settle::<Portable>(true),
        }
        let bytes = rows.all().quads.iter().step_by(Portable::ROWS).flatten().copied();
        (bytes.take(values.len()).collect(), rows.steps()[0])
    }

    proptest! {
        #[test]
        fn a_quantised_value_is_within_half_a_step(
            values in prop::collection::vec(-1e3f32..1e3, 32),
            around in prop::sample::select(vec![0.0f32, 1e3, -1e6]),
        ) {
            let values: Vec<f32> = values.iter().map(|x| x + around).collect();
            let (bytes, Step { step, low, .. }) = one(&values, false);
            for (value, u) in values.iter().zip(&bytes) {
                prop_assert!(*u <= 127);
                let off = (f64::from(*value) - (f64::from(step) * f64::from(*u) + f64::from(low))).abs();
                prop_assert!(off <= f64::from(0.502 * step + 1e-6 * value.abs()), "{value}: {off}, {step}");
            }
        }

        #[test]
        fn shares_have_the_steps_from_0_to_1_and_are_added_up(values in prop::collection::vec(0f32..=1.0, 32)) {
            let (bytes, Step { total, low, step }) = one(&values, true);
            prop_assert_eq!((low, step), (0.0, 1.0 / 126.0));
            for (value, u) in values.iter().zip(&bytes) {
                prop_assert!((value - step * f32::from(*u)).abs() <= 0.502 * step, "{value}");
            }
            prop_assert_eq!(total, bytes.iter().map(|u| f32::from(*u)).sum::<f32>());
        }
    }

    #[test]
    fn a_row_of_equal_values_is_kept() {
        for value in [2.5, -1e6, 0.0, 1e-20] {
            let (bytes, Step { step, low, .. }) = one(&[value; 16], false);
            let off = bytes.iter().map(|u| (step * f32::from(*u) + low - value).abs()).fold(0.0, f32::max);
            assert!(off <= 1e-6 * value.abs() + 1e-30, "{value}: {off}");
        }
    }
}
