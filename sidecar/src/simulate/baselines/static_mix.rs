//! The best mixture of arms at the budget that looks at no prompt, but knows every arm's true mean.

use super::{Trace, blend};
use crate::simulate::rows::Answer;

pub(super) fn trace(truth: &[Vec<Option<Answer>>], budget: Option<f64>) -> Trace {
    let arms = truth.first().map_or(0, Vec::len);
    let means: Vec<Option<(f64, f64)>> = (0..arms).map(|arm| mean(truth, arm)).collect();
    let weights = weights(&means, budget.unwrap_or(f64::INFINITY));
    truth.iter().map(|row| blend(row, &weights)).collect()
}

/// `(cost, reward)` of one arm over the steps where it is available.
fn mean(truth: &[Vec<Option<Answer>>], arm: usize) -> Option<(f64, f64)> {
    let given: Vec<Answer> = truth.iter().filter_map(|row| row[arm]).collect();
    let n = given.len() as f64;
    let sum = |of: fn(&Answer) -> f64| given.iter().map(of).sum::<f64>();
    (n > 0.0).then(|| (sum(|a| a.cost.unwrap_or(0.0)) / n, sum(|a| a.reward) / n))
}

/// The best point at the budget on the upper concave hull of `(cost, reward)`: an arm within the budget, or two arms
/// on either side of it, mixed so that it is met (a linear program of two constraints has a solution of two arms).
/// If no arm is within the budget, the cheapest.
fn weights(means: &[Option<(f64, f64)>], budget: f64) -> Vec<f64> {
    let open: Vec<(usize, f64, f64)> =
        means.iter().enumerate().filter_map(|(arm, m)| m.map(|(cost, reward)| (arm, cost, reward))).collect();
    let mut mixes: Vec<(f64, Vec<(usize, f64)>)> = Vec::new();
    for &(a, cost_a, reward_a) in open.iter().filter(|(_, cost, _)| *cost <= budget) {
        mixes.push((reward_a, vec![(a, 1.0)]));
        for &(b, cost_b, reward_b) in open.iter().filter(|(_, cost, _)| *cost > budget) {
            let w = (budget - cost_a) / (cost_b - cost_a);
            mixes.push(((1.0 - w) * reward_a + w * reward_b, vec![(a, 1.0 - w), (b, w)]));
        }
    }
    let cheapest = open.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(arm, ..)| vec![(*arm, 1.0)]);
    let best = mixes.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, mix)| mix).or(cheapest);
    let mut weights = vec![0.0; means.len()];
    best.into_iter().flatten().for_each(|(arm, w)| weights[arm] = w);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::sample::table;

    const MEANS: [Option<(f64, f64)>; 4] = [Some((1.0, 0.5)), Some((2.0, 0.55)), Some((5.0, 0.9)), None];

    #[test]
    fn two_arms_meet_the_budget_and_the_arm_below_the_hull_is_not_used() {
        let w = weights(&MEANS, 3.0);
        assert_eq!(w, [0.5, 0.0, 0.5, 0.0]); // .5·.5 + .5·.9 = .7; with the second arm only .667
        assert_eq!(weights(&MEANS, 5.0), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(weights(&MEANS, f64::INFINITY), [0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn below_every_price_the_cheapest_is_taken() {
        assert_eq!(weights(&MEANS, 0.1), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_trace_has_the_mixs_mean() {
        let truth = table(&[[(0.4, 1.0), (1.0, 3.0)], [(0.6, 1.0), (1.0, 5.0)]]);
        let trace: Vec<Answer> = trace(&truth, Some(2.5)).into_iter().flatten().collect();
        let mean = |of: fn(&Answer) -> f64| trace.iter().map(of).sum::<f64>() / 2.0;
        assert!((mean(|a| a.cost.unwrap()) - 2.5).abs() < 1e-12);
        assert!((mean(|a| a.reward) - 0.75).abs() < 1e-12);
    }
}
