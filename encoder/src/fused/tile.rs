//! The inner loops: R rows by one panel of two vectors, all sums in registers.

use super::simd::Simd;

/// R slices of `depth` entries, one after the other in `block`; `None` if it is shorter.
#[inline(always)]
fn rows<T, const R: usize>(block: &[T], stride: usize, depth: usize) -> Option<[&[T]; R]> {
    let mut rows: [&[T]; R] = [&[]; R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = block.get(r * stride..r * stride + depth)?;
    }
    Some(rows)
}

/// `Σₖ a[r][k] · panel[k]` of R rows that begin `stride` floats apart.
#[inline(always)]
pub(super) fn floats<S: Simd, const R: usize>(
    a: &[f32],
    stride: usize,
    panel: &[[S::Floats; 2]],
) -> [[S::F; 2]; R] {
    let mut sums = [[S::splat(0.0); 2]; R];
    let Some(a) = rows::<f32, R>(a, stride, panel.len()) else { return sums };
    for (k, [x, y]) in panel.iter().enumerate() {
        let (x, y) = (S::load(x), S::load(y));
        for (sums, a) in sums.iter_mut().zip(&a) {
            // In bounds: every row is as long as the panel, which the compiler sees.
            let a = S::splat(a[k]);
            *sums = [S::fma(a, x, sums[0]), S::fma(a, y, sums[1])];
        }
    }
    sums
}

/// The same of bytes, four of a row at a time.
#[inline(always)]
pub(super) fn quads<S: Simd, const R: usize>(
    a: &[[u8; 4]],
    stride: usize,
    panel: &[[S::Quads; 2]],
) -> [[S::I; 2]; R] {
    let mut sums = [[S::zero(); 2]; R];
    let Some(a) = rows::<[u8; 4], R>(a, stride, panel.len()) else { return sums };
    for (k, [x, y]) in panel.iter().enumerate() {
        let (x, y) = (S::load_quads(x), S::load_quads(y));
        for (sums, a) in sums.iter_mut().zip(&a) {
            let a = S::splat_quad(a[k]);
            *sums = [S::dot(sums[0], a, x), S::dot(sums[1], a, y)];
        }
    }
    sums
}
