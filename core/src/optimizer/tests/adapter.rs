//! Each knob of a configuration on records of a small world: which way it turns, and that it is put where it belongs.

use serde_json::Value;

use super::*;
use crate::config::DecisionRule;
use crate::decision::holds;
use crate::signals::{Aggregation, Domains, EmbeddingHit, KeywordHit};

/// What a decision earns of a prompt.
type Worth = fn(&str, &Signals) -> f64;

/// A configuration with these decisions; `rest` comes last.
fn house(mut decisions: Value, policy: &str) -> Routing {
    decisions.as_array_mut().unwrap().push(json!({"name": "rest", "models": ["a", "b"]}));
    let model = json!({"endpoint": "http://a", "price": {}});
    let document = json!({
        "default_model": "a",
        "models": {"a": model, "b": model},
        "policy": {"kind": policy},
        "signals": {
            "keywords": [{"name": "k", "any": ["good", "bad"], "weights": {"bad": 0.6}}],
            "embeddings": [{"name": "e", "candidates": ["x", "y"], "threshold": 0.7}],
        },
        "decisions": decisions,
    });
    Config::from_value(&document).unwrap().routing
}

/// Prompt `i`, as `now` measures it: every signal is spread evenly, and none depends on another.
fn prompt(now: &Routing, i: usize) -> Signals {
    let of = |step: f64| part(i, step) as f32;
    let mut domain = [0.0; 14];
    domain[1] = of(0.381_966);
    let rule = &now.embeddings[0];
    let (max, mean) = (of(0.236_068), of(0.645_751));
    let hit = EmbeddingHit { rule: rule.name.clone(), max, mean, ..Default::default() };
    let fires = rule.aggregation_method.of(&hit) >= rule.threshold;
    let (embeddings, missed) = if fires { (vec![hit], vec![]) } else { (vec![], vec![hit]) };
    let keywords = match ["good", "bad", ""][i % 3] {
        "" => vec![],
        word => vec![KeywordHit { rule: "k".into(), matched: vec![word.into()], score: 0.5 }],
    };
    let code = of(0.618_034);
    Signals { code, domain: Domains(domain), embeddings, missed, keywords, ..Default::default() }
}

/// 3,000 records of a filter that goes by `now`. Model `a` earns -.5 and `b` .5 by their own tries.
fn records(now: &Routing, worth: Worth) -> Vec<Seen> {
    let record = |i: usize| {
        let signals = prompt(now, i);
        let decides = |d: &&DecisionRule| d.when.iter().all(|c| holds(c, &signals));
        let decision = now.decisions.iter().find(decides).unwrap();
        let reward = worth(&decision.name, &signals) + noise(i, 0.2);
        let best = now.best_score(&decision.routes).unwrap();
        let model = now.models[now.routes[best].model].name.clone();
        let tried = Some(Tried { reward: if model == "a" { -0.5 } else { 0.5 }, model, propensity: 1.0 });
        Seen { decision: Some(decision.name.clone()), tried, signals, reward }
    };
    (0..3000).map(record).collect()
}

/// The changes of one step, by their knobs' names, and the configuration with them.
fn one_step(configured: &Routing, worth: Worth) -> (BTreeMap<String, Change>, Routing) {
    let changes =
        step(&dials(configured, &BTreeMap::new(), &records(configured, worth), &config()), &config());
    let settings = |c: &Change| (c.knob.clone(), Setting { configured: c.configured, value: c.after });
    let tuned = apply(configured, &changes.iter().map(settings).collect());
    (changes.into_iter().map(|c| (c.knob.to_string(), c)).collect(), tuned)
}

fn when<'r>(routing: &'r Routing, decision: &str) -> &'r [Condition] {
    &routing.decisions.iter().find(|d| d.name == decision).unwrap().when
}

const D_IS_BETTER: Worth = |decision, _| if decision == "d" { 0.8 } else { 0.2 };
const D_IS_WORSE: Worth = |decision, _| if decision == "d" { 0.2 } else { 0.8 };
const BY_THE_MEAN: Worth =
    |decision, s| if decision == "d" { f64::from(s.measured("e").unwrap().mean) } else { 0.2 };

