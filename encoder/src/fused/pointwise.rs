//! What is done to single rows: layer norm, GELU, softmax. All in f32.

use super::lines::Line;
use super::simd::{ROUND, Simd, vectors, vectors_mut};

/// Below this eˣ is as good as zero, and still so great that a product with it is no denormal number, which processors
/// take a hundred times as long for.
const LEAST: f32 = -60.0;

/// eˣ, relative error below 3e-7, for x up to 88; no less than e⁻⁶⁰. Of N vectors.
///
/// Cody-Waite reduction and the polynomial of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp<S: Simd, const N: usize>(x: [S::F; N]) -> [S::F; N] {
    const LOG2_HIGH: f32 = 0.693_359_4;
    const LOG2_LOW: f32 = -2.121_944_4e-4;
    const P: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let (mut r, mut t) = (x, x);
    for (r, t) in r.iter_mut().zip(&mut t) {
        let x = S::min(S::max(*r, S::splat(LEAST)), S::splat(88.0));
        *t = S::add(S::mul(x, S::splat(std::f32::consts::LOG2_E)), S::splat(ROUND));
        let n = S::sub(*t, S::splat(ROUND));
        *r = S::fma(n, S::splat(-LOG2_LOW), S::fma(n, S::splat(-LOG2_HIGH), x));
    }
    let mut made = polynomial::<S, 6, N>(r, P);
    for (p, (r, t)) in made.iter_mut().zip(r.iter().zip(&t)) {
        *p = S::scale2(S::add(S::fma(S::mul(*r, *r), *p, *r), S::splat(1.0)), *t);
    }
    made
}

/// eˣ, relative error below 1e-4, for x up to 0; no less than e⁻⁶⁰. Of N vectors.
///
/// `2ⁿ · 2ᶠ` for the whole n nearest to x / ln 2; 2ᶠ by the cubic whose greatest relative error is least.
#[inline(always)]
fn coarse_exp<S: Simd, const N: usize>(x: [S::F; N]) -> [S::F; N] {
    const P: [f32; 4] = [0.055_171_32, 0.242_611_33, 0.693_261_1, 0.999_928_05];
    let log2e = S::splat(std::f32::consts::LOG2_E);
    let (mut f, mut t) = (x, x);
    for (f, t) in f.iter_mut().zip(&mut t) {
        let x = S::max(*f, S::splat(LEAST));
        *t = S::fma(x, log2e, S::splat(ROUND));
        *f = S::fma(x, log2e, S::sub(S::splat(ROUND), *t));
    }
    let mut made = polynomial::<S, 4, N>(f, P);
    for (p, t) in made.iter_mut().zip(&t) {
        *p = S::scale2(*p, *t);
    }
    made
}

/// `x · Φ(x) = ½x (1 + erf(x / √2))`, absolute error below 4e-7 · |x|; of N vectors, each constant once for all.
///
/// erf by the rational minimax approximation of Eigen (`generic_fast_erf_float`), which needs no exponential.
#[inline(always)]
pub(super) fn gelu<S: Simd, const N: usize>(x: [S::F; N]) -> [S::F; N] {
    const P: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const Q: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    // Beyond 4, erf is 1 in float32.
    let (least, most) = (S::splat(-4.0), S::splat(4.0));
    let (mut z, mut square) = (x, x);
    for (z, square) in z.iter_mut().zip(&mut square) {
        *z = S::min(S::max(S::mul(*z, S::splat(std::f32::consts::FRAC_1_SQRT_2)), least), most);
        *square = S::mul(*z, *z);
    }
    let (over, under) = (polynomial::<S, 7, N>(square, P), polynomial::<S, 5, N>(square, Q));
    let mut made = x;
    for (x, ((z, over), under)) in made.iter_mut().zip(z.iter().zip(&over).zip(&under)) {
        let half = S::mul(*x, S::splat(0.5));
        *x = S::fma(half, S::div(S::mul(*z, *over), *under), half);
    }
    made
}

/// By Horner's rule, the highest power's coefficient first.
#[inline(always)]
fn polynomial<S: Simd, const C: usize, const N: usize>(x: [S::F; N], coefficients: [f32; C]) -> [S::F; N] {
    let mut coefficients = coefficients.into_iter();
    let mut sums = [S::splat(coefficients.next().unwrap_or_default()); N];
    for c in coefficients {
        let c = S::splat(c);
        for (sum, x) in sums.iter_mut().zip(&x) {
            *sum = S::fma(*sum, *x, c);
        }
    }
    sums
}

