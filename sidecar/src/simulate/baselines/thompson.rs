//! Thompson sampling that looks at no prompt: a Beta posterior for each arm's mean reward (Agrawal & Goyal 2012,
//! "Analysis of Thompson sampling for the multi-armed bandit problem"), with the router's own kind of feedback.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use crate::simulate::encode::Prompt;
use crate::simulate::replay::{Choice, Chooser, Observed, Use, random};

/// Step of the dual ascent on λ for one request to the dearest arm; smaller for the others, as their cost is.
const STEP: f64 = 0.05;

/// One arm: rewards in 0..1 count as that share of a success.
#[derive(Debug, Clone, Copy)]
struct Arm {
    successes: f64,
    failures: f64,
    /// Sums at the base price.
    cost: f64,
    paid: f64,
    price: f64,
    present: bool,
}

pub(super) struct Thompson {
    arms: Vec<Arm>,
    budget: Option<f64>,
    /// Reward that one budget's worth of dollars must buy.
    lambda: f64,
    rng: ChaCha8Rng,
}

impl Thompson {
    pub(super) fn new(arms: usize, budget: Option<f64>, seed: u64) -> Self {
        let arm = Arm { successes: 1.0, failures: 1.0, cost: 0.0, paid: 0.0, price: 1.0, present: true };
        Self { arms: vec![arm; arms], budget, lambda: 0.0, rng: random(seed, Use::Thompson) }
    }
}

impl Arm {
    fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        Beta::new(self.successes, self.failures).map_or(0.5, |beta| beta.sample(rng))
    }

    /// Mean dollars of a request at the price of now; nothing while nothing is known.
    fn mean_cost(&self) -> f64 {
        self.price * self.cost / self.paid.max(1.0)
    }
}

impl Chooser for Thompson {
    fn decide(&mut self, _: &Prompt, offered: &[bool], _: f64) -> Choice {
        let dollars = self.lambda / self.budget.unwrap_or(1.0);
        let mut best = (f64::NEG_INFINITY, 0);
        for (i, arm) in self.arms.iter().enumerate() {
            // Drawn for all, so that the numbers of one arm do not depend on the others' presence.
            let value = arm.draw(&mut self.rng) - dollars * arm.mean_cost();
            if offered[i] && arm.present && value > best.0 {
                best = (value, i);
            }
        }
        Choice { arm: best.1, ..Choice::default() }
    }

    fn learn(&mut self, _: &Prompt, observed: &Observed) {
        let arm = &mut self.arms[observed.arm];
        arm.successes += observed.reward;
        arm.failures += 1.0 - observed.reward;
        if let Some(cost) = observed.base_cost {
            arm.cost += cost;
            arm.paid += 1.0;
        }
        if let (Some(budget), Some(cost)) = (self.budget, observed.cost) {
            let dearest = self.arms.iter().map(Arm::mean_cost).fold(budget, f64::max);
            self.lambda = (self.lambda + STEP * (cost - budget) / dearest).max(0.0);
        }
    }

    fn set_price(&mut self, arm: usize, factor: f64) {
        self.arms[arm].price *= factor;
    }

    fn add_arm(&mut self, arm: usize) {
        self.arms[arm].present = true;
    }

    fn remove_arm(&mut self, arm: usize) {
        self.arms[arm].present = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::replay::Feedback;
    use crate::simulate::sample::{prompts, scored, table};

    const FEEDBACK: Feedback = Feedback { frozen: false, delay: 0, poison: 0.0, poisoned: None };

    fn play(budget: Option<f64>) -> (f64, f64) {
        let answers = table(&vec![[(0.4, 1.0), (0.8, 10.0)]; 2000]);
        let prompts = prompts(2000);
        let log = scored(&prompts, &answers).play(&mut Thompson::new(2, budget, 1), FEEDBACK, 1);
        let n = log.len() as f64;
        let mean = |of: fn(&crate::simulate::replay::Step) -> f64| log.iter().map(of).sum::<f64>() / n;
        (mean(|s| s.got.reward), mean(|s| s.got.cost.unwrap_or(0.0)))
    }

    #[test]
    fn it_finds_the_better_arm() {
        assert!(play(None).0 > 0.78);
    }

    #[test]
    fn it_spends_about_its_budget() {
        let (reward, cost) = play(Some(4.0));
        assert!((3.5..4.4).contains(&cost) && reward > 0.5, "{reward} {cost}");
    }
}
