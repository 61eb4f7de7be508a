//! Sums in eight lanes side by side: they vectorise on every target, and in the same order on every target, so WASM
//! and native give the same bits.
//!
//! This room owns the inner loops of deciding, and nothing else: it is a crate of its own because these few lines must be
//! compiled for speed, and what calls them need not, which makes the filter smaller and Envoy start sooner.

#![allow(
    unsafe_code,
    reason = "code for wider registers runs where the processor was asked for them, nowhere else"
)]

/// Lanes of every sum: two registers of SIMD128, which is what both WASM and every x86-64 have.
pub const LANES: usize = 8;

/// `Σ aᵢbᵢ` over the shorter of the two.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has just said that it has the instructions.
        return unsafe { wide::dot(a, b) };
    }
    dot_in_lanes(a, b)
}

/// `Σ xⱼ · column j` of eight rows, for columns of eight numbers one after the other.
///
/// Even and odd columns are summed apart: an addition need not wait for the one before it. (Four sums instead of two: slower.)
pub fn combine(columns: &[f32], x: &[f32]) -> [f32; LANES] {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: as in `dot`.
        return unsafe { wide::combine(columns, x) };
    }
    combine_in_lanes(columns, x)
}

/// The same code for processors whose registers hold all eight lanes. Nothing is fused, so the bits are the same too.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{LANES, combine_in_lanes, dot_in_lanes};

    #[target_feature(enable = "avx2")]
    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        dot_in_lanes(a, b)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn combine(columns: &[f32], x: &[f32]) -> [f32; LANES] {
        combine_in_lanes(columns, x)
    }
}

#[inline(always)]
fn dot_in_lanes(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    // Cut first: the rests after the last eight must be those of the same places.
    let (a, b) = (a.get(..n).unwrap_or(a), b.get(..n).unwrap_or(b));
    let (a8, a_rest) = a.as_chunks::<LANES>();
    let (b8, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a8.iter().zip(b8) {
        add_products(&mut lanes, a, b);
    }
    let tail: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + tail
}

#[inline(always)]
fn combine_in_lanes(columns: &[f32], x: &[f32]) -> [f32; LANES] {
    let (pairs, last) = columns.as_chunks::<{ 2 * LANES }>();
    let (x_pairs, x_last) = x.as_chunks::<2>();
    let mut sums = [[0.0; LANES]; 2];
    for (pair, x) in pairs.iter().zip(x_pairs) {
        for ((sum, column), x) in sums.iter_mut().zip(pair.as_chunks::<LANES>().0).zip(x) {
            add_scaled(sum, column, *x);
        }
    }
    let [mut even, odd] = sums;
    for (column, x) in last.as_chunks::<LANES>().0.iter().zip(x_last) {
        add_scaled(&mut even, column, *x);
    }
    add_scaled(&mut even, &odd, 1.0);
    even
}

/// `sum += a · b`, lane by lane.
#[inline(always)]
fn add_products(sum: &mut [f32; LANES], a: &[f32; LANES], b: &[f32; LANES]) {
    sum.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
}

/// `sum += scale · column`.
#[inline(always)]
fn add_scaled(sum: &mut [f32; LANES], column: &[f32; LANES], scale: f32) {
    sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += scale * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a processor without wide registers computes, WASM too, and what this one does.
    #[test]
    fn wide_registers_change_no_bit() {
        let numbers: Vec<f32> = (0..32 * LANES as u16).map(|i| (f32::from(i) * 0.7).sin()).collect();
        for n in 0..=31 {
            let (a, b) = (&numbers[..n * 3], &numbers[numbers.len() - n * 3..]);
            assert_eq!(dot(a, b).to_bits(), dot_in_lanes(a, b).to_bits(), "{n}");
            let (columns, x) = (&numbers[..n * LANES], &numbers[..n]);
            let bits = |sums: [f32; LANES]| sums.map(f32::to_bits);
            assert_eq!(bits(combine(columns, x)), bits(combine_in_lanes(columns, x)), "{n}");
        }
    }

    #[test]
    fn columns_are_combined_whatever_their_number() {
        for n in 0..=9u8 {
            let columns: Vec<f32> =
                (0..n).flat_map(|j| (0..LANES as u8).map(move |i| f32::from(10 * j + i))).collect();
            let x: Vec<f32> = (0..n).map(f32::from).collect();
            let want: [f32; LANES] =
                std::array::from_fn(|i| (0..n).map(|j| f32::from(j) * (f32::from(10 * j) + i as f32)).sum());
            assert_eq!(combine(&columns, &x), want, "{n}");
        }
    }

    #[test]
    fn a_product_of_unequal_lengths_is_that_over_the_shorter() {
        let numbers: Vec<f32> = (1..=20u8).map(f32::from).collect();
        for n in 0..=20 {
            let want: f32 = numbers.iter().take(n).map(|v| v * v).sum();
            assert_eq!(dot(&numbers[..n], &numbers), want, "{n}");
            assert_eq!(dot(&numbers, &numbers[..n]), want, "{n}");
        }
    }
}
