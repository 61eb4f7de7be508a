//! A million updates, against the same data summed with compensation (Neumaier 1974) and solved directly.

use super::*;

const K: usize = 16;
const UPDATES: u32 = 1_000_000;

/// A sum and what was lost of it.
#[derive(Clone, Copy, Default)]
struct Compensated(f64, f64);

impl Compensated {
    fn add(&mut self, v: f64) {
        let sum = self.0 + v;
        self.1 += if self.0.abs() >= v.abs() { (self.0 - sum) + v } else { (v - sum) + self.0 };
        self.0 = sum;
    }

    fn value(self) -> f64 {
        self.0 + self.1
    }
}

/// Features as unlike as real ones: a large constant, one that hardly varies, two that nearly say the same.
fn features(next: &mut impl FnMut() -> f64) -> [f32; K] {
    let mut z: [f32; K] = std::array::from_fn(|_| (next() - 0.5) as f32);
    z[0] = 10.0;
    z[1] *= 0.01;
    z[3] = z[2] + 0.05 * z[3];
    z
}

fn theta_after_a_million_updates(forgetting: f64) -> (Vec<f32>, Vec<f64>) {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64* (Vigna 2016)
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        (seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut learner = whole(K, forgetting);
    let mut v = vec![[Compensated::default(); K]; K];
    let mut b = [Compensated::default(); K];
    for i in 0..UPDATES {
        let x = context(&features(&mut next));
        let z: Vec<f64> = x.values().iter().map(|v| f64::from(*v)).collect();
        let reward = 0.5 + z[1] * 3.0 + z[2] - z[3] + 0.3 * (next() - 0.5);
        observe(&mut learner, A, &x, reward, None);
        let weight = libm::pow(forgetting, f64::from(UPDATES - 1 - i));
        if weight > 1e-30 {
            for r in 0..K {
                for c in 0..=r {
                    v[r][c].add(weight * z[r] * z[c]);
                }
                b[r].add(weight * reward * z[r]);
            }
        }
    }
    let element = |r: usize, c: usize| v[r.max(c)][r.min(c)].value() + LEARNER.ridge * f64::from(r == c);
    let a = (0..K).map(|r| (0..K).map(|c| element(r, c)).collect()).collect();
    (alone(&learner).theta, solve_dense(a, b.map(Compensated::value).to_vec()))
}

#[test]
fn a_million_updates_leave_theta_where_a_direct_solution_has_it() {
    for forgetting in [1.0, 0.9995] {
        let (got, want) = theta_after_a_million_updates(forgetting);
        for (got, want) in got.iter().zip(&want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} instead of {want} (γ = {forgetting})");
        }
    }
}
