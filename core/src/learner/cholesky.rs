//! Factorisations of small symmetric positive definite matrices (Golub & Van Loan, "Matrix Computations", §4.2).
#![allow(clippy::indexing_slicing)] // every index is below k by its loop; packed rows need them

use crate::policy::{packed_index, packed_len};

/// L with LLᵀ = A, lower triangle packed row by row: row i starts at i(i+1)/2.
pub(super) struct Cholesky {
    k: usize,
    l: Vec<f64>,
}

/// Numbers in a `k × k` triangle packed row by row; so row k starts there.
pub(super) const fn triangle(k: usize) -> usize {
    k * (k + 1) / 2
}

impl Cholesky {
    /// Factorises `v + ridge·I`; `None` if that is not positive definite and finite.
    pub(super) fn of(v: &[f64], k: usize, ridge: f64) -> Option<Self> {
        if v.len() != triangle(k) {
            return None;
        }
        let mut l = v.to_vec();
        for i in 0..k {
            for j in 0..=i {
                let (ri, rj) = (triangle(i), triangle(j));
                let below: f64 = sum_of_products(&l[ri..ri + j], &l[rj..rj + j]);
                if i > j {
                    l[ri + j] = (l[ri + j] - below) / l[rj + j];
                    continue;
                }
                let pivot = l[ri + i] + ridge - below;
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return None;
                }
                l[ri + i] = pivot.sqrt();
            }
        }
        Some(Self { k, l })
    }

    /// x with Ax = b, by forward and back substitution.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for i in 0..self.k {
            let r = triangle(i);
            x[i] = (x[i] - sum_of_products(&self.l[r..r + i], &x)) / self.l[r + i];
        }
        for i in (0..self.k).rev() {
            x[i] /= self.l[triangle(i) + i];
            let xi = x[i];
            let r = triangle(i);
            x.iter_mut().zip(&self.l[r..r + i]).for_each(|(x, l)| *x -= l * xi);
        }
        x
    }

    /// ln|A|.
    pub(super) fn log_determinant(&self) -> f64 {
        (0..self.k).map(|i| 2.0 * libm::log(self.l[triangle(i) + i])).sum()
    }

    /// L⁻¹, packed as L.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let mut inverse = vec![0.0; self.l.len()];
        for i in 0..self.k {
            let r = triangle(i);
            let (above, row) = inverse.split_at_mut(r);
            for (m, l) in self.l[r..r + i].iter().enumerate() {
                let earlier = &above[triangle(m)..triangle(m + 1)];
                row.iter_mut().zip(earlier).for_each(|(x, e)| *x -= l * e);
            }
            let pivot = self.l[r + i];
            row[..i].iter_mut().for_each(|x| *x /= pivot);
            row[i] = 1.0 / pivot;
        }
        inverse
    }

    /// A⁻¹ = L⁻ᵀL⁻¹, lower triangle packed row by row.
    pub(super) fn inverse_square(&self) -> Vec<f64> {
        gram(&self.inverse(), self.k)
    }
}

/// `RᵀR` of a lower-triangular R, both packed row by row.
fn gram(r: &[f64], k: usize) -> Vec<f64> {
    let mut out = vec![0.0; triangle(k)];
    for m in 0..k {
        let row = &r[triangle(m)..triangle(m + 1)];
        for (i, scale) in row.iter().enumerate() {
            let into = &mut out[triangle(i)..triangle(i + 1)];
            into.iter_mut().zip(row).for_each(|(o, x)| *o += scale * x);
        }
    }
    out
}

/// R, lower-triangular, with `RᵀR = a` and scaled by `scale`, packed as [`crate::policy::Factor`] has it.
/// `None` if `a` is not positive definite and finite.
///
/// Cholesky from the last row up, right-looking: row i is final once all later rows' products were taken from it.
pub(super) fn root(mut a: Vec<f64>, k: usize, scale: f64) -> Option<Vec<f32>> {
    let mut packed = vec![0.0; packed_len(k)];
    for i in (0..k).rev() {
        let (above, row) = a.split_at_mut(triangle(i));
        let pivot = row[i];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        row[..=i].iter_mut().for_each(|x| *x /= pivot.sqrt());
        for (j, value) in row[..=i].iter().enumerate() {
            packed[packed_index(i, j)] = (value * scale) as f32;
        }
        for j in 0..i {
            let into = &mut above[triangle(j)..triangle(j + 1)];
            let value = row[j];
            into.iter_mut().zip(&*row).for_each(|(x, r)| *x -= value * r);
        }
    }
    Some(packed)
}

/// Where element (i, j) of a symmetric matrix is in its packed triangle.
pub(super) fn packed(i: usize, j: usize) -> usize {
    triangle(i.max(j)) + i.min(j)
}

/// `Ax` of a symmetric A, packed.
pub(super) fn times(a: &[f64], x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    for (i, xi) in x.iter().enumerate() {
        let (row, diagonal) = a[triangle(i)..triangle(i + 1)].split_at(i);
        out[i] = sum_of_products(row, x) + diagonal[0] * xi;
        out.iter_mut().zip(row).for_each(|(out, a)| *out += a * xi);
    }
    out
}

/// `Σ aᵢbᵢ` over the shorter, in four lanes so that one addition need not wait for the one before.
pub(super) fn sum_of_products(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a4, a_rest) = a[..n].as_chunks::<4>();
    let (b4, b_rest) = b[..n].as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}
