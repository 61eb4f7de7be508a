//! The signal optimizer in worlds where the best value of every knob is known.
//!
//! Rewards have a standard deviation of 0.3; a record comes every second; the optimizer is the shipped one with its
//! default configuration: a step every 500 records on the newest 20,000, every proposal promoted. A knob has arrived
//! when it is first within 5 % of its optimum. It has reached it if in every seed it arrived and its mean over the last
//! quarter is within 5 %; the worst single look later than that is told beside. Where the truth moves all the time, or
//! tells little, the mean distance is to be within 5 % instead.

use std::f64::consts::TAU;

use dragoman_core::config::{Condition, Config, OptimizerConfig, Routing};
use dragoman_core::optimizer::{
    Both, Dial, Draw, Evidence, Knob, Rewarded, Seen, Step, Tuner, apply, dials, step,
};
use dragoman_core::signals::Signals;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::Report;

/// Seeds of each world.
const SEEDS: u64 = 20;
/// Standard deviation of a reward.
const NOISE: f64 = 0.3;
/// What counts as being at the optimum, by its value.
const NEAR: f64 = 0.05;
/// Looks between arriving and staying.
const SETTLE: usize = 10;

/// The optimum after so many records.
type Truth = fn(u64) -> f64;

/// One run: the knob's value and its optimum at each look.
struct Trace(Vec<(f64, f64)>);

pub(super) fn run(report: &mut Report) {
    thresholds(report);
    scores(report);
    others(report);
}

// Thresholds.

/// How much better the rule is than what comes after it, at its best.
struct Row {
    name: &'static str,
    start: f64,
    optimum: Truth,
    /// Difference of mean rewards far above the optimum (and, negative, far below).
    gain: f64,
    records: u64,
    /// Mean distance to the optimum that is to be kept, where it moves all the time.
    tracks: bool,
}

const THRESHOLDS: [Row; 8] = [
    Row { name: "0.55 -> 0.70", start: 0.55, optimum: |_| 0.70, gain: 0.3, records: 40_000, tracks: false },
    Row { name: "0.90 -> 0.62", start: 0.90, optimum: |_| 0.62, gain: 0.3, records: 40_000, tracks: false },
    Row { name: "0.50 -> 0.85", start: 0.50, optimum: |_| 0.85, gain: 0.3, records: 40_000, tracks: false },
    Row {
        name: "weak, 0.55 -> 0.70",
        start: 0.55,
        optimum: |_| 0.70,
        gain: 0.15,
        records: 40_000,
        tracks: true,
    },
    Row {
        name: "always better -> 0.50",
        start: 0.75,
        optimum: |_| 0.50,
        gain: 0.0,
        records: 40_000,
        tracks: false,
    },
    Row {
        name: "at its optimum, 0.70",
        start: 0.70,
        optimum: |_| 0.70,
        gain: 0.3,
        records: 40_000,
        tracks: false,
    },
    Row {
        name: "jumps 0.62 -> 0.80",
        start: 0.62,
        optimum: |n| if n < 20_000 { 0.62 } else { 0.80 },
        gain: 0.3,
        records: 60_000,
        tracks: false,
    },
    Row {
        name: "drifts 0.65..0.80",
        start: 0.70,
        optimum: |n| 0.725 + 0.075 * (TAU * n as f64 / 100_000.0).sin(),
        gain: 0.3,
        records: 150_000,
        tracks: true,
    },
];

