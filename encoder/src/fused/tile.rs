//! The inner loops: R rows by one panel of two vectors, or two rows by two panels; all sums in registers.

use super::simd::Simd;

/// `Σₖ a[r][k] · panel[k]` of R rows that lie one after the other in `a`, each as long as the panel.
#[inline(always)]
pub(super) fn floats<S: Simd, const R: usize>(a: &[f32], panel: &[[S::Floats; 2]]) -> [[S::F; 2]; R] {
    let mut sums = [[S::splat(0.0); 2]; R];
    let mut rows: [&[f32]; R] = [&[]; R];
    for (row, a) in rows.iter_mut().zip(a.chunks_exact(panel.len().max(1))) {
        *row = a;
    }
    for (k, [x, y]) in panel.iter().enumerate() {
        let (x, y) = (S::load(x), S::load(y));
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let Some(a) = row.get(k) else { continue };
            let a = S::splat(*a);
            *sums = [S::fma(a, x, sums[0]), S::fma(a, y, sums[1])];
        }
    }
    sums
}

/// The same of bytes, four inputs at a time: `a[k]` are those of R rows.
#[inline(always)]
pub(super) fn quads<S: Simd, const R: usize>(a: &[[[u8; 4]; R]], panel: &[[S::Quads; 2]]) -> [[S::I; 2]; R] {
    let mut sums = [[S::zero(); 2]; R];
    for (a, [x, y]) in a.iter().zip(panel) {
        let (x, y) = (S::load_quads(x), S::load_quads(y));
        for (sums, a) in sums.iter_mut().zip(a) {
            let a = S::splat_quad(*a);
            *sums = [S::dot(sums[0], a, x), S::dot(sums[1], a, y)];
        }
    }
    sums
}

/// The first two of R rows by two panels: as many sums at a time as four rows have with one, for what has no four rows.
#[inline(always)]
pub(super) fn two_rows<S: Simd, const R: usize>(
    a: &[[[u8; 4]; R]],
    panels: [&[[S::Quads; 2]]; 2],
) -> [[[S::I; 2]; 2]; 2] {
    let mut sums = [[[S::zero(); 2]; 2]; 2];
    for ((a, one), two) in a.iter().zip(panels[0]).zip(panels[1]) {
        let weights = [one, two].map(|[x, y]| [S::load_quads(x), S::load_quads(y)]);
        for (sums, a) in sums.iter_mut().zip(a) {
            let a = S::splat_quad(*a);
            for (sums, [x, y]) in sums.iter_mut().zip(weights) {
                *sums = [S::dot(sums[0], a, x), S::dot(sums[1], a, y)];
            }
        }
    }
    sums
}
