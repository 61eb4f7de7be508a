//! Plain Rust for every processor; the compiler makes of it what vectors it can.

use super::Simd;
use crate::fused::lines::LINE;

const LANES: usize = 4;

/// No instructions of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn each(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type Floats = [f32; LANES];
    type Quads = [i8; 4 * LANES];

    const ROWS: usize = 4;

    #[inline(always)]
    fn load(from: &Self::Floats) -> Self::F {
        *from
    }

    #[inline(always)]
    fn store(to: &mut Self::Floats, x: Self::F) {
        *to = x;
    }

    #[inline(always)]
    fn splat(x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    fn add(a: Self::F, b: Self::F) -> Self::F {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(a: Self::F, b: Self::F) -> Self::F {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(a: Self::F, b: Self::F) -> Self::F {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(a: Self::F, b: Self::F) -> Self::F {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn min(a: Self::F, b: Self::F) -> Self::F {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(a: Self::F, b: Self::F) -> Self::F {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        Self::add(Self::mul(a, b), c)
    }

    #[inline(always)]
    fn scale2(x: Self::F, t: Self::F) -> Self::F {
        each(x, t, |x, t| f32::from_bits(x.to_bits().wrapping_add(t.to_bits() << 23)))
    }

    #[inline(always)]
    fn zero() -> Self::I {
        [0; LANES]
    }

    #[inline(always)]
    fn load_quads(from: &Self::Quads) -> Self::I {
        bytemuck::must_cast(*from)
    }

    #[inline(always)]
    fn splat_quad(x: [u8; 4]) -> Self::I {
        [i32::from_ne_bytes(x); LANES]
    }

    #[inline(always)]
    fn dot(sum: Self::I, x: Self::I, w: Self::I) -> Self::I {
        let (x, w): ([[u8; 4]; LANES], [[i8; 4]; LANES]) = (bytemuck::must_cast(x), bytemuck::must_cast(w));
        std::array::from_fn(|i| {
            let products = x[i].iter().zip(&w[i]).map(|(x, w)| i32::from(*x) * i32::from(*w));
            sum[i] + products.sum::<i32>()
        })
    }

    #[inline(always)]
    fn halves(x: Self::I, w: Self::I) -> Self::I {
        let (x, w): ([[u8; 4]; LANES], [[i8; 4]; LANES]) = (bytemuck::must_cast(x), bytemuck::must_cast(w));
        let product = |i: usize, k: usize| i16::from(x[i][k]) * i16::from(w[i][k]);
        let of = |i, k| product(i, k).saturating_add(product(i, k + 1));
        bytemuck::must_cast::<[[i16; 2]; LANES], _>(std::array::from_fn(|i| [of(i, 0), of(i, 2)]))
    }

    #[inline(always)]
    fn both_halves(a: Self::I, b: Self::I) -> Self::I {
        let [a, b] = [a, b].map(bytemuck::must_cast::<_, [i16; 2 * LANES]>);
        bytemuck::must_cast::<[i16; 2 * LANES], _>(std::array::from_fn(|i| a[i].wrapping_add(b[i])))
    }

    #[inline(always)]
    fn add_halves(sum: Self::I, halves: Self::I) -> Self::I {
        let halves = bytemuck::must_cast::<_, [[i16; 2]; LANES]>(halves);
        std::array::from_fn(|i| sum[i] + halves[i].map(i32::from).iter().sum::<i32>())
    }

    #[inline(always)]
    fn to_float(x: Self::I) -> Self::F {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    fn low_bytes(x: &[f32; LINE]) -> [u8; LINE] {
        x.map(|x| x.to_bits() as u8)
    }
}
