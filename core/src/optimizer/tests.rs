//! Each estimator on samples with a known truth, the limits of a step, and the fold over verdicts. How well whole
//! worlds are tuned is measured by `make bench-loop`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{Condition, Config, Routing, SignalName};
use crate::signals::Signals;

mod adapter;

fn config() -> OptimizerConfig {
    OptimizerConfig { samples: 50, ..Default::default() }
}

/// Evenly spread numbers in 0..1 that are not in order.
fn part(i: usize, step: f64) -> f64 {
    (i as f64 * step).fract()
}

/// Two-sided noise with a standard deviation of about .29 · `scale`.
fn noise(i: usize, scale: f64) -> f64 {
    (part(i, 0.754_877_666) - 0.5) * scale
}

fn got(reward: f64) -> Rewarded {
    Rewarded { reward, weight: 1.0 }
}

/// A rule that is worth `signal - 0.2` while the rest is worth .5: they meet at .7.
fn sides(threshold: f64) -> Vec<Side> {
    (0..4000)
        .map(|i| {
            let signal = part(i, 0.618_034);
            let above = signal > threshold;
            let reward = if above { signal - 0.2 } else { 0.5 } + noise(i, 0.6);
            Side { signal, above, got: got(reward) }
        })
        .collect()
}

fn dial(value: f64, evidence: Evidence) -> Dial {
    let knob = Knob::Threshold { decision: "d".into(), signal: "code".into() };
    Dial { knob, configured: value, value, evidence }
}

#[test]
fn a_threshold_goes_to_where_both_sides_are_worth_the_same() {
    for start in [0.55, 0.9] {
        let mut threshold = start;
        for _ in 0..40 {
            let dial = dial(threshold, Evidence::Threshold(sides(threshold)));
            for change in step(&[dial], &config()) {
                assert!((change.after - change.before).abs() <= 0.05 + 1e-12, "{change:?}");
                threshold = change.after;
            }
        }
        assert!((threshold - 0.7).abs() < 0.035, "from {start} to {threshold}");
    }
}

#[test]
fn a_rule_that_is_always_better_or_worse_goes_to_the_bound() {
    let world = |threshold: f64, gain: f64| -> Vec<Side> {
        let reward = |s: &Side| if s.above { gain } else { 0.0 } + (s.got.reward * 7.0).sin() * 0.1;
        sides(threshold).into_iter().map(|s| Side { got: got(reward(&s)), ..s }).collect()
    };
    for (gain, end) in [(0.5, 0.5), (-0.5, 0.95)] {
        let mut threshold = 0.7;
        for _ in 0..60 {
            let dial = dial(threshold, Evidence::Threshold(world(threshold, gain)));
            threshold = step(&[dial], &config()).first().map_or(threshold, |c| c.after);
        }
        assert!((threshold - end).abs() < 0.01, "{threshold}, not {end}");
    }
}

#[test]
fn too_few_samples_on_a_side_change_nothing() {
    let below: Vec<Side> = sides(0.55).into_iter().filter(|s| !s.above).collect();
    let few = sides(0.55).into_iter().filter(|s| s.above).take(49);
    let all: Vec<Side> = below.into_iter().chain(few).collect();
    assert_eq!(step(&[dial(0.55, Evidence::Threshold(all))], &config()), []);
    assert_eq!(step(&[dial(0.55, Evidence::Threshold(vec![]))], &config()), []);
}

#[test]
fn a_score_counts_every_prompt_alike_whichever_the_bandit_chose() {
    // Worth 1 on easy prompts, which it mostly gets, and 0 on the others: .5 in all.
    let draw = |i: usize| {
        let (propensity, reward) = if i.is_multiple_of(2) { (0.9, 1.0) } else { (0.1, 0.0) };
        (part(i, 0.618_034) < propensity).then_some(Draw { propensity, got: got(reward) })
    };
    let draws: Vec<Draw> = (0..20_000).filter_map(draw).collect();
    let knob = Knob::Score { decision: "d".into(), model: "m".into() };
    let mut score = 1.0;
    for _ in 0..30 {
        let dial = Dial {
            knob: knob.clone(),
            configured: 1.0,
            value: score,
            evidence: Evidence::Score(draws.clone()),
        };
        score = step(&[dial], &config()).first().map_or(score, |c| c.after);
    }
    // A mean reward of .5 is three quarters of the way from -1 to 1.
    assert!((score - (0.3 + 0.7 * 0.75)).abs() < 0.02, "{score}");
}

