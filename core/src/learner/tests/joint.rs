//! The hierarchical solution against the model written down: all routes in one dense system.

use super::*;
use crate::learner::solve::together;

const K: usize = 3;
const ROUTES: usize = 4;

/// Prior precision of one number of every route: the inverse of `G/ridge` with `G = ρ + (1 − ρ)δ`.
fn prior_precision(ridge: f64, sharing: f64) -> Vec<Vec<f64>> {
    let g: Vec<Vec<f64>> = (0..ROUTES)
        .map(|a| (0..ROUTES).map(|b| sharing + if a == b { 1.0 - sharing } else { 0.0 }).collect())
        .collect();
    let unit = |a: usize| (0..ROUTES).map(|b| if a == b { ridge } else { 0.0 }).collect();
    (0..ROUTES).map(|a| solve_dense(g.clone(), unit(a))).collect()
}

/// The posterior precision of all weights of all routes, `[(ROUTES·K)²]`.
fn precision(arms: &[ArmStats], ridge: f64, sharing: f64) -> Vec<Vec<f64>> {
    let prior = prior_precision(ridge, sharing);
    let v = |a: usize, i: usize, j: usize| arms[a].v[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)];
    let element = |row: usize, column: usize| {
        let ((a, i), (b, j)) = ((row / K, row % K), (column / K, column % K));
        let seen = if a == b { v(a, i, j) } else { 0.0 };
        seen + if i == j { prior[a][b] } else { 0.0 }
    };
    (0..ROUTES * K).map(|r| (0..ROUTES * K).map(|c| element(r, c)).collect()).collect()
}

/// Route 3 is never seen; the others differ in how much was.
fn arms(rows: &[(Vec<f32>, f64)]) -> Vec<ArmStats> {
    let mut arms = vec![ArmStats::new(K); ROUTES];
    for (i, (z, reward)) in rows.iter().enumerate() {
        let z: Vec<f64> = z.iter().take(K).map(|v| f64::from(*v)).collect();
        arms[[0, 1, 1, 2, 2, 2][i % 6]].observe(&z, *reward, 2.0 * reward - 0.3, 0.98);
    }
    arms
}

proptest! {
    #[test]
    fn sharing_is_the_joint_posterior_of_all_routes(
        rows in observations(), ridge in 0.1f64..10.0, sharing in prop_oneof![Just(0.0), 0.05f64..0.95],
    ) {
        let arms = arms(&rows);
        let borrowed: Vec<&ArmStats> = arms.iter().collect();
        let got = together(&borrowed, K, ridge, sharing).unwrap();
        let precision = precision(&arms, ridge, sharing);
        let stacked = |of: fn(&ArmStats) -> &[f64]| arms.iter().flat_map(of).copied().collect::<Vec<f64>>();
        let theta = solve_dense(precision.clone(), stacked(|a| &a.reward));
        let length = solve_dense(precision.clone(), stacked(|a| &a.length));
        for (a, params) in got.iter().enumerate() {
            for i in 0..K {
                prop_assert!((f64::from(params.theta[i]) - theta[a * K + i]).abs() < 1e-5);
                // The last number also takes up the mean of the logarithm's exponential.
                let corrected = if i + 1 < K { 0.0 } else { 10.0 };
                prop_assert!((f64::from(params.length[i]) - length[a * K + i]).abs() < 1e-5 + corrected);
            }
        }
        for (a, params) in got.iter().enumerate() {
            let variance = |z: [f64; K]| {
                let mut probe = vec![0.0; ROUTES * K];
                probe[a * K..(a + 1) * K].copy_from_slice(&z);
                solve_dense(precision.clone(), probe.clone()).iter().zip(&probe).map(|(s, p)| s * p).sum::<f64>()
            };
            let width = |z: [f64; K]| f64::from(params.params().score(&z.map(|v| v as f32)).width);
            // One scale, the route's noise, for all directions.
            let noise = width([1.0, 0.0, 0.0]).powi(2) / variance([1.0, 0.0, 0.0]);
            for z in [[0.0, 1.0, 0.0], [0.3, -0.5, 0.8], [1.0, 1.0, 1.0]] {
                let (got, want) = (width(z).powi(2), noise * variance(z));
                prop_assert!((got / want - 1.0).abs() < 1e-3, "{got} {want}");
            }
        }
    }
}

#[test]
fn sums_that_are_not_finite_give_no_parameters() {
    let mut arm = ArmStats::new(K);
    arm.observe(&[f64::INFINITY, 0.0, 0.0], 1.0, 0.0, 1.0);
    assert_eq!(together(&[&arm], K, 1.0, 0.5), None);
}
