//! Keywords' weights, aggregations and priorities, where it is known which is best.

use std::f64::consts::TAU;

use dragoman_core::config::OptimizerConfig;
use dragoman_core::optimizer::{Both, Dial, Evidence, Knob, Rewarded, Seen, step};
use dragoman_core::signals::Signals;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Report, normal, over};
use super::play::{World, routing, threshold_of};
use super::trace::{Trace, heading, tell};
use super::{NOISE, SEEDS, turned};

pub(super) fn run(report: &mut Report, from: u64) {
    heading(report, "keywords' weights");
    // Differences of means that a keyword's prompts have from the others', by the standard deviation of both.
    for (name, apart) in [("telling nothing", 0.0), ("telling something", 0.5), ("misleading", -0.4)] {
        tell(report, name, &over(from, SEEDS, |seed| keyword(apart, seed)), [0.05, 0.95]);
    }
    report.line("");
    let config = OptimizerConfig::default();
    let switched = |mean_counts: bool| {
        let turned = over(from, SEEDS, |seed| aggregation(mean_counts, seed, &config) == Some(1.0));
        turned.into_iter().filter(|turned| *turned).count()
    };
    report.line(&format!(
        "aggregation: of {SEEDS} seeds {} take the mean where it counts, {} where the maximum does",
        switched(true),
        switched(false)
    ));
    report.goal(switched(true) == SEEDS && switched(false) == 0, "every aggregation is the one that counts");
    let risen = |better: f64| {
        over(from, SEEDS, |seed| priority(better, seed)).into_iter().filter(|risen| *risen).count()
    };
    let counts = [0.1, 0.0, -0.1].map(risen);
    report.line(&format!(
        "priority: of {SEEDS} seeds the lower of two decisions comes to decide in {} where it earns 0.1 more, in {} where \
         both earn the same, in {} where it earns 0.1 less",
        counts[0], counts[1], counts[2]
    ));
    report.goal(counts[0] == SEEDS && counts[2] == 0, "the better of two decisions decides");
}

fn keyword(apart: f64, seed: u64) -> Trace {
    let (mut rng, config) = (ChaCha8Rng::seed_from_u64(seed), OptimizerConfig::default());
    let mut prompts: Vec<(u64, bool, f64)> = Vec::new();
    let (mut value, mut trace) = (0.5, Trace(vec![]));
    // Both are normal, so the odds that one beats the other are Φ(difference / √2 standard deviations).
    let truth = normal_cdf(apart / 2f64.sqrt());
    for n in 1..=30_000 {
        let hit = rng.random::<f64>() < 0.1;
        let shift = if hit { apart * NOISE } else { 0.0 };
        prompts.push((n, hit, 0.4 + shift + normal(&mut rng) * NOISE));
        if !n.is_multiple_of(config.every) {
            continue;
        }
        let newest = || prompts.iter().rev().take(config.window);
        let of = |wanted: bool| -> Vec<Rewarded> {
            let all = newest().filter(|(_, hit, _)| *hit == wanted);
            let weight = |at: u64| (-((n - at) as f64) / config.half_life).exp2();
            all.map(|(at, _, reward)| Rewarded { reward: *reward, weight: weight(*at) }).collect()
        };
        let knob = Knob::Keyword { rule: "r".into(), keyword: "k".into() };
        let evidence = Evidence::Keyword { hits: of(true), others: of(false) };
        value = turned(Dial { knob, configured: 0.5, value, evidence }, &config);
        trace.0.push((value, truth));
    }
    trace
}

/// What an aggregation that starts as the maximum is turned to on 20,000 prompts.
fn aggregation(mean_counts: bool, seed: u64, config: &OptimizerConfig) -> Option<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let prompts = (0..config.window).map(|_| {
        // The two aggregates of the same similarities go together.
        let common = rng.random::<f64>();
        let [max, mean] =
            [0.2 + 0.6 * common + 0.2 * rng.random::<f64>(), 0.6 * common + 0.2 * rng.random::<f64>()];
        let above = max > 0.6;
        let counts = if mean_counts { mean + 0.2 } else { max };
        let reward = if above { counts } else { 0.6 } + normal(&mut rng) * NOISE;
        Both { max, mean, above, got: Rewarded { reward, weight: 1.0 } }
    });
    let knob = Knob::Aggregation { rule: "r".into() };
    let dial = Dial { knob, configured: 0.0, value: 0.0, evidence: Evidence::Aggregation(prompts.collect()) };
    step(&[dial], config).first().map(|change| change.after)
}

/// Whether `hard` comes to decide where `code` holds too, if it earns so much more of every prompt.
fn priority(better: f64, seed: u64) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let configured = routing(0.6);
    let mut world = World::default();
    world.play(30_000, &configured, |_, now| {
        let signals = Signals { code: rng.random(), complexity: rng.random(), ..Default::default() };
        let holds = |name: &str| match name {
            "code" => signals.code > threshold_of(now),
            "hard" => signals.complexity > 0.5,
            _ => true,
        };
        let name = now.decisions.iter().map(|d| d.name.clone()).find(|name| holds(name)).unwrap_or_default();
        let mean = 0.4 + if name == "hard" { better } else { 0.0 };
        Seen { decision: Some(name), signals, reward: mean + normal(&mut rng) * NOISE, tried: None }
    });
    let order = |name: &str| {
        let last = world.values.last().map(|(_, now)| now);
        last.and_then(|now| now.decisions.iter().position(|d| d.name == name))
    };
    order("hard") < order("code")
}

/// Φ, by Zelen & Severo's formula 26.2.17 (Abramowitz & Stegun), to seven digits.
fn normal_cdf(x: f64) -> f64 {
    const B: [f64; 5] = [0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
    let t = 1.0 / (1.0 + 0.2316419 * x.abs());
    let tail = (-0.5 * x * x).exp() / TAU.sqrt() * B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    if x < 0.0 { tail } else { 1.0 - tail }
}