#[test]
fn a_keyword_is_worth_the_odds_that_its_prompts_earn_more() {
    let weight = |hits: &[f64], others: &[f64]| {
        let all = |r: &[f64]| r.iter().cycle().take(60).map(|r| got(*r)).collect::<Vec<_>>();
        keyword::find(0.5, &all(hits), &all(others), 50).unwrap().target
    };
    assert!((weight(&[1.0], &[0.0]) - 1.0).abs() < 1e-12);
    assert!((weight(&[0.0, 1.0], &[0.0, 1.0]) - 0.5).abs() < 1e-12, "it tells nothing");
    assert!((weight(&[0.0, 1.0], &[0.5]) - 0.5).abs() < 1e-12);
    assert!((weight(&[0.0], &[0.0, 1.0]) - 0.25).abs() < 1e-12);
}

#[test]
fn the_aggregate_that_explains_rewards_is_taken_and_kept() {
    let prompts: Vec<Both> = (0..2000)
        .map(|i| {
            let [max, mean] = [part(i, 0.618_034), part(i, 0.414_214)];
            let above = max > 0.6;
            let reward = if above { mean } else { 0.4 } + noise(i, 0.6);
            Both { max, mean, above, got: got(reward) }
        })
        .collect();
    assert_eq!(aggregation::find(0.0, &prompts, 50).map(|f| f.target), Some(1.0));
    assert_eq!(aggregation::find(1.0, &prompts, 50), None, "the mean is used already");
}

fn routing() -> Routing {
    let document = json!({
        "default_model": "a",
        "models": {"a": {"endpoint": "http://a", "price": {}}, "b": {"endpoint": "http://b", "price": {}}},
        "decisions": [
            {"name": "code", "priority": 10, "when": [{"signal": "code", "above": 0.6}], "models": ["a"]},
            {"name": "hard", "priority": 5, "when": [{"signal": "complexity", "above": 0.5}], "models": ["b"]},
            {"name": "rest", "models": ["a", "b"]},
        ],
    });
    Config::from_value(&document).unwrap().routing
}

/// What each decision earns of a prompt that is code and complex alike; `hard` is better at everything.
fn seen(now: &Routing, i: usize) -> Seen {
    let signals = Signals {
        code: part(i, 0.618_034) as f32,
        complexity: part(i, 0.414_214) as f32,
        ..Default::default()
    };
    let holds = |d: &&crate::config::DecisionRule| d.when.iter().all(|c| crate::decision::holds(c, &signals));
    let name = now.decisions.iter().find(holds).unwrap().name.clone();
    let worth = if name == "hard" { 0.8 } else { 0.5 };
    Seen { decision: Some(name), signals, reward: worth + noise(i, 0.3), ..Default::default() }
}

#[test]
fn of_two_decisions_that_hold_the_better_one_rises_until_it_decides() {
    let (configured, mut tuner) = (routing(), Tuner::default());
    for round in 1..=3 {
        let now = apply(&configured, tuner.live());
        let seen: Vec<Seen> = (0..4000).map(|i| seen(&now, i)).collect();
        let changes = step(&dials(&configured, tuner.live(), &seen, &config()), &config());
        let priorities: Vec<_> =
            changes.into_iter().filter(|c| matches!(c.knob, Knob::Priority { .. })).collect();
        tuner.propose(round, Step { changes: priorities, rest: 1, time_ms: 0 });
        tuner.judge(round, true);
    }
    let now = apply(&configured, tuner.live());
    let order: Vec<&str> = now.decisions.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(order, ["hard", "code", "rest"]);
    assert_eq!(now.decisions[0].priority, 11, "5, 10, 11: at most 5 a step");
    for route in &now.routes {
        let decision = &now.decisions[route.decision];
        assert!(route.name.starts_with(&decision.name), "routes know their decisions still");
    }
}

