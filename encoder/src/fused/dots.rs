//! How products of bytes are summed, and which weights allow it.
//!
//! Some processors sum four products in 32 bits with one instruction. The others multiply bytes to sums of 16 bits, and
//! those beside each other to sums of 32: there, if two sums of the first kind fit in 16 bits together, the second is needed
//! half as often. An activation is at most 127, so that is known of the weights alone. All ways give the same sums.

use super::simd::Simd;

/// A way, chosen when weights are packed; each is the type of its name below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Whole,
    Halves,
    Pairs,
}

impl Way {
    /// The best here.
    pub(super) fn of<S: Simd>(fit: bool) -> Self {
        match (S::in_halves(), fit) {
            (false, _) => Self::Whole,
            (true, false) => Self::Halves,
            (true, true) => Self::Pairs,
        }
    }
}

/// A way, in the types.
pub(super) trait Dots<S: Simd> {
    /// `sum + Σ wᵢxᵢ` over the four bytes of each place of two vectors.
    fn add(sum: S::I, x: [S::I; 2], w: [S::I; 2]) -> S::I;
}

/// In 32 bits.
pub(super) struct Whole;
/// Each quad in 16 bits.
pub(super) struct Halves;
/// Two quads together in 16 bits, of weights that [`fit`].
pub(super) struct Pairs;

impl<S: Simd> Dots<S> for Whole {
    #[inline(always)]
    fn add(sum: S::I, x: [S::I; 2], w: [S::I; 2]) -> S::I {
        S::dot(S::dot(sum, x[0], w[0]), x[1], w[1])
    }
}

impl<S: Simd> Dots<S> for Halves {
    #[inline(always)]
    fn add(sum: S::I, x: [S::I; 2], w: [S::I; 2]) -> S::I {
        let one = S::add_halves(sum, S::halves(x[0], w[0]));
        S::add_halves(one, S::halves(x[1], w[1]))
    }
}

impl<S: Simd> Dots<S> for Pairs {
    #[inline(always)]
    fn add(sum: S::I, x: [S::I; 2], w: [S::I; 2]) -> S::I {
        S::add_halves(sum, S::both_halves(S::halves(x[0], w[0]), S::halves(x[1], w[1])))
    }
}

/// Weights of one output that are added in 16 bits, those of two quads.
pub(crate) const RUN: usize = 8;
/// Which of them come together in one sum: two of a quad, and those of the next quad.
pub(crate) const SUMS: [[usize; 4]; 2] = [[0, 1, 4, 5], [2, 3, 6, 7]];
/// What those of one sign may add up to at most: `127 · 258 < 2¹⁵`.
pub(crate) const MOST: i32 = 258;
/// Within this, either way, all fit.
pub(super) const FITS: i8 = 64;

/// Whether this is so of all weights of an output, whose number is a multiple of [`RUN`].
pub(crate) fn fit(row: &[i8]) -> bool {
    row.as_chunks::<RUN>().0.iter().all(|run| {
        SUMS.iter().all(|sum| {
            let weights = sum.map(|i| i32::from(run[i % RUN]));
            let of = |sign: i32| weights.iter().map(|w| (sign * w).max(0)).sum::<i32>() <= MOST;
            of(1) && of(-1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::Portable;
    #[cfg(target_arch = "x86_64")]
    use crate::fused::simd::{Avx2, Avx512};
    use crate::fused::tile;
    use proptest::prelude::*;

    /// Weights of one output, often great ones, cut to what fits.
    fn fitting() -> impl Strategy<Value = Vec<i8>> {
        prop::collection::vec(prop::collection::vec(-127i8..=127, RUN), 4).prop_map(|runs| {
            let cut = |run: Vec<i8>| match fit(&run) {
                true => run,
                false => run.iter().map(|w| w / 2).collect(),
            };
            runs.into_iter().flat_map(cut).collect()
        })
    }

    /// The products of 32 inputs: four rows and as many outputs as a panel of S has.
    fn products<S: Simd, D: Dots<S>>(outputs: &[Vec<i8>], inputs: &[u8]) -> Vec<f32> {
        let lanes = 4 * S::LANES;
        let byte = |k: usize, v: usize, i: usize| outputs[v * S::LANES + i / 4][4 * k + i % 4];
        let bytes: Vec<i8> =
            (0..8 * 2 * lanes).map(|n| byte(n / lanes / 2, n / lanes % 2, n % lanes)).collect();
        let row = |k: usize, r: usize| std::array::from_fn(|i| inputs[32 * r + 4 * k + i]);
        let rows: Vec<[[u8; 4]; 4]> = (0..8).map(|k| std::array::from_fn(|r| row(k, r))).collect();
        let panel = bytemuck::cast_slice::<i8, S::Quads>(&bytes).as_chunks().0;
        let sums = tile::quads::<S, D, 4>(&rows, panel);
        let mut made = vec![0.0; 8 * S::LANES];
        let slots = bytemuck::cast_slice_mut::<f32, S::Floats>(&mut made);
        slots.iter_mut().zip(sums.as_flattened()).for_each(|(slot, sum)| S::store(slot, S::to_float(*sum)));
        made
    }

    fn agree<S: Simd>(outputs: &[Vec<i8>], inputs: &[u8]) {
        let exact = products::<S, Whole>(outputs, inputs);
        let sum = |r: usize, j: usize| {
            (0..32).map(|k| i32::from(inputs[32 * r + k]) * i32::from(outputs[j][k])).sum::<i32>()
        };
        let known: Vec<f32> =
            (0..8 * S::LANES).map(|n| sum(n / (2 * S::LANES), n % (2 * S::LANES)) as f32).collect();
        assert_eq!(exact, known);
        assert_eq!(products::<S, Halves>(outputs, inputs), exact);
        assert_eq!(products::<S, Pairs>(outputs, inputs), exact);
    }

    proptest! {
        #[test]
        fn sums_of_16_bits_are_the_sums_on_every_processor_that_is_here(
            outputs in prop::collection::vec(fitting(), 32),
            inputs in prop::collection::vec(prop::sample::select(vec![0u8, 1, 64, 126, 127]), 4 * 32),
        ) {
            agree::<Portable>(&outputs, &inputs);
            #[cfg(target_arch = "x86_64")]
            if Avx2::here().is_some() {
                agree::<Avx2>(&outputs, &inputs);
            }
            #[cfg(target_arch = "x86_64")]
            if Avx512::here().is_some() {
                agree::<Avx512>(&outputs, &inputs);
            }
        }
    }

    #[test]
    fn the_bound_is_as_wide_as_it_can_be() {
        let row = |w: i8| [w, w, 0, 0, w, w, 0, 0];
        assert!(fit(&row(FITS)) && !fit(&row(FITS + 1)), "{MOST}");
        assert!(127 * MOST <= i32::from(i16::MAX) && 127 * (MOST + 1) > i32::from(i16::MAX));
    }
}
