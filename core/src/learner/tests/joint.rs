//! The hierarchical solution against the model written down: all routes in one dense system.

use super::*;
use crate::learner::cholesky::packed;
use crate::learner::hierarchy::Hierarchy;
use crate::learner::solve::together;

const K: usize = 3;
const ROUTES: usize = 4;

/// What is expected of a decision's routes.
#[derive(Debug, Clone)]
struct Expected {
    ridge: f64,
    sharing: f64,
    slopes: Vec<f64>,
}

fn expected() -> impl Strategy<Value = Expected> {
    let sharing = prop_oneof![Just(0.0), 0.05f64..0.95];
    (0.1f64..10.0, sharing, prop::collection::vec(0.2f64..2.0, ROUTES))
        .prop_map(|(ridge, sharing, slopes)| Expected { ridge, sharing, slopes })
}

impl Expected {
    /// `G/ridge` of feature `i` between two routes, `G = ρwwᵀ + (1 − ρ)I`; the constant feature has no slopes.
    fn prior(&self, i: usize, a: usize, b: usize) -> f64 {
        let slope = |route: usize| if i + 1 == K { 1.0 } else { self.slopes[route] };
        let own = if a == b { 1.0 - self.sharing } else { 0.0 };
        (self.sharing * slope(a) * slope(b) + own) / self.ridge
    }

    /// Its inverse over the routes, `[ROUTES × ROUTES]`.
    fn prior_precision(&self, i: usize) -> Vec<Vec<f64>> {
        let g: Vec<Vec<f64>> =
            (0..ROUTES).map(|a| (0..ROUTES).map(|b| self.prior(i, a, b)).collect()).collect();
        let unit = |a: usize| (0..ROUTES).map(|b| if a == b { 1.0 } else { 0.0 }).collect();
        (0..ROUTES).map(|a| solve_dense(g.clone(), unit(a))).collect()
    }

    /// The posterior precision of all weights of all routes, `[(ROUTES·K)²]`; without observations, the prior one.
    fn precision(&self, arms: &[ArmStats]) -> Vec<Vec<f64>> {
        let prior: Vec<_> = (0..K).map(|i| self.prior_precision(i)).collect();
        let element = |row: usize, column: usize| {
            let ((a, i), (b, j)) = ((row / K, row % K), (column / K, column % K));
            let seen = if a == b { arms[a].v[packed(i, j)] } else { 0.0 };
            seen + if i == j { prior[i][a][b] } else { 0.0 }
        };
        (0..ROUTES * K).map(|r| (0..ROUTES * K).map(|c| element(r, c)).collect()).collect()
    }

    fn hierarchy(&self, arms: &[&ArmStats]) -> Hierarchy {
        Hierarchy::of(arms, K, self.ridge, self.sharing, self.slopes.clone()).unwrap()
    }
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

/// ln|A| by elimination without exchanges, which a positive definite A does not need.
fn log_determinant(mut a: Vec<Vec<f64>>) -> f64 {
    let n = a.len();
    for i in 0..n {
        for r in i + 1..n {
            let f = a[r][i] / a[i][i];
            for c in i..n {
                a[r][c] -= f * a[i][c];
            }
        }
    }
    (0..n).map(|i| a[i][i].ln()).sum()
}

fn stacked(arms: &[ArmStats], of: fn(&ArmStats) -> &[f64]) -> Vec<f64> {
    arms.iter().flat_map(of).copied().collect()
}

proptest! {
    #[test]
    fn weights_and_covariances_are_the_joint_posterior_of_all_routes(
        rows in observations(), expected in expected(),
    ) {
        let arms = arms(&rows);
        let borrowed: Vec<&ArmStats> = arms.iter().collect();
        let hierarchy = expected.hierarchy(&borrowed);
        let precision = expected.precision(&arms);
        let targets: [fn(&ArmStats) -> &[f64]; 2] = [|a| &a.reward, |a| &a.length];
        for target in targets {
            let want = solve_dense(precision.clone(), stacked(&arms, target));
            let got = hierarchy.weights(&borrowed, target).concat();
            prop_assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?} {want:?}");
        }
        for (a, covariance) in hierarchy.covariances().iter().enumerate() {
            for i in 0..K {
                let mut unit = vec![0.0; ROUTES * K];
                unit[a * K + i] = 1.0;
                let want = solve_dense(precision.clone(), unit);
                for j in 0..K {
                    prop_assert!((covariance[packed(i, j)] - want[a * K + j]).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn evidence_is_what_the_joint_prior_makes_of_the_rewards(rows in observations(), expected in expected()) {
        let arms = arms(&rows);
        let borrowed: Vec<&ArmStats> = arms.iter().collect();
        let precision = expected.precision(&arms);
        let b = stacked(&arms, |a| &a.reward);
        let fit: f64 = solve_dense(precision.clone(), b.clone()).iter().zip(&b).map(|(t, b)| t * b).sum();
        let (weight, squares): (f64, f64) =
            arms.iter().map(|a| (a.weight, a.reward_square)).fold((0.0, 0.0), |s, a| (s.0 + a.0, s.1 + a.1));
        let variance = ((squares - fit) / weight.max(1.0)).max(1e-4);
        let none = vec![ArmStats::new(K); ROUTES];
        let volume = log_determinant(precision) - log_determinant(expected.precision(&none));
        let want = -0.5 * (weight * variance.ln() + volume);
        let got = expected.hierarchy(&borrowed).evidence(&borrowed);
        prop_assert!((got - want).abs() < 1e-5 * (1.0 + want.abs()), "{got} {want}");
    }

    #[test]
    fn a_width_is_the_deviation_of_the_covariance_at_the_routes_noise(
        rows in observations(), ridge in 0.1f64..10.0,
    ) {
        let arms = arms(&rows);
        let borrowed: Vec<&ArmStats> = arms.iter().collect();
        let got = together(&borrowed, K, ridge, 0.0).unwrap();
        let usual = Expected { ridge, sharing: 0.0, slopes: vec![1.0; ROUTES] };
        for (params, covariance) in got.iter().zip(usual.hierarchy(&borrowed).covariances()) {
            let variance = |z: [f64; K]| {
                let pairs = (0..K).flat_map(|i| (0..K).map(move |j| (i, j)));
                pairs.map(|(i, j)| z[i] * z[j] * covariance[packed(i, j)]).sum::<f64>()
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
    assert_eq!(together(&[&arm, &ArmStats::new(K)], K, 1.0, 0.5), None);
}
