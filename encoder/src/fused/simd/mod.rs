//! What the kernels need of a processor.
//!
//! This room owns the instructions: everything in it is one operation on one vector, and the only unsafe code of the
//! crate. It must not know what is computed with them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod wasm;

use bytemuck::Pod;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
#[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
pub(super) use portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub(super) use wasm::Wasm;

use super::lines::{LINE, Line};

/// Added to a float of at most 2²², it leaves the nearest whole number in the lowest bits.
pub(super) const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³

/// Vectors of floats and of 32-bit sums.
///
/// Methods are inlined into a caller compiled for the processor; values of an implementation's vectors exist only
/// where its instructions do.
pub(super) trait Simd: Copy + 'static {
    /// A vector of floats.
    type F: Copy;
    /// A vector of 32-bit numbers, or of four times as many bytes.
    type I: Copy;
    /// A vector of floats in memory.
    type Floats: Pod + std::fmt::Debug;
    /// A vector of signed bytes in memory, four for each 32-bit number.
    type Quads: Pod;

    /// Floats of a vector; divides [`LINE`].
    const LANES: usize = size_of::<Self::Floats>() / size_of::<f32>();
    /// Rows of a tile (see `matrix.rs`): as many as keep all sums in registers. 4 or 8.
    const ROWS: usize;

    fn load(from: &Self::Floats) -> Self::F;
    fn store(to: &mut Self::Floats, x: Self::F);
    fn splat(x: f32) -> Self::F;
    fn add(a: Self::F, b: Self::F) -> Self::F;
    fn sub(a: Self::F, b: Self::F) -> Self::F;
    fn mul(a: Self::F, b: Self::F) -> Self::F;
    fn div(a: Self::F, b: Self::F) -> Self::F;
    fn min(a: Self::F, b: Self::F) -> Self::F;
    fn max(a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once or twice.
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `x · 2ⁿ` for `t = ROUND + n`; x and the result must be normal numbers.
    fn scale2(x: Self::F, t: Self::F) -> Self::F;

    fn zero() -> Self::I;
    fn load_quads(from: &Self::Quads) -> Self::I;
    /// The four bytes in every place.
    fn splat_quad(x: [u8; 4]) -> Self::I;
    /// `sum + Σ wᵢxᵢ` over the four bytes of each place; x within 0..=127, so that no processor saturates.
    fn dot(sum: Self::I, x: Self::I, w: Self::I) -> Self::I;
    /// Whether `dot` takes more instructions here than [`Simd::halves`] and [`Simd::add_halves`].
    #[inline(always)]
    fn in_halves() -> bool {
        false
    }
    /// `Σ wᵢxᵢ` over the first and the last two bytes of each place, in the halves of 16 bits of it.
    fn halves(x: Self::I, w: Self::I) -> Self::I;
    /// Half by half.
    fn both_halves(a: Self::I, b: Self::I) -> Self::I;
    /// `sum` and both halves of each place.
    fn add_halves(sum: Self::I, halves: Self::I) -> Self::I;
    fn to_float(x: Self::I) -> Self::F;
    /// Whole numbers within ±127 as bytes, of floats that [`ROUND`] was added to.
    fn low_bytes(x: &[f32; LINE]) -> [u8; LINE];
    /// The same of R rows, four bytes of each row at a time; whole numbers from 0 on.
    #[inline(always)]
    fn quads<const R: usize>(rows: &[Line; R]) -> [[[u8; 4]; R]; LINE / 4] {
        let mut quads = [[[0; 4]; R]; LINE / 4];
        for (r, row) in rows.iter().enumerate() {
            for (quads, quad) in quads.iter_mut().zip(Self::low_bytes(&row.0).as_chunks().0) {
                quads[r % R] = *quad;
            }
        }
        quads
    }

    /// The lowest bytes of four rows, number by number.
    #[inline(always)]
    fn by_number(rows: &[Line; 4]) -> [[u8; 4]; LINE] {
        let mut numbers = [[0; 4]; LINE];
        for (r, row) in rows.iter().enumerate() {
            for (number, byte) in numbers.iter_mut().zip(Self::low_bytes(&row.0)) {
                number[r % 4] = byte;
            }
        }
        numbers
    }

    /// `x · scale`.
    #[inline(always)]
    fn widened(x: &[i16; LINE], scale: f32) -> Line {
        Line(x.map(|x| f32::from(x) * scale))
    }

    #[inline(always)]
    fn absolute(x: Self::F) -> Self::F {
        Self::max(x, Self::sub(Self::splat(0.0), x))
    }

    /// The sum of a vector's floats.
    #[inline(always)]
    fn sum(x: Self::F) -> f32 {
        fold::<Self>(x, |a, b| a + b)
    }

    /// The greatest of a vector's floats.
    #[inline(always)]
    fn greatest(x: Self::F) -> f32 {
        fold::<Self>(x, |a, b| if b > a { b } else { a })
    }
}

/// Lane by lane: halves onto halves.
#[inline(always)]
fn fold<S: Simd>(x: S::F, both: impl Fn(f32, f32) -> f32) -> f32 {
    let mut line = Line::ZERO;
    if let Some(vector) = vectors_mut::<S>(std::slice::from_mut(&mut line)).first_mut() {
        S::store(vector, x);
    }
    let mut rest = S::LANES;
    while rest > 1 {
        rest /= 2;
        for i in 0..rest {
            line.0[i] = both(line.0[i], line.0[(i + rest) % LINE]);
        }
    }
    line.0[0]
}

/// Vectors of a slice of lines.
#[inline(always)]
pub(super) fn vectors<S: Simd>(lines: &[Line]) -> &[S::Floats] {
    bytemuck::must_cast_slice(lines)
}

/// Vectors of a slice of lines, to write to.
#[inline(always)]
pub(super) fn vectors_mut<S: Simd>(lines: &mut [Line]) -> &mut [S::Floats] {
    bytemuck::must_cast_slice_mut(lines)
}