/// `to = (x - mean) / √(variance + eps) · weight`.
#[inline(always)]
pub(super) fn layer_norm<S: Simd>(x: &[Line], weight: &[Line], eps: f32, to: &mut [Line]) {
    let x = vectors::<S>(x);
    let count = (x.len() * S::LANES) as f32;
    let mut total = S::splat(0.0);
    for x in x {
        total = S::add(total, S::load(x));
    }
    let mean = S::splat(S::sum(total) / count);
    let mut squares = S::splat(0.0);
    for x in x {
        let off = S::sub(S::load(x), mean);
        squares = S::fma(off, off, squares);
    }
    let scale = S::splat(1.0 / (S::sum(squares) / count + eps).sqrt());
    for ((x, weight), to) in x.iter().zip(vectors::<S>(weight)).zip(vectors_mut::<S>(to)) {
        S::store(to, S::mul(S::mul(S::sub(S::load(x), mean), scale), S::load(weight)));
    }
}

/// Every score becomes `e^(score - greatest)`; gives their sum. Scores to leave out are `f32::MIN`. If they will be rounded
/// to seven bits anyway, `coarse` ones do.
#[inline(always)]
pub(super) fn softmax<S: Simd>(scores: &mut [S::Floats], coarse: bool) -> f32 {
    let mut high = S::splat(f32::MIN);
    for score in scores.iter() {
        high = S::max(high, S::load(score));
    }
    let high = S::splat(S::greatest(high));
    let mut total = S::splat(0.0);
    // Rows are whole lines and whole panels: an even number of vectors.
    for [one, two] in scores.as_chunks_mut().0 {
        let below = [S::sub(S::load(one), high), S::sub(S::load(two), high)];
        let [e, f] = if coarse { coarse_exp::<S, 2>(below) } else { exp::<S, 2>(below) };
        total = S::add(total, S::add(e, f));
        S::store(one, e);
        S::store(two, f);
    }
    S::sum(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::Portable;

    #[test]
    fn exp_is_exp() {
        for i in -5999..8800 {
            let x = i as f32 / 100.0;
            let [[got, ..]] = exp::<Portable, 1>([[x; 4]]);
            let want = f64::from(x).exp();
            assert!((f64::from(got) / want - 1.0).abs() < 3e-7, "{x}: {got} {want}");
        }
        assert!(exp::<Portable, 1>([[f32::MIN; 4]])[0][0] < 1e-26);
    }

    #[test]
    fn a_coarse_exp_is_exp_to_four_digits() {
        for i in -5999..=0 {
            let x = i as f32 / 100.0;
            let [[got, ..]] = coarse_exp::<Portable, 1>([[x; 4]]);
            assert!((f64::from(got) / f64::from(x).exp() - 1.0).abs() < 1e-4, "{x}: {got}");
        }
        assert!(coarse_exp::<Portable, 1>([[f32::MIN; 4]])[0][0] < 1e-26);
    }

    #[test]
    fn gelu_is_x_times_the_normal_distribution() {
        // Φ by integrating the density (Simpson), in f64.
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let mut phi = 0.5;
        let step = 1.0 / 1024.0;
        for i in 0..8192 {
            let x = f64::from(i) * step;
            for (x, phi) in [(x, phi), (-x, 1.0 - phi)] {
                let [[got, ..]] = gelu::<Portable, 1>([[x as f32; 4]]);
                assert!((f64::from(got) - x * phi).abs() < 4e-7 * x.abs().max(0.1), "{x}: {got} {}", x * phi);
            }
            phi += step / 6.0 * (density(x) + 4.0 * density(x + step / 2.0) + density(x + step));
        }
    }

    #[test]
    fn softmax_leaves_out_what_is_masked() {
        let scores = [[1.0, 2.0, f32::MIN, 3.0], [0.5, f32::MIN, -1.0, 2.5]];
        for coarse in [false, true] {
            let mut scores = scores;
            let sum = softmax::<Portable>(&mut scores, coarse);
            assert!((scores.iter().flatten().sum::<f32>() - sum).abs() < 1e-6);
            assert!((scores[0][3] - 1.0).abs() <= if coarse { 1e-4 } else { 0.0 });
            assert!(scores[0][2] < 1e-25 && scores[1][1] < 1e-25);
        }
    }
}
