//! The inner loops: R rows by one panel of two vectors, or two rows by two panels; all sums in registers.
//!
//! In WebAssembly those of bytes are functions of their own: V8 then has registers for all sums, and once to compile what
//! many products use. Elsewhere they must be inlined into code compiled for the processor.

use super::dots::Dots;
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

/// The same of bytes, two quads of inputs at a time: `a[k]` are those of R rows.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub(super) fn quads<S: Simd, D: Dots<S>, const R: usize>(
    a: &[[[u8; 4]; R]],
    panel: &[[S::Quads; 2]],
) -> [[S::I; 2]; R] {
    let mut sums = [[S::zero(); 2]; R];
    for ([a, b], panel) in a.as_chunks().0.iter().zip(panel.as_chunks().0) {
        let [x, y] = load::<S>(panel);
        for ((sums, a), b) in sums.iter_mut().zip(a).zip(b) {
            let a = [S::splat_quad(*a), S::splat_quad(*b)];
            *sums = [D::add(sums[0], a, x), D::add(sums[1], a, y)];
        }
    }
    sums
}

/// `[panel][row]`: the first two of R rows by two panels, as many sums at a time as four rows have with one, for what has
/// no four rows.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub(super) fn two_rows<S: Simd, D: Dots<S>, const R: usize>(
    a: &[[[u8; 4]; R]],
    panels: [&[[S::Quads; 2]]; 2],
) -> [[[S::I; 2]; 2]; 2] {
    let mut sums = [[[S::zero(); 2]; 2]; 2];
    let panels = panels[0].as_chunks().0.iter().zip(panels[1].as_chunks().0);
    for ([a, b], (one, two)) in a.as_chunks().0.iter().zip(panels) {
        for (sums, panel) in sums.iter_mut().zip([one, two]) {
            let [x, y] = load::<S>(panel);
            for ((sums, a), b) in sums.iter_mut().zip(a).zip(b) {
                let a = [S::splat_quad(*a), S::splat_quad(*b)];
                *sums = [D::add(sums[0], a, x), D::add(sums[1], a, y)];
            }
        }
    }
    sums
}

/// Two quads of each of a panel's two vectors.
#[inline(always)]
fn load<S: Simd>([one, two]: &[[S::Quads; 2]; 2]) -> [[S::I; 2]; 2] {
    [[S::load_quads(&one[0]), S::load_quads(&two[0])], [S::load_quads(&one[1]), S::load_quads(&two[1])]]
}
