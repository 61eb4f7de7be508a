//! AVX-512 with VNNI: 16 floats, 64 bytes.
#![allow(
    unsafe_code,
    reason = "intrinsics need their instructions; `Avx512::here` is what hands out the type"
)]

use std::arch::x86_64::*;

use super::Simd;
use crate::fused::lines::LINE;

/// Proof that the processor has AVX-512F, BW and VNNI.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// If this processor has the instructions.
    pub(crate) fn here() -> Option<Self> {
        let here = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        here.then_some(Self(()))
    }
}

// SAFETY of every method: they are called only behind `Avx512::here` (a model of `Avx512` exists only then), and
// pointers come from references to as many bytes as are read or written.
impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type Floats = [f32; 16];
    type Quads = [i8; 64];

    const ROWS: usize = 8;

    #[inline(always)]
    fn load(from: &[f32; 16]) -> __m512 {
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(to: &mut [f32; 16], x: __m512) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
    }

    #[inline(always)]
    fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn min(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn scale2(x: __m512, t: __m512) -> __m512 {
        unsafe {
            let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(t));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), shifted))
        }
    }

    #[inline(always)]
    fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn load_quads(from: &[i8; 64]) -> __m512i {
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat_quad(x: [u8; 4]) -> __m512i {
        unsafe { _mm512_set1_epi32(i32::from_le_bytes(x)) }
    }

    #[inline(always)]
    fn dot(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sum, x, w) }
    }

    #[inline(always)]
    fn halves(x: __m512i, w: __m512i) -> __m512i {
        unsafe { _mm512_maddubs_epi16(x, w) }
    }

    #[inline(always)]
    fn both_halves(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    fn add_halves(sum: __m512i, halves: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(sum, _mm512_madd_epi16(halves, _mm512_set1_epi16(1))) }
    }

    #[inline(always)]
    fn to_float(x: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(x) }
    }

    #[inline(always)]
    fn low_bytes(x: &[f32; LINE]) -> [u8; LINE] {
        let mut out = [0; LINE];
        unsafe {
            let bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(_mm512_loadu_ps(x.as_ptr())));
            _mm_storeu_si128(out.as_mut_ptr().cast(), bytes);
        }
        out
    }
}
