//! Cholesky factorisation of a small positive definite matrix (Golub & Van Loan, "Matrix Computations", §4.2).
#![allow(clippy::indexing_slicing)] // every index is below k by its loop; packed rows need them

use crate::policy::{packed_index, packed_len};

/// L with LLᵀ = A, lower triangle packed row by row: row i starts at i(i+1)/2.
pub(super) struct Factor {
    k: usize,
    l: Vec<f64>,
}

/// Numbers in a `k × k` triangle packed row by row; so row k starts there.
pub(super) const fn triangle(k: usize) -> usize {
    k * (k + 1) / 2
}

impl Factor {
    /// Factorises `v + ridge·I`; `None` if that is not positive definite and finite.
    pub(super) fn of(v: &[f64], k: usize, ridge: f64) -> Option<Self> {
        if v.len() != triangle(k) {
            return None;
        }
        let mut l = v.to_vec();
        for i in 0..k {
            for j in 0..=i {
                let (ri, rj) = (triangle(i), triangle(j));
                let below: f64 = l[ri..ri + j].iter().zip(&l[rj..rj + j]).map(|(a, b)| a * b).sum();
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
            let below: f64 = self.l[r..r + i].iter().zip(&x).map(|(l, x)| l * x).sum();
            x[i] = (x[i] - below) / self.l[r + i];
        }
        for i in (0..self.k).rev() {
            x[i] /= self.l[triangle(i) + i];
            let xi = x[i];
            let r = triangle(i);
            x.iter_mut().zip(&self.l[r..r + i]).for_each(|(x, l)| *x -= l * xi);
        }
        x
    }

    /// L⁻¹ as [`crate::policy::ArmParams`] scores with it.
    pub(super) fn inverse_packed(&self) -> Vec<f64> {
        let mut packed = vec![0.0; packed_len(self.k)];
        let mut column = vec![0.0; self.k];
        for j in 0..self.k {
            column[j] = 1.0 / self.l[triangle(j) + j];
            packed[packed_index(j, j)] = column[j];
            for i in j + 1..self.k {
                let r = triangle(i);
                let sum: f64 = self.l[r + j..r + i].iter().zip(&column[j..i]).map(|(l, c)| l * c).sum();
                column[i] = -sum / self.l[r + i];
                packed[packed_index(i, j)] = column[i];
            }
        }
        packed
    }
}
