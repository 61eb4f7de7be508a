#![allow(clippy::needless_range_loop, reason = "matrix algebra reads best with its indices")]

use proptest::prelude::*;

use super::*;
use crate::policy::ArmParams;

fn learner(k: usize, forgetting: f64) -> Learner {
    let identity: Vec<f32> = (0..k * k).map(|i| if i / k == i % k { 1.0 } else { 0.0 }).collect();
    let config =
        LearnerConfig { dimensions: k, ridge: 1.0, forgetting, publish_ms: 1000, batch_seconds: 900 };
    Learner::new(config, Projection::new(k, k, identity).unwrap())
}

fn context(z: &[f32]) -> Context {
    let bytes: Vec<u8> = z.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    Context::from_bytes(&bytes).unwrap()
}

/// Gaussian elimination, an independent solver to compare with.
fn solve_dense(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs())).unwrap();
        a.swap(i, pivot);
        b.swap(i, pivot);
        for r in i + 1..n {
            let f = a[r][i] / a[i][i];
            for c in i..n {
                a[r][c] -= f * a[i][c];
            }
            b[r] -= f * b[i];
        }
    }
    for i in (0..n).rev() {
        let tail: f64 = (i + 1..n).map(|c| a[i][c] * b[c]).sum();
        b[i] = (b[i] - tail) / a[i][i];
    }
    b
}

fn observations() -> impl Strategy<Value = Vec<(Vec<f32>, f64)>> {
    prop::collection::vec((prop::collection::vec(-1f32..1.0, 5), -1f64..1.0), 1..60)
}

proptest! {
    #[test]
    fn theta_is_the_ridge_solution(rows in observations()) {
        let mut learner = learner(5, 1.0);
        let mut a: Vec<Vec<f64>> = (0..5).map(|i| (0..5).map(|j| f64::from(i == j)).collect()).collect();
        let mut b = vec![0.0; 5];
        for (z, r) in &rows {
            let x = context(z);
            learner.observe("a", &x, *r, None);
            for i in 0..5 {
                for j in 0..5 {
                    a[i][j] += f64::from(x.values()[i]) * f64::from(x.values()[j]);
                }
                b[i] += f64::from(x.values()[i]) * r;
            }
        }
        let theta = learner.params("a").unwrap().theta;
        for (got, want) in theta.iter().zip(solve_dense(a, b)) {
            prop_assert!((f64::from(*got) - want).abs() < 1e-5, "{got} {want}");
        }
    }

    #[test]
    fn the_factor_gives_the_width_of_the_inverse(rows in observations(), probe in prop::collection::vec(-1f32..1.0, 5)) {
        let mut learner = learner(5, 1.0);
        let mut a: Vec<Vec<f64>> = (0..5).map(|i| (0..5).map(|j| f64::from(i == j)).collect()).collect();
        for (z, r) in &rows {
            let x = context(z);
            learner.observe("a", &x, *r, None);
            for i in 0..5 {
                for j in 0..5 {
                    a[i][j] += f64::from(x.values()[i]) * f64::from(x.values()[j]);
                }
            }
        }
        let params = learner.params("a").unwrap();
        let arm = ArmParams { theta: &params.theta, length: &params.length, factor: &params.factor };
        let want: f64 = solve_dense(a, probe.iter().map(|v| f64::from(*v)).collect())
            .iter().zip(&probe).map(|(s, p)| s * f64::from(*p)).sum();
        let got = f64::from(arm.score(&probe).width);
        prop_assert!((got - want.sqrt()).abs() < 1e-4, "{got} {}", want.sqrt());
    }

    #[test]
    fn a_revision_equals_having_known_the_reward_from_the_start(rows in observations(), delta in -1f64..1.0) {
        let (mut late, mut early) = (learner(5, 0.99), learner(5, 0.99));
        for (i, (z, r)) in rows.iter().enumerate() {
            late.observe("a", &context(z), *r, None);
            early.observe("a", &context(z), if i == 0 { r + delta } else { *r }, None);
        }
        late.revise("a", &context(&rows[0].0), 1, delta);
        let (late, early) = (late.params("a").unwrap(), early.params("a").unwrap());
        for (l, e) in late.theta.iter().zip(&early.theta) {
            prop_assert!((l - e).abs() < 1e-5);
        }
    }

    #[test]
    fn the_same_observations_in_the_same_order_give_the_same_bits(rows in observations()) {
        let run = || {
            let mut learner = learner(5, 0.999);
            for (z, r) in &rows {
                learner.observe("a", &context(z), *r, Some(100));
            }
            learner.params("a").unwrap()
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn a_route_never_seen_has_the_prior() {
    let params = learner(3, 1.0).params("new").unwrap();
    assert_eq!(params.theta, [0.0; 3]);
    let arm = ArmParams { theta: &params.theta, length: &params.length, factor: &params.factor };
    assert_eq!(arm.score(&[2.0, 3.0, 6.0]).width, 7.0, "V is the ridge alone");
}

#[test]
fn a_context_of_another_size_or_a_reward_that_is_no_number_teaches_nothing() {
    let mut learner = learner(3, 1.0);
    assert!(!learner.observe("a", &context(&[1.0; 4]), 1.0, None));
    assert!(!learner.observe("a", &context(&[1.0; 3]), f64::NAN, None));
    assert_eq!(learner.observations("a"), 0);
}

#[test]
fn the_output_length_is_learned_and_capped() {
    let mut learner = learner(1, 1.0);
    for _ in 0..2000 {
        learner.observe("a", &context(&[1.0]), 1.0, Some(1000));
    }
    let length = learner.params("a").unwrap().length[0];
    assert!((completion_tokens(length, 10_000) - 1000.0).abs() < 5.0);
    assert_eq!(completion_tokens(length, 64), 64.0);
    assert_eq!(PRIOR_LENGTH, libm::log1p(PRIOR_COMPLETION_TOKENS));
    assert!((completion_tokens(0.0, 10_000) - PRIOR_COMPLETION_TOKENS).abs() < 1e-9);
}
