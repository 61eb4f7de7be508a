//! WebAssembly's `simd128` and `relaxed-simd`: 4 floats, 16 bytes. V8 makes one instruction of each dot product where
//! the processor has AVX-VNNI, else three.
#![allow(
    unsafe_code,
    reason = "v128_load and v128_store take pointers; here they come from references of that size"
)]

use std::arch::wasm32::*;

use super::{ROUND, Simd};
use crate::fused::lines::LINE;

/// `simd128` with `relaxed-simd`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wasm;

impl Simd for Wasm {
    type F = v128;
    type I = v128;
    type Floats = [f32; 4];
    type Quads = [i8; 16];

    const ROWS: usize = 4;

    #[inline(always)]
    fn load(from: &[f32; 4]) -> v128 {
        // SAFETY: the reference is to 16 readable bytes.
        unsafe { v128_load(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(to: &mut [f32; 4], x: v128) {
        // SAFETY: the reference is to 16 writable bytes.
        unsafe { v128_store(to.as_mut_ptr().cast(), x) }
    }

    #[inline(always)]
    fn splat(x: f32) -> v128 {
        f32x4_splat(x)
    }

    #[inline(always)]
    fn add(a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }

    #[inline(always)]
    fn div(a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }

    #[inline(always)]
    fn min(a: v128, b: v128) -> v128 {
        f32x4_relaxed_min(a, b)
    }

    #[inline(always)]
    fn max(a: v128, b: v128) -> v128 {
        f32x4_relaxed_max(a, b)
    }

    #[inline(always)]
    fn fma(a: v128, b: v128, c: v128) -> v128 {
        f32x4_relaxed_madd(a, b, c)
    }

    #[inline(always)]
    fn scale2(x: v128, t: v128) -> v128 {
        i32x4_add(x, i32x4_shl(t, 23))
    }

    #[inline(always)]
    fn sum(x: v128) -> f32 {
        let x = f32x4_add(x, i32x4_shuffle::<2, 3, 0, 1>(x, x));
        f32x4_extract_lane::<0>(f32x4_add(x, i32x4_shuffle::<1, 0, 3, 2>(x, x)))
    }

    // In vectors, because V8 makes jumps of a choice between two floats, and no processor can foresee them.
    #[inline(always)]
    fn greatest(x: v128) -> f32 {
        let x = f32x4_relaxed_max(x, i32x4_shuffle::<2, 3, 0, 1>(x, x));
        f32x4_extract_lane::<0>(f32x4_relaxed_max(x, i32x4_shuffle::<1, 0, 3, 2>(x, x)))
    }

    #[inline(always)]
    fn zero() -> v128 {
        i32x4_splat(0)
    }

    #[inline(always)]
    fn load_quads(from: &[i8; 16]) -> v128 {
        // SAFETY: the reference is to 16 readable bytes.
        unsafe { v128_load(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat_quad(x: [u8; 4]) -> v128 {
        i32x4_splat(i32::from_le_bytes(x))
    }

    #[inline(always)]
    fn dot(sum: v128, x: v128, w: v128) -> v128 {
        i32x4_relaxed_dot_i8x16_i7x16_add(w, x, sum)
    }

    #[inline(always)]
    fn to_float(x: v128) -> v128 {
        f32x4_convert_i32x4(x)
    }

    #[inline(always)]
    fn low_bytes(x: &[f32; LINE]) -> [u8; LINE] {
        let (quarters, _) = x.as_chunks::<4>();
        // A difference and not a mask: of masked numbers the compiler knows that narrowing only drops bits, and then
        // moves them one by one.
        let round = f32x4_splat(ROUND);
        let [a, b, c, d] = std::array::from_fn(|i| match quarters.get(i) {
            Some(quarter) => i32x4_sub(Self::load(quarter), round),
            None => round,
        });
        let bytes = i8x16_narrow_i16x8(i16x8_narrow_i32x4(a, b), i16x8_narrow_i32x4(c, d));
        let mut out = [0; LINE];
        // SAFETY: the reference is to 16 writable bytes.
        unsafe { v128_store(out.as_mut_ptr().cast(), bytes) };
        out
    }
}
