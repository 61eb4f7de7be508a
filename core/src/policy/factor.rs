//! What a width is computed from, and how that is packed: in panels of eight rows, each panel column by column.
//!
//! Eight numbers a column, so `Rz` is, panel by panel, one run through memory whose eight sums stay in registers. Of a
//! triangle, panel p has the rows 8p..8p+8 and the columns 0..8p+8 (at most k), and what is above the diagonal or
//! below row k is 0: a third of the time of columns as long as the triangle, for a tenth more memory at k = 64.

use dragoman_lanes::{LANES, combine, dot};

/// A route's uncertainty, owned or borrowed: from features z `[k]` to the width of the confidence interval before α.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Factor<T> {
    /// R, lower-triangular; [`packed_len`] numbers. The width is ‖Rz‖.
    Triangle(T),
    /// For a k so large that a triangle takes too long: width² is `prior · ‖z‖² − ‖Wz‖²`.
    LowRank {
        /// W `[r × k]`: what is known, of what the prior leaves open. r is a multiple of 8; see [`packed_rows`].
        rows: T,
        /// Variance of a prediction before any observation, per squared length of z.
        prior: f32,
    },
}

// === impl Factor ===

impl Factor<Vec<f32>> {
    /// To score with.
    pub fn as_slices(&self) -> Factor<&[f32]> {
        match self {
            Self::Triangle(r) => Factor::Triangle(r),
            Self::LowRank { rows, prior } => Factor::LowRank { rows, prior: *prior },
        }
    }
}

impl<T> Factor<T> {
    /// What it consists of, all but the prior.
    pub fn numbers(&self) -> &T {
        match self {
            Self::Triangle(numbers) | Self::LowRank { rows: numbers, .. } => numbers,
        }
    }

    /// The prior of a low-rank one.
    pub fn prior(&self) -> Option<f32> {
        match self {
            Self::Triangle(_) => None,
            Self::LowRank { prior, .. } => Some(*prior),
        }
    }
}

impl Factor<&[f32]> {
    /// The width of the features `z` `[k]`. Numbers that are missing count as 0.
    pub(super) fn width(&self, z: &[f32]) -> f32 {
        let square = match *self {
            Self::Triangle(r) => triangle_square(r, z),
            Self::LowRank { rows, prior } => prior * dot(z, z) - rows_square(rows, z),
        };
        // The difference can round to less than 0.
        square.max(0.0).sqrt()
    }
}

/// Length of a packed lower-triangular `k × k` matrix.
pub const fn packed_len(k: usize) -> usize {
    let last = if k.is_multiple_of(LANES) { 0 } else { k * LANES };
    panel_start(k / LANES) + last
}

/// Where row `i`, column `j ≤ i` of a packed lower-triangular matrix is.
pub const fn packed_index(i: usize, j: usize) -> usize {
    panel_start(i / LANES) + j * LANES + i % LANES
}

/// Where panel `p` starts, all before it having as many columns as they can.
const fn panel_start(p: usize) -> usize {
    LANES * LANES * (p * (p + 1) / 2)
}

/// Numbers of eight whole rows of k, the least that can be packed.
pub const fn packed_panel(k: usize) -> usize {
    LANES * k
}

/// W `[r × k]` from its rows, packed; rows of 0 fill the last panel.
pub fn packed_rows(rows: &[Vec<f32>], k: usize) -> Vec<f32> {
    let panel = |rows: &[Vec<f32>]| -> Vec<f32> {
        let at = |i: usize, j: usize| rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default();
        (0..packed_panel(k)).map(|n| at(n % LANES, n / LANES)).collect()
    };
    rows.chunks(LANES).flat_map(panel).collect()
}

/// ‖Rz‖² of a packed triangle.
fn triangle_square(factor: &[f32], z: &[f32]) -> f32 {
    let mut squares = [0.0; LANES];
    let (mut rest, mut columns) = (factor, 0);
    while columns < z.len() {
        columns = (columns + LANES).min(z.len());
        let Some((panel, next)) = rest.split_at_checked(columns * LANES) else { break };
        rest = next;
        add_squares(&mut squares, combine(panel, z));
    }
    squares.iter().sum()
}

/// ‖Wz‖² of packed rows.
fn rows_square(rows: &[f32], z: &[f32]) -> f32 {
    let mut squares = [0.0; LANES];
    for panel in rows.chunks_exact(packed_panel(z.len()).max(1)) {
        add_squares(&mut squares, combine(panel, z));
    }
    squares.iter().sum()
}

fn add_squares(squares: &mut [f32; LANES], values: [f32; LANES]) {
    squares.iter_mut().zip(values).for_each(|(square, value)| *square += value * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_of_the_triangle_has_a_place_of_its_own() {
        for k in [1, 2, 7, 8, 9, 16, 19] {
            let mut places: Vec<usize> =
                (0..k).flat_map(|i| (0..=i).map(move |j| packed_index(i, j))).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), k * (k + 1) / 2);
            assert!(places.iter().all(|place| *place < packed_len(k)), "{k}");
        }
    }

    #[test]
    fn the_low_rank_width_is_the_prior_less_what_is_known() {
        let rows = packed_rows(&[vec![0.0, 0.5, 0.0], vec![0.0, 0.0, 1.0]], 3);
        assert_eq!(rows.len(), LANES * 3);
        let width = |z: &[f32]| Factor::LowRank { rows: rows.as_slice(), prior: 1.0 }.width(z);
        assert_eq!(width(&[2.0, 0.0, 0.0]), 2.0);
        assert_eq!(width(&[0.0, 1.0, 0.0]), 0.75f32.sqrt());
        assert_eq!(width(&[0.0, 0.0, 3.0]), 0.0);
    }

    #[test]
    fn more_known_than_the_prior_left_open_is_no_width_not_nan() {
        let rows = packed_rows(&[vec![1.0 + 1e-6]], 1);
        assert_eq!(Factor::LowRank { rows: rows.as_slice(), prior: 1.0 }.width(&[7.0]), 0.0);
    }
}