fn thresholds(report: &mut Report) {
    report
        .line("threshold of one rule         arrived after     end   (worst look) in bounds  mean distance");
    for row in &THRESHOLDS {
        let traces: Vec<Trace> = (0..SEEDS).map(|seed| threshold(row, seed)).collect();
        tell(report, row.name, &traces, [0.5, 0.95], row.tracks);
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

fn routing(above: f64) -> Routing {
    let model = json!({"endpoint": "http://127.0.0.1:1", "price": {}});
    let document = json!({
        "default_model": "small",
        "models": {"small": model, "large": model},
        "decisions": [
            {"name": "code", "priority": 10, "when": [{"signal": "code", "above": above}], "models": ["large"]},
            {"name": "hard", "priority": 5, "when": [{"signal": "complexity", "above": 0.5}], "models": ["large"]},
            {"name": "rest", "models": ["small"]},
        ],
    });
    // The document is a constant.
    Config::from_value(&document).map(|config| config.routing).unwrap_or_else(|e| unreachable!("{e}"))
}

fn threshold_of(routing: &Routing) -> f32 {
    let rule = routing.decisions.iter().find(|d| d.name == "code");
    let above = rule.and_then(|rule| rule.when.first());
    if let Some(Condition::Above(_, threshold)) = above { *threshold } else { f32::NAN }
}

/// The sidecar's side: the log and the tuner.
#[derive(Default)]
struct World {
    seen: Vec<Seen>,
    tuner: Tuner,
    /// After so many records, the configuration in use.
    values: Vec<(u64, Routing)>,
}

impl World {
    fn play(&mut self, records: u64, configured: &Routing, mut ask: impl FnMut(u64, &Routing) -> Seen) {
        let config = OptimizerConfig::default();
        let mut now = configured.clone();
        for n in 1..=records {
            self.seen.push(ask(n, &now));
            if n.is_multiple_of(config.every) {
                let newest: Vec<Seen> = self.seen.iter().rev().take(config.window).cloned().collect();
                let dials = self.tuner.awake(dials(configured, self.tuner.live(), &newest, &config));
                let changes = step(&dials, &config);
                self.tuner.propose(n, Step { changes, rest: config.rest, time_ms: n * 1000 });
                self.tuner.judge(n, true);
                now = apply(configured, self.tuner.live());
                self.values.push((n, now.clone()));
            }
        }
    }
}

// Models' scores.

/// Mean rewards of three models on two sorts of prompts, after so many records.
type Means = fn(u64) -> [[f64; 2]; 3];

const SCORES: [(&str, Means, u64); 3] = [
    ("apart", |_| [[0.7, 0.6], [0.5, 0.2], [-0.2, 0.0]], 30_000),
    ("each best at one sort", |_| [[0.8, 0.1], [0.2, 0.7], [0.3, 0.3]], 30_000),
    (
        "the last improves",
        |n| [[0.6, 0.5], [0.4, 0.3], if n < 20_000 { [0.0, -0.2] } else { [0.7, 0.8] }],
        60_000,
    ),
];

fn scores(report: &mut Report) {
    report
        .line("models' scores, 5 % explored  arrived after     end   (worst look) in bounds  mean distance");
    for (name, means, records) in SCORES {
        let traces: Vec<Trace> = (0..SEEDS).flat_map(|seed| score(means, records, seed)).collect();
        tell(report, name, &traces, [0.3, 1.0], false);
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

// Keywords' weights, aggregations and priorities.

fn others(report: &mut Report) {
    report
        .line("keywords' weights             arrived after     end   (worst look) in bounds  mean distance");
    // Differences of means that a keyword's prompts have from the others', by the standard deviation of both.
    for (name, apart) in [("telling nothing", 0.0), ("telling something", 0.5), ("misleading", -0.4)] {
        let traces: Vec<Trace> = (0..SEEDS).map(|seed| keyword(apart, seed)).collect();
        tell(report, name, &traces, [0.05, 0.95], false);
    }
    report.line("");
    let config = OptimizerConfig::default();
    let switched = |mean_counts: bool| {
        (0..SEEDS).filter(|seed| aggregation(mean_counts, *seed, &config) == Some(1.0)).count()
    };
    report.line(&format!(
        "aggregation: of {SEEDS} seeds {} take the mean where it counts, {} where the maximum does",
        switched(true),
        switched(false)
    ));
    report.goal(
        switched(true) == SEEDS as usize && switched(false) == 0,
        "every aggregation is the one that counts",
    );
    let risen = |better: f64| (0..SEEDS).filter(|seed| priority(better, *seed)).count();
    let counts = [0.1, 0.0, -0.1].map(risen);
    report.line(&format!(
        "priority: of {SEEDS} seeds the lower of two decisions comes to decide in {} where it earns 0.1 more, in {} where \
         both earn the same, in {} where it earns 0.1 less",
        counts[0], counts[1], counts[2]
    ));
    report.goal(counts[0] == SEEDS as usize && counts[2] == 0, "the better of two decisions decides");
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

// What they share.

/// The dial's value after a step.
fn turned(dial: Dial, config: &OptimizerConfig) -> f64 {
    let value = dial.value;
    step(&[dial], config).first().map_or(value, |change| change.after)
}

fn tell(report: &mut Report, name: &str, traces: &[Trace], bounds: [f64; 2], tracks: bool) {
    let every = OptimizerConfig::default().every as usize;
    let mut arrivals: Vec<usize> =
        traces.iter().filter_map(Trace::arrival).map(|look| (look + 1) * every).collect();
    arrivals.sort_unstable();
    let arrived = match arrivals.as_slice() {
        [first, .., last] => format!("{first}..{last}"),
        [only] => only.to_string(),
        [] => "never".into(),
    };
    let worst = traces.iter().map(Trace::worst_later).fold(0.0, f64::max);
    let last = traces.iter().map(Trace::end).fold(0.0, f64::max);
    let mean = traces.iter().map(Trace::mean).sum::<f64>() / traces.len() as f64;
    let inside = traces.iter().all(|t| t.within(bounds));
    report.line(&format!(
        "  {name:<28}{arrived:<18}{:>5.1} % ({:>4.1} %)  {:<9}  {:.1} %",
        100.0 * last,
        100.0 * worst,
        if inside { "yes" } else { "NO" },
        100.0 * mean
    ));
    report.goal(inside, &format!("{name}: in its bounds all the time"));
    let all = arrivals.len() == traces.len();
    match tracks {
        true => report.goal(mean <= NEAR, &format!("{name}: within 5 % of the optimum on average")),
        false => {
            report.goal(all && last <= NEAR, &format!("{name}: within 5 % of the optimum in every seed"))
        }
    }
}

// === impl Trace ===

impl Trace {
    fn distances(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().map(|(value, optimum)| (value - optimum).abs() / optimum)
    }

    /// The first look since the optimum last jumped that finds the knob at it.
    fn arrival(&self) -> Option<usize> {
        let jump =
            self.0.windows(2).rposition(|w| (w[0].1 - w[1].1).abs() > NEAR * w[0].1).map_or(0, |i| i + 1);
        self.distances().skip(jump).position(|d| d <= NEAR)
    }

    /// The greatest distance after arriving and settling.
    fn worst_later(&self) -> f64 {
        let jump =
            self.0.windows(2).rposition(|w| (w[0].1 - w[1].1).abs() > NEAR * w[0].1).map_or(0, |i| i + 1);
        let from = self.arrival().map_or(usize::MAX, |look| jump + look + SETTLE);
        self.distances().skip(from).fold(0.0, f64::max)
    }

    /// The distance of the mean over the last quarter.
    fn end(&self) -> f64 {
        let from = self.0.len() / 4 * 3;
        let mean = |of: fn(&(f64, f64)) -> f64| {
            self.0.iter().skip(from).map(of).sum::<f64>() / (self.0.len() - from).max(1) as f64
        };
        let (value, optimum) = (mean(|look| look.0), mean(|look| look.1));
        (value - optimum).abs() / optimum
    }

    /// The mean distance over the second half.
    fn mean(&self) -> f64 {
        let half = self.0.len() / 2;
        self.distances().skip(half).sum::<f64>() / (self.0.len() - half).max(1) as f64
    }

    fn within(&self, [low, high]: [f64; 2]) -> bool {
        self.0.iter().all(|(value, _)| (low - 1e-9..=high + 1e-9).contains(value))
    }
}

/// A standard normal number (Box & Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}

/// Φ, by Zelen & Severo's formula 26.2.17 (Abramowitz & Stegun), to seven digits.
fn normal_cdf(x: f64) -> f64 {
    const B: [f64; 5] = [0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
    let t = 1.0 / (1.0 + 0.2316419 * x.abs());
    let tail = (-0.5 * x * x).exp() / TAU.sqrt() * B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    if x < 0.0 { tail } else { 1.0 - tail }
}
