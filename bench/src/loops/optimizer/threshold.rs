//! Thresholds of one rule, each in a world that has its optimum.

use std::f64::consts::TAU;

use dragoman_core::optimizer::Seen;
use dragoman_core::signals::Signals;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Report, normal, over};
use super::play::{World, routing, threshold_of};
use super::trace::{Trace, heading, tell};
use super::{NOISE, SEEDS};

/// The optimum after so many records.
type Truth = fn(u64) -> f64;

/// How much better the rule is than what comes after it, at its best.
struct Row {
    name: &'static str,
    start: f64,
    optimum: Truth,
    /// Difference of mean rewards far above the optimum (and, negative, far below).
    gain: f64,
    records: u64,
}

const fn row(name: &'static str, start: f64, optimum: Truth) -> Row {
    Row { name, start, optimum, gain: 0.3, records: 120_000 }
}

const ROWS: [Row; 8] = [
    row("0.55 -> 0.70", 0.55, |_| 0.70),
    row("0.90 -> 0.62", 0.90, |_| 0.62),
    row("0.50 -> 0.85", 0.50, |_| 0.85),
    Row { gain: 0.15, ..row("weak, 0.55 -> 0.70", 0.55, |_| 0.70) },
    Row { gain: 0.0, ..row("always better -> 0.50", 0.75, |_| 0.50) },
    row("at its optimum, 0.70", 0.70, |_| 0.70),
    row("jumps 0.62 -> 0.80", 0.62, |n| if n < 20_000 { 0.62 } else { 0.80 }),
    Row {
        records: 150_000,
        ..row("drifts 0.65..0.80", 0.70, |n| 0.725 + 0.075 * (TAU * n as f64 / 100_000.0).sin())
    },
];

pub(super) fn run(report: &mut Report, from: u64) {
    heading(report, "threshold of one rule");
    for row in &ROWS {
        tell(report, row.name, &over(from, SEEDS, |seed| threshold(row, seed)), [0.5, 0.95]);
    }
    report.line("");
}

fn threshold(row: &Row, seed: u64) -> Trace {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let configured = routing(row.start);
    let mut world = World::default();
    world.play(row.records, &configured, |n, now| {
        // Most prompts have little of the signal, the others are spread.
        let spread: f64 = rng.random();
        let code = if rng.random::<f64>() < 0.4 { 0.4 * spread } else { spread };
        let signals = Signals { code: code as f32, ..Default::default() };
        let rule = code as f32 > threshold_of(now);
        let (optimum, steady) = ((row.optimum)(n), if row.gain == 0.0 { 0.2 } else { 0.0 });
        let better = steady + row.gain * ((code - optimum) / 0.25).tanh();
        // What is more code is harder for both.
        let mean = 0.6 - 0.2 * code + if rule { better } else { 0.0 };
        let decision = Some(if rule { "code" } else { "rest" }.to_owned());
        Seen { decision, signals, reward: mean + normal(&mut rng) * NOISE, tried: None }
    });
    Trace(world.values.iter().map(|(n, now)| (f64::from(threshold_of(now)), (row.optimum)(*n))).collect())
}