#[test]
fn a_threshold_in_a_tree_turns_by_the_records_that_hinge_on_it_alone() {
    let law = json!({"domain": "law", "above": 0.6});
    let not_code = json!({"not": {"signal": "code", "above": 0.7}});
    let decisions =
        json!([{"name": "d", "when": [{"any": [law, {"keyword": "k"}]}, not_code], "models": ["a"]}]);
    let configured = house(decisions, "linucb");
    // Prompts with a keyword are decided without the domain: it is not to listen to them.
    let worth: Worth = |decision, s| match (decision, s.keywords.is_empty()) {
        ("d", false) => -1.0,
        ("d", true) => 0.8,
        _ => 0.2,
    };
    let (changes, tuned) = one_step(&configured, worth);
    let domain = &changes["threshold of domain law for d"];
    assert!(domain.after < 0.6 && domain.after >= 0.55 - 1e-6 && domain.gain > 0.5, "{domain:?}");
    // A third of the prompts have no keyword; of these those that are no code.
    assert!(domain.samples < 750, "{domain:?}");
    let [Condition::Any(any), Condition::Not(code)] = when(&tuned, "d") else { panic!("{tuned:?}") };
    assert_eq!(any[0], Condition::Domain("law".into(), domain.after as f32));

    // Most of what is no code loses by the decision: less is to be no code.
    let change = &changes["threshold of code for d"];
    assert!(change.after < 0.7 && change.gain > 0.0, "{change:?}");
    assert_eq!(**code, Condition::Above(SignalName::Code, change.after as f32));
    let (changes, _) = one_step(&configured, D_IS_BETTER);
    assert!(changes["threshold of code for d"].after > 0.7, "under a `not` the decision grows with it");
}

#[test]
fn two_thresholds_on_one_signal_are_two_knobs() {
    let band = json!([{"signal": "code", "above": 0.5}, {"not": {"signal": "code", "above": 0.8}}]);
    let configured = house(json!([{"name": "d", "when": band, "models": ["a"]}]), "linucb");
    let (changes, tuned) = one_step(&configured, D_IS_BETTER);
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["threshold of code 2 for d"], "one is at its bound");
    let upper = &changes["threshold of code 2 for d"];
    assert!(upper.after > 0.8, "{upper:?}");
    let not = Condition::Not(Box::new(Condition::Above(SignalName::Code, upper.after as f32)));
    assert_eq!(when(&tuned, "d"), [Condition::Above(SignalName::Code, 0.5), not]);
}

#[test]
fn what_is_read_off_an_embedding_is_not_known_without_one() {
    let law = json!([{"name": "d", "when": [{"domain": "law", "above": 0.6}], "models": ["a"]}]);
    let configured = house(law, "linucb");
    let mut seen = records(&configured, |_, _| 0.5);
    seen.iter_mut().for_each(|record| record.signals.domain = Domains::default());
    let dials = dials(&configured, &BTreeMap::new(), &seen, &config());
    assert_eq!(dials[0].evidence, Evidence::Threshold(vec![]));
}

#[test]
fn an_embedding_rule_hears_of_its_near_misses() {
    let near = json!([{"name": "d", "when": [{"any": [{"embedding": "e"}]}], "models": ["a"]}]);
    let configured = house(near, "linucb");
    for (worth, falls) in [(D_IS_BETTER, true), (D_IS_WORSE, false)] {
        let (changes, tuned) = one_step(&configured, worth);
        let change = &changes["threshold of embedding rule e"];
        assert_eq!(change.after < 0.7, falls, "{change:?}");
        assert!((change.after - f64::from(0.7f32)).abs() <= 0.05 + 1e-9);
        assert_eq!(tuned.embeddings[0].threshold, change.after as f32);
    }
    // Records of before tell only what fired: there is nothing to compare it with.
    let mut seen = records(&configured, D_IS_BETTER);
    seen.iter_mut().for_each(|record| record.signals.missed.clear());
    assert_eq!(step(&dials(&configured, &BTreeMap::new(), &seen, &config()), &config()), []);
}

#[test]
fn the_aggregate_that_tells_more_is_taken_and_its_threshold_waits() {
    let near = json!([{"name": "d", "when": [{"embedding": "e"}], "models": ["a"]}]);
    let (changes, tuned) = one_step(&house(near.clone(), "linucb"), BY_THE_MEAN);
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["aggregation of embedding rule e (0 max, 1 mean)"]);
    assert_eq!(tuned.embeddings[0].aggregation_method, Aggregation::Mean);
    let mut by_mean = house(near, "linucb");
    by_mean.embeddings[0].aggregation_method = Aggregation::Mean;
    let (changes, _) = one_step(&by_mean, BY_THE_MEAN);
    assert!(changes.keys().all(|name| !name.starts_with("aggregation")), "{changes:?}");
}

