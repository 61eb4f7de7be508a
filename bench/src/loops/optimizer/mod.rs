//! The signal optimizer in worlds where the best value of every knob is known.
//!
//! Rewards have a standard deviation of 0.3; a record comes every second; the optimizer is the shipped one with its
//! default configuration: a step every 500 records on the newest 30,000, every proposal promoted. A knob has reached its
//! optimum if in every seed its mean over the last quarter of the looks is within 5 % of the optimum's (of its value,
//! not of the knob's range, which would be easier for scores). Told beside: when it was first that near, the worst single
//! look later than that, and the mean distance over the second half.

mod others;
mod play;
mod score;
mod threshold;
mod trace;

use dragoman_core::config::OptimizerConfig;
use dragoman_core::optimizer::{Dial, step};

use super::Report;

/// Seeds of each world.
const SEEDS: usize = 20;
/// Standard deviation of a reward.
const NOISE: f64 = 0.3;

pub(super) fn run(report: &mut Report, from: u64) {
    threshold::run(report, from);
    score::run(report, from);
    others::run(report, from);
}

/// The dial's value after a step.
fn turned(dial: Dial, config: &OptimizerConfig) -> f64 {
    let value = dial.value;
    step(&[dial], config).first().map_or(value, |change| change.after)
}
