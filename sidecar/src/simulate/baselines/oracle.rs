//! The best choice for every prompt under the budget, knowing every answer: the upper end of what can be had.

use super::Trace;
use crate::simulate::rows::Answer;

/// Halvings of the interval around λ: as many as a double has bits.
const HALVINGS: u32 = 64;

/// Maximises the mean reward subject to the budget by its Lagrangian: each prompt takes `argmax r − λc`, with λ by
/// bisection. Between the choices just above and just below the budget the trace is their mix that meets it, the
/// optimum of the linear relaxation. If even the cheapest choices are above the budget, those.
pub(super) fn trace(truth: &[Vec<Option<Answer>>], budget: Option<f64>) -> Trace {
    let free = choose(truth, 0.0);
    let Some(budget) = budget else { return free };
    if mean_cost(&free) <= budget {
        return free;
    }
    let mut dear = (0.0, free);
    let mut cheap = (1.0, choose(truth, 1.0));
    while mean_cost(&cheap.1) > budget {
        if !(cheap.0 * 2.0_f64).is_finite() {
            return choose(truth, f64::INFINITY);
        }
        dear = cheap;
        cheap = (dear.0 * 2.0, choose(truth, dear.0 * 2.0));
    }
    for _ in 0..HALVINGS {
        let middle = (dear.0 + cheap.0) / 2.0;
        let choices = choose(truth, middle);
        let side = if mean_cost(&choices) > budget { &mut dear } else { &mut cheap };
        *side = (middle, choices);
    }
    let (above, below) = (mean_cost(&dear.1), mean_cost(&cheap.1));
    mix(&cheap.1, &dear.1, (budget - below) / (above - below))
}

fn choose(truth: &[Vec<Option<Answer>>], lambda: f64) -> Trace {
    let cost = |a: &Answer| a.cost.unwrap_or(0.0);
    let value = |a: &Answer| if lambda.is_finite() { a.reward - lambda * cost(a) } else { -cost(a) };
    // Of equal values the cheaper.
    let best = |row: &Vec<Option<Answer>>| {
        row.iter()
            .flatten()
            .copied()
            .max_by(|a, b| value(a).total_cmp(&value(b)).then(cost(b).total_cmp(&cost(a))))
    };
    truth.iter().map(best).collect()
}

fn mean_cost(trace: &Trace) -> f64 {
    let costs = trace.iter().flatten().map(|a| a.cost.unwrap_or(0.0));
    costs.sum::<f64>() / trace.len().max(1) as f64
}

/// `(1 − w)·a + w·b`, step by step.
fn mix(a: &Trace, b: &Trace, w: f64) -> Trace {
    let between = |a: f64, b: f64| a + w * (b - a);
    let one = |(a, b): (&Option<Answer>, &Option<Answer>)| {
        let (a, b) = ((*a)?, (*b)?);
        let cost = a.cost.zip(b.cost).map(|(a, b)| between(a, b));
        Some(Answer { reward: between(a.reward, b.reward), cost })
    };
    a.iter().zip(b).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::sample::table;

    fn means(budget: Option<f64>) -> (f64, f64) {
        // Gains of the dear arm per dollar: .9/2, .4/2, 0.
        let rows = [[(0.1, 1.0), (1.0, 3.0)], [(0.5, 1.0), (0.9, 3.0)], [(1.0, 1.0), (1.0, 3.0)]];
        let trace = trace(&table(&rows), budget);
        let reward: f64 = trace.iter().flatten().map(|a| a.reward).sum();
        (reward / 3.0, mean_cost(&trace))
    }

    fn close(got: (f64, f64), reward: f64, cost: f64) {
        assert!((got.0 - reward).abs() < 1e-9 && (got.1 - cost).abs() < 1e-9, "{got:?}");
    }

    #[test]
    fn without_a_budget_it_takes_the_best_and_of_equals_the_cheaper() {
        close(means(None), 2.9 / 3.0, 7.0 / 3.0);
    }

    #[test]
    fn a_budget_buys_the_greatest_gains_per_dollar_first() {
        close(means(Some(5.0 / 3.0)), 2.5 / 3.0, 5.0 / 3.0);
        // Half of the second gain.
        close(means(Some(2.0)), 2.7 / 3.0, 2.0);
    }

    #[test]
    fn below_every_cost_it_is_as_cheap_as_can_be() {
        close(means(Some(0.5)), 1.6 / 3.0, 1.0);
    }
}
