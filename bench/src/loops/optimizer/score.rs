//! Models' scores, where what each model earns is known.

use dragoman_core::config::OptimizerConfig;
use dragoman_core::optimizer::{Dial, Draw, Evidence, Knob, Rewarded};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Report, normal, over};
use super::trace::{Trace, heading, tell};
use super::{NOISE, SEEDS, turned};

/// Mean rewards of three models on two sorts of prompts, after so many records.
type Means = fn(u64) -> [[f64; 2]; 3];

const WORLDS: [(&str, Means, u64); 3] = [
    ("apart", |_| [[0.7, 0.6], [0.5, 0.2], [-0.2, 0.0]], 30_000),
    ("each best at one sort", |_| [[0.8, 0.1], [0.2, 0.7], [0.3, 0.3]], 30_000),
    (
        "the last improves",
        |n| [[0.6, 0.5], [0.4, 0.3], if n < 20_000 { [0.0, -0.2] } else { [0.7, 0.8] }],
        60_000,
    ),
];

pub(super) fn run(report: &mut Report, from: u64) {
    heading(report, "models' scores, 5 % explored");
    for (name, means, records) in WORLDS {
        let traces: Vec<Trace> =
            over(from, SEEDS, |seed| score(means, records, seed)).into_iter().flatten().collect();
        tell(report, name, &traces, [0.3, 1.0]);
    }
    report.line("");
}

/// A policy that knows what is best of each sort, and explores one prompt of 20.
fn score(means: Means, records: u64, seed: u64) -> Vec<Trace> {
    const EPSILON: f64 = 0.05;
    let (mut rng, config) = (ChaCha8Rng::seed_from_u64(seed), OptimizerConfig::default());
    let mut draws: Vec<(u64, usize, Draw)> = Vec::new();
    let (mut values, mut traces) = ([1.0; 3], [(); 3].map(|()| Trace(vec![])));
    for n in 1..=records {
        let (means, sort) = (means(n), usize::from(rng.random::<f64>() < 0.4));
        let best = (0..3).max_by(|a, b| means[*a][sort].total_cmp(&means[*b][sort])).unwrap_or(0);
        let explored = rng.random::<f64>() < EPSILON;
        let model = if explored { (best + 1 + usize::from(rng.random::<bool>())) % 3 } else { best };
        let propensity = if explored { EPSILON / 2.0 } else { 1.0 - EPSILON };
        let reward = means[model][sort] + normal(&mut rng) * NOISE;
        draws.push((n, model, Draw { propensity, got: Rewarded { reward, weight: 1.0 } }));
        if !n.is_multiple_of(config.every) {
            continue;
        }
        for (model, (value, trace)) in values.iter_mut().zip(&mut traces).enumerate() {
            let own = draws.iter().rev().take(config.window).filter(|(_, m, _)| *m == model).map(
                |(at, _, draw)| {
                    let weight = (-((n - at) as f64) / config.half_life).exp2();
                    Draw { got: Rewarded { weight, ..draw.got }, ..*draw }
                },
            );
            let knob = Knob::Score { decision: "d".into(), model: model.to_string() };
            let evidence = Evidence::Score(own.collect());
            *value = turned(Dial { knob, configured: 1.0, value: *value, evidence }, &config);
            let mean = 0.6 * means[model][0] + 0.4 * means[model][1];
            trace.0.push((*value, 0.3 + 0.7 * (mean + 1.0) / 2.0));
        }
    }
    traces.into()
}
