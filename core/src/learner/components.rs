//! The directions in which the embeddings of the prompts that really come differ most: their principal components.
//!
//! An encoder brings those of a corpus of all kinds of text. Traffic is narrower: what tells its prompts apart may lie in
//! directions that hardly count in the corpus.

use dragoman_lanes::dot;

/// Rounds of the iteration. Directions of nearly equal variance stay mixed with each other, which no distance notices.
const ROUNDS: usize = 10;
/// What is left of a direction without the others, by its length, below which it is rounding errors.
const NOTHING: f32 = 1e-4;

/// The mean `[D]` of `points`, each `[D]`, and their `count` leading principal components, row-major with orthonormal
/// rows: orthogonal iteration (Golub & Van Loan, "Matrix Computations", §8.2.4) from random mixtures of the points
/// (Halko, Martinsson & Tropp 2011, "Finding structure with randomness", algorithm 4.4), the same at each call.
///
/// `None` without points, or if they differ in fewer directions.
pub(super) fn leading(points: &[&[f32]], count: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let mean = mean(points)?;
    let centred: Vec<Vec<f32>> =
        points.iter().map(|p| p.iter().zip(&mean).map(|(v, m)| v - m).collect()).collect();
    let columns: Vec<Vec<f32>> =
        (0..mean.len()).map(|j| centred.iter().filter_map(|p| p.get(j).copied()).collect()).collect();
    let mixed = |weights: &[f32]| columns.iter().map(|column| dot(column, weights)).collect();
    let mut signs = signs();
    let mut rows: Vec<Vec<f32>> =
        (0..count).map(|_| mixed(&signs.by_ref().take(points.len()).collect::<Vec<f32>>())).collect();
    orthonormalise(&mut rows)?;
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let along: Vec<f32> = centred.iter().map(|p| dot(p, row)).collect();
            *row = mixed(&along);
        }
        orthonormalise(&mut rows)?;
    }
    Some((mean, rows.concat()))
}

/// 1 or −1, by SplitMix64 (Steele, Lea & Flood 2014).
fn signs() -> impl Iterator<Item = f32> {
    (1..).map(|i: u64| {
        let z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if z >> 63 == 0 { 1.0 } else { -1.0 }
    })
}

/// `None` without points.
pub(super) fn mean(points: &[&[f32]]) -> Option<Vec<f32>> {
    let mut sums = vec![0.0f64; points.first()?.len()];
    for point in points {
        sums.iter_mut().zip(*point).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    Some(sums.iter().map(|sum| (sum / points.len() as f64) as f32).collect())
}

/// Gram–Schmidt, each row twice: once leaves rounding errors of what it took away.
fn orthonormalise(rows: &mut [Vec<f32>]) -> Option<()> {
    for i in 0..rows.len() {
        let (before, rest) = rows.split_at_mut_checked(i)?;
        let row = rest.first_mut()?;
        let length = dot(row, row).sqrt();
        for other in before.iter().chain(before.iter()) {
            let part = dot(other, row);
            row.iter_mut().zip(other).for_each(|(v, o)| *v -= part * o);
        }
        let left = dot(row, row).sqrt();
        if left <= NOTHING * length || !left.is_finite() {
            return None;
        }
        row.iter_mut().for_each(|v| *v /= left);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 60 points that differ most along (.6, .8, 0, 0), then along the last axis, hardly elsewhere.
    fn points() -> Vec<[f32; 4]> {
        let wave = |i: u32, n: u32| (i % n) as f32 / n as f32 - 0.5;
        let point = |i| {
            let (most, next, least) = (wave(i, 7), 0.3 * wave(i, 5), 0.001 * wave(i, 3));
            [0.6 * most + 1.0, 0.8 * most, least, next]
        };
        (0..60).map(point).collect()
    }

    fn rows(points: &[[f32; 4]]) -> Vec<&[f32]> {
        points.iter().map(<[f32; 4]>::as_slice).collect()
    }

    #[test]
    fn the_directions_of_most_variance_are_found() {
        let (mean, found) = leading(&rows(&points()), 2).unwrap();
        assert!((mean[0] - 1.0).abs() < 0.1 && mean[1].abs() < 0.1, "{mean:?}");
        let along = |row: &[f32], axis: [f32; 4]| dot(row, &axis).abs();
        assert!(along(&found[..4], [0.6, 0.8, 0.0, 0.0]) > 0.999, "{found:?}");
        assert!(along(&found[4..], [0.0, 0.0, 0.0, 1.0]) > 0.999, "{found:?}");
    }

    #[test]
    fn points_that_differ_in_fewer_directions_have_no_components() {
        assert_eq!(leading(&rows(&[[0.3, 0.1, 0.7, 0.2]; 50]), 2), None, "all alike");
        let line: Vec<[f32; 4]> = (0..50u8).map(|i| [f32::from(i), 2.0 * f32::from(i), 0.0, 0.0]).collect();
        assert_eq!(leading(&rows(&line), 2), None, "one direction, two asked for");
        assert_eq!(leading(&[], 2), None);
    }

    proptest! {
        #[test]
        fn components_are_orthonormal_or_none(
            points in prop::collection::vec(prop::array::uniform4(-1f32..1.0), 1..40),
        ) {
            let Some((_, found)) = leading(&rows(&points), 2) else { return Ok(()) };
            let (a, b) = found.split_at(4);
            prop_assert!((dot(a, a) - 1.0).abs() < 1e-4 && (dot(b, b) - 1.0).abs() < 1e-4 && dot(a, b).abs() < 1e-4);
        }
    }
}
