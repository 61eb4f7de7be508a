//! AVX2 with FMA: 8 floats, 32 bytes.
#![allow(unsafe_code, reason = "intrinsics need their instructions; `Avx2::here` is what hands out the type")]

use std::arch::x86_64::*;

use super::Simd;
use crate::fused::lines::LINE;

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// If this processor has the instructions.
    pub(crate) fn here() -> Option<Self> {
        let here = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        here.then_some(Self(()))
    }
}

// SAFETY of every method: they are called only behind `Avx2::here` (a model of `Avx2` exists only then), and
// pointers come from references to as many bytes as are read or written.
impl Simd for Avx2 {
    type F = __m256;
    type I = __m256i;
    type Floats = [f32; 8];
    type Quads = [i8; 32];

    const ROWS: usize = 4;

    #[inline(always)]
    fn load(from: &[f32; 8]) -> __m256 {
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(to: &mut [f32; 8], x: __m256) {
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) }
    }

    #[inline(always)]
    fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn min(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn scale2(x: __m256, t: __m256) -> __m256 {
        unsafe {
            let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(t));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), shifted))
        }
    }

    #[inline(always)]
    fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn load_quads(from: &[i8; 32]) -> __m256i {
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat_quad(x: [u8; 4]) -> __m256i {
        unsafe { _mm256_set1_epi32(i32::from_le_bytes(x)) }
    }

    #[inline(always)]
    fn dot(sum: __m256i, x: __m256i, w: __m256i) -> __m256i {
        Self::add_halves(sum, Self::halves(x, w))
    }

    #[inline(always)]
    fn in_halves() -> bool {
        true
    }

    #[inline(always)]
    fn halves(x: __m256i, w: __m256i) -> __m256i {
        unsafe { _mm256_maddubs_epi16(x, w) }
    }

    #[inline(always)]
    fn both_halves(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    fn add_halves(sum: __m256i, halves: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(halves, _mm256_set1_epi16(1))) }
    }

    #[inline(always)]
    fn to_float(x: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(x) }
    }

    #[inline(always)]
    fn low_bytes(x: &[f32; LINE]) -> [u8; LINE] {
        // The compiler makes a shuffle of it.
        x.map(|x| x.to_bits() as u8)
    }
}
