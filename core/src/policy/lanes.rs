//! Sums in eight lanes side by side: they vectorise on every target, and in the same order on every target, so WASM
//! and native give the same bits.

/// Lanes of every sum: two registers of SIMD128, which is what both WASM and every x86-64 have.
pub(super) const LANES: usize = 8;

/// `Σ aᵢbᵢ` over the shorter of the two.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    // Cut first: the rests after the last eight must be those of the same places.
    let (a, b) = (a.get(..n).unwrap_or(a), b.get(..n).unwrap_or(b));
    let (a8, a_rest) = a.as_chunks::<LANES>();
    let (b8, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a8.iter().zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let tail: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + tail
}

/// `Σ xⱼ · column j` of eight rows, for columns of eight numbers one after the other.
///
/// Even and odd columns are summed apart: an addition need not wait for the one before it.
pub(super) fn combine(columns: &[f32], x: &[f32]) -> [f32; LANES] {
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

/// `sum += scale · column`.
fn add_scaled(sum: &mut [f32; LANES], column: &[f32; LANES], scale: f32) {
    sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += scale * value);
}

#[cfg(test)]
mod tests {
    use super::*;

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
