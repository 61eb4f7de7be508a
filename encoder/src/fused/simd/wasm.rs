//! WebAssembly's `simd128` and `relaxed-simd`: 4 floats, 16 bytes. V8 makes one instruction of each dot product where
//! the processor has AVX-VNNI, else five.
#![allow(
    unsafe_code,
    reason = "v128_load and v128_store take pointers; here they come from references of that size"
)]

use std::arch::wasm32::*;
use std::hint::black_box;

use super::{ROUND, Simd};
use crate::fused::lines::{LINE, Line};

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

    /// Of bytes beyond 127, which no one else gives it, the one instruction makes exact sums, and those it takes
    /// otherwise the greatest of 16 bits.
    fn in_halves() -> bool {
        let [x, w] = black_box([u8x16_splat(255), i8x16_splat(127)]);
        let sum = i32x4_relaxed_dot_i8x16_i7x16_add(w, x, i32x4_splat(0));
        i32x4_extract_lane::<0>(sum) == 2 * i32::from(i16::MAX)
    }

    #[inline(always)]
    fn halves(x: v128, w: v128) -> v128 {
        i16x8_relaxed_dot_i8x16_i7x16(w, x)
    }

    #[inline(always)]
    fn both_halves(a: v128, b: v128) -> v128 {
        i16x8_add(a, b)
    }

    // With a constant in a register; `i32x4_extadd_pairwise` fetches its own each time.
    #[inline(always)]
    fn add_halves(sum: v128, halves: v128) -> v128 {
        i32x4_add(sum, i32x4_dot_i16x8(halves, i16x8_splat(1)))
    }

    #[inline(always)]
    fn to_float(x: v128) -> v128 {
        f32x4_convert_i32x4(x)
    }

    #[inline(always)]
    fn low_bytes(x: &[f32; LINE]) -> [u8; LINE] {
        // Not by narrowing, of which the compiler makes clamps and shuffles.
        let bytes = match x.as_chunks::<4>().0 {
            [a, b, c, d] => interleaved([a, b, c, d]),
            _ => Self::zero(),
        };
        let order = i8x16(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let bytes = i8x16_relaxed_swizzle(bytes, order);
        let mut out = [0; LINE];
        // SAFETY: the reference is to 16 writable bytes.
        unsafe { v128_store(out.as_mut_ptr().cast(), bytes) };
        out
    }

    #[inline(always)]
    fn by_number(rows: &[Line; 4]) -> [[u8; 4]; LINE] {
        let mut numbers = [[0; 4]; LINE];
        for (i, numbers) in numbers.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let bytes = interleaved([0, 1, 2, 3].map(|r| &rows[r].0.as_chunks::<4>().0[i % 4]));
            // SAFETY: the reference is to 16 writable bytes.
            unsafe { v128_store(numbers.as_mut_ptr().cast(), bytes) };
        }
        numbers
    }

    // The compiler converts one number after the other.
    #[inline(always)]
    fn widened(x: &[i16; LINE], scale: f32) -> Line {
        let mut out = Line::ZERO;
        for (to, x) in out.0.as_chunks_mut::<4>().0.iter_mut().zip(x.as_chunks::<4>().0) {
            // SAFETY: the reference is to 8 readable bytes.
            let x = unsafe { i32x4_load_extend_i16x4(x.as_ptr()) };
            Self::store(to, f32x4_mul(f32x4_convert_i32x4(x), f32x4_splat(scale)));
        }
        out
    }

    // Four rows at a time: byte r of each place is row r's, so one shuffle lays the rows one after the other. No masks: above
    // the bytes that are wanted, all floats have the same bits, which are taken off the sum of all four.
    #[inline(always)]
    fn quads<const R: usize>(rows: &[Line; R]) -> [[[u8; 4]; R]; LINE / 4] {
        const ABOVE: u32 = ROUND.to_bits().wrapping_mul(0x0101_0101);
        let order = i8x16(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let mut quads = [[[0; 4]; R]; LINE / 4];
        for (i, quads) in quads.iter_mut().enumerate() {
            for (rows, quads) in rows.as_chunks::<4>().0.iter().zip(quads.as_chunks_mut::<4>().0) {
                let mut bytes = i32x4_splat(ABOVE.wrapping_neg() as i32);
                for (r, row) in (0u32..).zip(rows) {
                    let Some(numbers) = row.0.as_chunks::<4>().0.get(i) else { continue };
                    bytes = i32x4_add(bytes, i32x4_shl(Self::load(numbers), 8 * r));
                }
                // SAFETY: the reference is to 16 writable bytes.
                unsafe { v128_store(quads.as_mut_ptr().cast(), i8x16_relaxed_swizzle(bytes, order)) };
            }
        }
        quads
    }
}

/// The lowest bytes of four vectors: in each place those of its four numbers. With few constants, because V8 makes them anew
/// each time.
#[inline(always)]
fn interleaved(vectors: [&[f32; 4]; 4]) -> v128 {
    let (byte, mut bytes) = (i32x4_splat(0xff), i32x4_splat(0));
    for (i, x) in (0u32..).zip(vectors) {
        bytes = v128_or(bytes, i32x4_shl(v128_and(Wasm::load(x), byte), 8 * i));
    }
    bytes
}