#[test]
fn an_applied_threshold_decides_and_yields_to_the_operators_newer_word() {
    let knob = Knob::Threshold { decision: "code".into(), signal: "code".into() };
    let settings = BTreeMap::from([(knob, Setting { configured: f64::from(0.6f32), value: 0.55 })]);
    let tuned = apply(&routing(), &settings);
    assert_eq!(tuned.decisions[0].when, [Condition::Above(SignalName::Code, 0.55)]);
    let mut edited = routing();
    edited.decisions[0].when = vec![Condition::Above(SignalName::Code, 0.8)];
    assert_eq!(apply(&edited, &settings), edited);
}

#[test]
fn a_rejected_proposal_goes_back_and_its_knobs_rest() {
    let change = |after| Change {
        knob: Knob::Priority { decision: "d".into() },
        configured: 1.0,
        before: 1.0,
        after,
        target: after,
        gain: 1.0,
        error: 0.1,
        samples: 100,
    };
    let dials = || vec![Dial { knob: change(0.0).knob, ..dial(1.0, Evidence::Score(vec![])) }];
    let mut tuner = Tuner::default();
    let value = |settings: &BTreeMap<Knob, Setting>| settings.values().next().map(|s| s.value);
    tuner.propose(7, Step { changes: vec![change(5.0)], rest: 2, time_ms: 0 });
    assert_eq!((value(&tuner.proposed()), value(tuner.live()), tuner.pending()), (Some(5.0), None, Some(7)));
    tuner.judge(6, true);
    assert_eq!(tuner.pending(), Some(7), "that was another proposal's verdict");
    tuner.judge(7, false);
    assert_eq!((tuner.proposed().len(), tuner.pending()), (0, None));
    for id in [8, 9] {
        assert_eq!(tuner.awake(dials()), [], "it rests");
        tuner.propose(id, Step { changes: vec![], rest: 2, time_ms: 0 });
        tuner.judge(id, true);
    }
    assert_eq!(tuner.awake(dials()).len(), 1);
    let text = serde_json::to_string(&tuner).unwrap();
    assert_eq!(serde_json::from_str::<Tuner>(&text).unwrap(), tuner);
}

proptest! {
    #[test]
    fn whatever_the_samples_a_step_stays_within_its_bounds(
        samples in prop::collection::vec((0.0f64..1.0, any::<bool>(), -2.0f64..2.0, 0.0f64..1.0), 0..400),
        value in 0.0f64..1.0,
    ) {
        let config = OptimizerConfig { samples: 10, ..Default::default() };
        let sides = samples.iter().map(|(signal, above, reward, weight)| {
            Side { signal: *signal, above: *above, got: Rewarded { reward: *reward, weight: *weight } }
        });
        let draws = samples.iter().map(|(propensity, _, reward, weight)| {
            Draw { propensity: *propensity, got: Rewarded { reward: *reward, weight: *weight } }
        });
        let all = [
            dial(value, Evidence::Threshold(sides.collect())),
            Dial {
                knob: Knob::Score { decision: "d".into(), model: "m".into() },
                ..dial(value, Evidence::Score(draws.collect()))
            },
        ];
        for change in step(&all, &config) {
            let bounds = change.knob.bounds(&config);
            prop_assert!((change.after - change.before).abs() <= bounds.step + 1e-12);
            let inside = (bounds.low..=bounds.high).contains(&change.after);
            let nearer = |v: f64| (v - bounds.low).abs().min((v - bounds.high).abs());
            prop_assert!(inside || nearer(change.after) < nearer(change.before), "{change:?}");
        }
    }
}