#[test]
fn a_mean_that_never_reaches_the_threshold_does_not_switch_its_rule_off() {
    let near = json!([{"name": "d", "when": [{"embedding": "e"}], "models": ["a"]}]);
    let configured = house(near, "linucb");
    let mut seen = records(&configured, BY_THE_MEAN);
    for signals in seen.iter_mut().map(|record| &mut record.signals) {
        signals.embeddings.iter_mut().chain(&mut signals.missed).for_each(|hit| hit.mean *= 0.6);
    }
    let dials = dials(&configured, &BTreeMap::new(), &seen, &config());
    assert_eq!(
        dials.iter().map(|dial| &dial.knob).collect::<Vec<_>>(),
        [&Knob::Embedding { rule: "e".into() }]
    );
}

#[test]
fn scores_are_tuned_where_they_choose() {
    let (changes, tuned) = one_step(&house(json!([]), "static"), |_, _| 0.5);
    let change = &changes["score of a for rest"];
    assert_eq!((changes.len(), change.configured, change.after), (1, 1.0, 0.95), "b was never tried");
    assert_eq!(tuned.decisions[0].scores, [("a".to_owned(), 0.95)].into());
    let best = |routing: &Routing| routing.best_score(&routing.decisions[0].routes);
    assert_eq!((best(&house(json!([]), "static")), best(&tuned)), (Some(0), Some(1)), "now b is");
    assert!(one_step(&house(json!([]), "linucb"), |_, _| 0.5).0.is_empty(), "there they decide nothing");
}

#[test]
fn a_keyword_weighs_what_its_prompts_earn_where_the_rule_sends_them() {
    let asks = json!([{"name": "d", "when": [{"keyword": "k"}], "models": ["a"]}]);
    let worth: Worth = |_, s| match s.keywords.first().map(|hit| hit.matched[0].as_str()) {
        Some("good") => 0.9,
        Some(_) => -0.9,
        None => 0.0,
    };
    let (changes, tuned) = one_step(&house(asks, "linucb"), worth);
    let after = |word: &str| changes[&format!("weight of `{word}` in k")].after;
    assert!(after("good") > 0.5 && after("bad") < 0.6, "{changes:?}");
    let weights = &tuned.keywords[0].weights;
    assert_eq!((weights["good"], weights["bad"]), (after("good") as f32, after("bad") as f32));
    assert!(one_step(&house(json!([]), "linucb"), worth).0.is_empty(), "no decision asks that rule");
}

#[test]
fn whatever_is_earned_no_knob_ever_leaves_its_bounds() {
    let decisions = json!([
        {"name": "n", "priority": 99, "when": [{"embedding": "e"}], "models": ["a"]},
        {"name": "k", "priority": 50, "when": [{"keyword": "k"}, {"signal": "code", "above": 0.6}], "models": ["a"]},
        {"name": "l", "priority": 1, "when": [{"not": {"domain": "law", "above": 0.6}}], "models": ["a", "b"]},
    ]);
    let configured = house(decisions, "static");
    let worths: [Worth; 4] = [
        |d, _| if d == "rest" { 1.0 } else { -1.0 },
        |d, _| if d == "rest" { -1.0 } else { 1.0 },
        |d, s| if d == "n" { f64::from(s.code) } else { 0.3 },
        |d, _| if d == "l" { 1.0 } else { 0.0 },
    ];
    let within = |value: f32, low: f32, high: f32| assert!((low..=high).contains(&value), "{value}");
    let mut turned = std::collections::BTreeSet::new();
    for worth in worths {
        let mut tuner = Tuner::default();
        for round in 1..=30 {
            let now = apply(&configured, tuner.live());
            let changes =
                step(&dials(&configured, tuner.live(), &records(&now, worth), &config()), &config());
            turned.extend(changes.iter().map(|change| change.knob.to_string()));
            tuner.propose(round, Step { changes, rest: 1, time_ms: 0 });
            tuner.judge(round, true);
            let now = apply(&configured, tuner.live());
            within(now.embeddings[0].threshold, 0.5, 0.95);
            now.keywords[0].weights.values().for_each(|weight| within(*weight, 0.05, 0.95));
            for decision in &now.decisions {
                assert!(decision.priority <= 100);
                decision.scores.values().for_each(|score| within(*score, 0.3, 1.0));
                match decision.when.last() {
                    Some(Condition::Above(_, threshold)) => within(*threshold, 0.5, 0.95),
                    Some(Condition::Not(inner)) => match **inner {
                        Condition::Domain(_, threshold) => within(threshold, 0.5, 0.95),
                        _ => panic!("{inner:?}"),
                    },
                    _ => {}
                }
            }
        }
    }
    for kind in
        ["threshold of code", "threshold of domain", "threshold of emb", "score", "weight", "priority"]
    {
        assert!(turned.iter().any(|name| name.starts_with(kind)), "{kind} never turned: {turned:?}");
    }
}
