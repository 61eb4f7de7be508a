//! What the first layer makes of a token before it looks at any other: its row of the residual stream, its query, key and
//! value. They depend on the token alone (positions come later), and few tokens make up most of what is written (Zipf's
//! law), so those of the tokens seen last are kept.

use super::lines::{LINE, Line};
use super::simd::{ROUND, Simd, vectors};

/// Bytes that are kept at most, beside a few for each token. Of the tokens of short texts of all kinds 32 % are not among
/// the 2,048 that 2 MiB hold of dragoman-small, 23 % with 4 MiB, 15 % with 8.
const BUDGET: usize = 4 << 20;
/// No token.
const EMPTY: u32 = u32::MAX;
/// A row's greatest number.
const MOST: f32 = 32767.0;

/// The rows of some tokens, each in the one place that its id allows.
#[derive(Debug, Default)]
pub(super) struct Known {
    width: usize,
    places: Vec<Place>,
    /// `[place, width]`.
    numbers: Vec<i16>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    token: u32,
    /// `number ≈ scale · q`, for each of the two rows.
    scales: [f32; 2],
}

impl Known {
    /// For two rows of `width` floats together; none are kept if `keep` is false.
    pub(super) fn new(width: usize, keep: bool) -> Self {
        let count = if keep { BUDGET / (width * size_of::<i16>()) } else { 0 };
        Self {
            width,
            places: vec![Place { token: EMPTY, scales: [0.0; 2] }; count],
            numbers: vec![0; count * width],
        }
    }

    fn place(&self, token: u32) -> usize {
        token as usize % self.places.len().max(1)
    }

    /// Writes a token's rows; whether it is known.
    #[inline(always)]
    pub(super) fn recall<S: Simd>(&self, token: u32, to: [&mut [Line]; 2]) -> bool {
        let place = self.place(token);
        let Some(Place { scales, .. }) = self.places.get(place).filter(|known| known.token == token) else {
            return false;
        };
        let numbers = self.numbers.get(place * self.width..).unwrap_or_default();
        let (mut pieces, _) = numbers.as_chunks::<LINE>();
        for (to, scale) in to.into_iter().zip(scales) {
            let (mine, rest) = pieces.split_at_checked(to.len()).unwrap_or_default();
            pieces = rest;
            for (to, numbers) in to.iter_mut().zip(mine) {
                *to = S::widened(numbers, *scale);
            }
        }
        true
    }

    /// Keeps a token's rows, and rounds them to what will be recalled: what ran before must leave no trace.
    #[inline(always)]
    pub(super) fn keep<S: Simd>(&mut self, token: u32, rows: [&mut [Line]; 2]) {
        let place = self.place(token);
        let Some(known) = self.places.get_mut(place) else { return };
        known.token = token;
        let numbers = self.numbers.get_mut(place * self.width..).unwrap_or_default();
        let (mut pieces, _) = numbers.as_chunks_mut::<LINE>();
        for (row, scale) in rows.into_iter().zip(&mut known.scales) {
            let (mine, rest) = pieces.split_at_mut_checked(row.len()).unwrap_or_default();
            pieces = rest;
            let mut most = S::splat(1e-30);
            for x in vectors::<S>(row) {
                most = S::max(most, S::absolute(S::load(x)));
            }
            let most = S::greatest(most);
            *scale = most / MOST;
            let by = MOST / most;
            for (line, numbers) in row.iter_mut().zip(mine) {
                // The sum's lowest bits are the nearest whole number.
                *numbers = line.0.map(|x| (x * by + ROUND).to_bits() as i16);
                *line = S::widened(numbers, *scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::Portable;

    fn rows(seed: f32) -> [Vec<Line>; 2] {
        [1, 3].map(|count| {
            let number = |i: usize| (i as f32 * 0.37 + seed).sin() * 3.0;
            (0..count).map(|l| Line(std::array::from_fn(|i| number(l * LINE + i)))).collect()
        })
    }

    fn numbers(rows: &[Vec<Line>; 2]) -> Vec<f32> {
        rows.iter().flatten().flat_map(|line| line.0).collect()
    }

    fn recall(known: &Known, token: u32) -> Option<Vec<f32>> {
        let mut to = rows(9.0);
        let [a, b] = &mut to;
        known.recall::<Portable>(token, [a, b]).then(|| numbers(&to))
    }

    #[test]
    fn a_token_is_recalled_as_it_was_rounded() {
        let mut known = Known::new(4 * LINE, true);
        let exact = rows(1.0);
        let mut kept = exact.clone();
        let [a, b] = &mut kept;
        known.keep::<Portable>(7, [a, b]);
        assert_eq!(recall(&known, 7), Some(numbers(&kept)));
        let off = numbers(&kept).iter().zip(numbers(&exact)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= 0.51 * 3.0 / MOST, "{off}");
    }

    #[test]
    fn a_token_gives_way_to_another_of_its_place() {
        let mut known = Known::new(4 * LINE, true);
        let other = known.places.len() as u32 + 7;
        for token in [7, other] {
            let [mut a, mut b] = rows(token as f32);
            known.keep::<Portable>(token, [&mut a, &mut b]);
        }
        assert_eq!(recall(&known, 7), None);
        assert!(recall(&known, other).is_some());
    }

    #[test]
    fn nothing_is_kept_of_an_exact_model() {
        let mut known = Known::new(4 * LINE, false);
        let [mut a, mut b] = rows(1.0);
        known.keep::<Portable>(7, [&mut a, &mut b]);
        assert_eq!(numbers(&[a, b]), numbers(&rows(1.0)));
        assert_eq!(recall(&known, 7), None);
    }
}
