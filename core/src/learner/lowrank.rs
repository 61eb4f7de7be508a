//! What a route knows, as few rows: for so many dimensions that a triangle would take a decision milliseconds.
//!
//! Let `V̂ = FᵀF`, F `[r × d]`. If `V̂ ≼ V`, then `(V + δI)⁻¹ ≼ (V̂ + δI)⁻¹`, so a width from V̂ is never below the true
//! one, and by Woodbury's identity
//!
//! ```text
//! (V̂ + δI)⁻¹ = (I − WᵀW)/δ,   W = L⁻¹F,   FFᵀ + δI = LLᵀ
//! ```
//!
//! V̂ is Nyström's approximation `VQᵀ(QVQᵀ)⁻¹QV`: below V for any Q, and made of V's leading eigenpairs where these
//! span Q's rows (Halko, Martinsson & Tropp 2011, "Finding structure with randomness", §5.4). Q spans the partial
//! Cholesky factor with diagonal pivoting, which is all of V if V's rank is at most r (Harbrecht, Peters & Schneider
//! 2012, "On the low-rank approximation by the pivoted Cholesky decomposition"), so r observations lose nothing. Turning
//! Q on towards the eigenvectors (orthogonal iteration) was measured to narrow widths by another 1 or 2 % only.
#![allow(clippy::indexing_slicing)] // pivots and packed triangles: every index is below d or r by its loop

use super::cholesky::{Cholesky, packed, sum_of_products, times, triangle};

/// r, rows that are kept.
pub(super) const RANK: usize = 32;
/// What is smaller than this part of V's largest number is rounding.
const ROUNDING: f64 = 1e-12;

/// W, at most [`RANK`] rows of d. `v` is V `[d × d]`, a packed triangle, finite and positive semidefinite (`None` if
/// rounding says it is not); `ridge` is δ.
pub(super) fn known(v: &[f64], d: usize, ridge: f64) -> Option<Vec<Vec<f64>>> {
    let diagonal: Vec<f64> = (0..d).map(|i| v[packed(i, i)]).collect();
    let rounding = ROUNDING * diagonal.iter().copied().fold(0.0, f64::max);
    let q = orthonormal(pivoted(v, diagonal, rounding));
    let qv: Vec<Vec<f64>> = q.iter().map(|q| times(v, q)).collect();
    let f = whiten(&qv, products(&q, &qv), rounding)?;
    whiten(&f, products(&f, &f), ridge)
}

/// At most [`RANK`] rows whose `FᵀF` is V as far as they go: each step takes the column with most left of its diagonal.
fn pivoted(v: &[f64], mut left: Vec<f64>, enough: f64) -> Vec<Vec<f64>> {
    let d = left.len();
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(RANK);
    while rows.len() < RANK {
        let largest = left.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((pivot, most)) = largest.filter(|(_, most)| *most > enough) else { break };
        let mut row: Vec<f64> = (0..d).map(|j| v[packed(pivot, j)]).collect();
        for earlier in &rows {
            add_scaled(&mut row, earlier, -earlier[pivot]);
        }
        let scale = most.sqrt().recip();
        for (x, left) in row.iter_mut().zip(&mut left) {
            *x *= scale;
            *left -= *x * *x;
        }
        // Exactly 0 but for rounding, which must not choose it again.
        left[pivot] = 0.0;
        rows.push(row);
    }
    rows
}

/// An orthonormal basis of what `rows` span (Gram-Schmidt, modified; §5.2.8), without those that are rounding.
fn orthonormal(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
    for mut row in rows {
        let before = norm(&row);
        for earlier in &basis {
            let along = sum_of_products(earlier, &row);
            add_scaled(&mut row, earlier, -along);
        }
        let after = norm(&row);
        if after > ROUNDING * before {
            row.iter_mut().for_each(|x| *x /= after);
            basis.push(row);
        }
    }
    basis
}

/// `L⁻¹·rows` with LLᵀ = `gram` + `ridge`·I.
fn whiten(rows: &[Vec<f64>], gram: Vec<f64>, ridge: f64) -> Option<Vec<Vec<f64>>> {
    let inverse = Cholesky::of(&gram, rows.len(), ridge)?.inverse();
    let combine = |i: usize| {
        let mut out = vec![0.0; rows[i].len()];
        let factors = &inverse[triangle(i)..triangle(i + 1)];
        factors.iter().zip(rows).for_each(|(factor, row)| add_scaled(&mut out, row, *factor));
        out
    };
    Some((0..rows.len()).map(combine).collect())
}

/// `aᵢ·bⱼ`, the lower triangle packed row by row.
fn products(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<f64> {
    let row = |(i, a): (usize, &Vec<f64>)| -> Vec<f64> {
        b.iter().take(i + 1).map(|b| sum_of_products(a, b)).collect()
    };
    a.iter().enumerate().flat_map(row).collect()
}

fn norm(x: &[f64]) -> f64 {
    sum_of_products(x, x).sqrt()
}

fn add_scaled(sum: &mut [f64], row: &[f64], scale: f64) {
    sum.iter_mut().zip(row).for_each(|(s, x)| *s += scale * x);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// V of `rows`, packed.
    fn gram(rows: &[Vec<f64>], d: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| rows.iter().map(|z| z[i] * z[j]).sum();
        (0..d).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect()
    }

    /// `1 − ‖Wz‖²/‖z‖²` and, exactly, `δ zᵀ(V + δI)⁻¹z/‖z‖²`: what is unknown of z, as a part.
    fn unknown(v: &[f64], d: usize, ridge: f64, z: &[f64]) -> (f64, f64) {
        let w = known(v, d, ridge).unwrap();
        let length = sum_of_products(z, z).max(1e-9);
        let explained: f64 = w.iter().map(|w| sum_of_products(w, z).powi(2)).sum();
        let solved = Cholesky::of(v, d, ridge).unwrap().solve(z);
        (1.0 - explained / length, ridge * sum_of_products(&solved, z) / length)
    }

    fn case(counts: std::ops::Range<usize>) -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<f64>, f64)> {
        let d = 40;
        let z = move || {
            // Mostly zeros and ones, as signals are, or numbers, as embeddings have.
            let number = prop_oneof![Just(0.0), Just(1.0), -1.0..1.0f64];
            prop::collection::vec(number, d)
        };
        (prop::collection::vec(z(), counts), z(), 0.1..20.0f64)
    }

    proptest! {
        #[test]
        fn as_many_observations_as_rows_lose_nothing((rows, z, ridge) in case(0..RANK + 1)) {
            let (got, exact) = unknown(&gram(&rows, 40), 40, ridge, &z);
            prop_assert!((got - exact).abs() < 1e-6, "{got} {exact}");
        }

        #[test]
        fn more_observations_never_make_it_surer_than_it_is((rows, z, ridge) in case(RANK..120)) {
            let (got, exact) = unknown(&gram(&rows, 40), 40, ridge, &z);
            prop_assert!(got > exact - 1e-9, "{got} {exact}");
            prop_assert!(got < 1.0 + 1e-9, "{got}");
        }
    }

    #[test]
    fn nothing_seen_is_nothing_known() {
        assert_eq!(known(&[0.0; 6], 3, 1.0), Some(vec![]));
    }
}
