//! What chance may do: propensities of candidates other than the best.

use proptest::prelude::*;

use super::*;
use crate::policy::matching;

/// Prices of an answer of the world's models at 1,000 tokens in and 256 out: $0, $.001256 and $.01256.
const CHEAP: f64 = 0.001_256;

fn with_policy(rewards: &[f32], policy: Value) -> World {
    World::new(rewards).with("policy", policy)
}

#[test]
fn every_candidate_keeps_its_share_of_epsilon() {
    let [free, cheap, dear] = World::new(&[0.1, 0.9, 0.5]).propensities();
    assert!((free - 0.1 / 3.0).abs() < 1e-6 && (dear - 0.1 / 3.0).abs() < 1e-6, "{free} {dear}");
    assert!((free + cheap + dear - 1.0).abs() < 1e-6);
}

#[test]
fn a_candidate_is_taken_as_often_as_it_may_be_the_best() {
    let policy = json!({"alpha": 0.5, "epsilon": 0.0, "cost_weight": 0.0});
    let world = |widths: [f32; 3], seen: u64| {
        let observations = [seen; 3];
        World { widths, observations, ..with_policy(&[0.7, 0.9, 0.1], policy.clone()) }.propensities()
    };
    let [free, cheap, dear] = world([0.3, 0.2, 0.0], 0);
    // .2 worse, and half of √(.3² + .2²) is how far both may be off; dear is .8 worse and half of .2 may be wrong.
    let expected = matching::chance(0.2, [0.15, 0.1]) as f32;
    assert!((free - expected).abs() < 1e-5 && free > 0.1, "{free} {expected}");
    assert!(dear == 0.0 && (cheap - (1.0 - free)).abs() < 1e-6, "{cheap} {dear}");
    let later = world([0.3, 0.2, 0.0], 10)[0];
    assert!(later > 0.0 && later < free / 2.0, "ten answers halve the doubt: {later} {free}");
    assert_eq!(world([0.0; 3], 0), [0.0, 1.0, 0.0], "what is known is not explored");
}

#[test]
fn candidates_that_may_all_be_best_leave_half_of_the_requests_to_the_one_that_looks_best() {
    let policy = json!({"alpha": 1.0, "epsilon": 0.0, "cost_weight": 0.0});
    let alike = World { observations: [0; 3], ..with_policy(&[0.5, 0.5, 0.5], policy) };
    assert_eq!(alike.propensities(), [0.5, 0.25, 0.25]);
}

#[test]
fn where_nothing_is_worth_its_price_what_may_be_worth_it_is_still_tried() {
    let policy = json!({"alpha": 1.0, "epsilon": 0.0, "cost_weight": 0.0});
    let share_of_cheap = |width: f32| {
        let (widths, observations) = ([0.0, width, 0.0], [0; 3]);
        let world = World { widths, observations, ..with_policy(&[-0.2, -0.1, -0.9], policy.clone()) };
        let world = world.with("decisions", json!([{"name": "d", "models": ["cheap", "dear"]}]));
        let (decision, _) = world.decide(&Signals::default(), Api::ChatCompletions, 0.999).unwrap();
        assert_eq!(decision.chosen, None, "the default route, which is worth 0");
        f64::from(decision.candidates[0].propensity)
    };
    assert_eq!(share_of_cheap(0.0), 0.0);
    assert!((share_of_cheap(0.1) - matching::chance(0.1, [0.1, 0.0])).abs() < 1e-5);
}

#[test]
fn without_alpha_and_epsilon_nothing_is_explored() {
    let world = with_policy(&[0.1, 0.9, 0.5], json!({"alpha": 0.0, "epsilon": 0.0, "cost_weight": 0.0}));
    assert_eq!(world.propensities(), [0.0, 1.0, 0.0]);
}

#[test]
fn a_new_route_is_given_a_tenth_of_the_requests_until_it_has_ten_answers() {
    let share = |seen: u64| {
        let mut world =
            with_policy(&[0.5, 0.6, 0.7], json!({"epsilon": 0.01, "cost_weight": 0.0, "alpha": 0.0}));
        world.observations[0] = seen;
        world.propensities()[0]
    };
    assert!((share(0) - 0.1).abs() < 1e-6 && (share(9) - 0.1).abs() < 1e-6);
    assert!(share(10) < 0.005, "{}", share(10));
}

#[test]
fn a_dear_route_without_hope_gets_next_to_nothing_of_a_tight_budget() {
    let world = |reward: f32, width: f32| {
        let policy = json!({"epsilon": 0.01, "alpha": 0.0, "budget": CHEAP / 10.0});
        let mut world = with_policy(&[0.9, 0.9, reward], policy);
        (world.widths, world.cost_weight) = ([0.01, 0.01, width], 50.0);
        world
    };
    let hopeless = world(0.2, 0.01).propensities()[2];
    assert!(hopeless > 0.0, "what it is worth can still be estimated");
    assert!(f64::from(hopeless) < 0.01 / 3.0 * 0.1 * 0.011, "a hundredth of its price at most: {hopeless}");
    let hopeful = world(0.2, 3.0).propensities()[2];
    assert!(hopeful > 9.0 * hopeless, "{hopeful} {hopeless}");
}

#[test]
fn a_new_route_is_tried_as_often_as_the_budget_can_pay_for_it() {
    let policy = json!({"epsilon": 0.01, "alpha": 0.0, "budget": CHEAP});
    let mut world = with_policy(&[0.5, 0.5, 0.5], policy);
    world.observations = [1000, 1000, 0];
    let share = world.propensities()[2];
    assert!((share - 0.01).abs() < 1e-4, "a tenth of a tenth, at ten times the budget: {share}");
}

#[test]
fn a_route_never_asked_is_tried_although_its_predicted_dollars_speak_against_it() {
    let share = |seen: u64| {
        let policy = json!({"epsilon": 0.01, "alpha": 0.0, "budget": CHEAP});
        let mut world = with_policy(&[0.5, 0.9, 0.5], policy);
        (world.widths, world.cost_weight, world.observations[2]) = ([0.01; 3], 1e9, seen);
        world.propensities()[2]
    };
    assert!((share(0) - 0.01).abs() < 1e-4, "a tenth of a tenth, at ten times the budget: {}", share(0));
    assert!(share(1) < 0.001, "then its dollars are known: {}", share(1));
}

#[test]
fn dollars_that_the_budget_leaves_over_go_to_what_is_hardly_known() {
    let share = |slack: f64, seen: u64| {
        let policy = json!({"epsilon": 0.01, "alpha": 0.0, "budget": CHEAP});
        let mut world = with_policy(&[0.9, 0.5, 0.5], policy);
        (world.slack, world.observations[1]) = (slack, seen);
        world.propensities()[1]
    };
    let (without, with) = (share(0.0, 100), share(CHEAP, 100));
    assert!(with > 10.0 * without, "{with} {without}");
    assert!(with <= 0.1 + 1e-6, "not more than a tenth of the requests");
    assert!(share(CHEAP, 10_000) < with / 3.0, "and less when there is little to learn");
}

#[test]
fn a_first_bad_answer_does_not_keep_a_new_route_out_where_it_takes_nobodys_dollars() {
    let share = |budget: Option<f64>, slack: f64, seen: u64| {
        let policy = match budget {
            Some(budget) => json!({"epsilon": 0.01, "alpha": 0.0, "budget": budget}),
            None => json!({"epsilon": 0.01, "alpha": 0.0, "cost_weight": 0.0}),
        };
        let mut world = with_policy(&[0.9, 0.4, 0.9], policy);
        (world.widths, world.slack, world.observations[1]) = ([0.01; 3], slack, seen);
        world.propensities()[1]
    };
    assert!(share(None, 0.0, 1) > 0.09 && share(None, 0.0, 10) < 0.001);
    assert!(share(Some(CHEAP), CHEAP, 1) > 0.09 && share(Some(CHEAP), CHEAP, 10) < 0.001);
    assert!(share(Some(CHEAP), 0.0, 1) < 0.001, "but of a budget that others need it has no more");
}

#[test]
fn a_free_route_gets_nothing_of_a_budget_that_leaves_nothing_over() {
    for policy in
        [json!({"epsilon": 0.01, "alpha": 0.0}), json!({"epsilon": 0.01, "alpha": 0.0, "budget": CHEAP})]
    {
        let mut world = with_policy(&[0.1, 0.9, 0.5], policy);
        world.observations[0] = 50;
        assert!(world.propensities()[0] < 0.005, "{:?}", world.propensities());
    }
}

#[test]
fn the_uniform_policy_takes_every_candidate_alike() {
    let world = with_policy(&[0.1, 0.9, -0.5], json!({"kind": "uniform", "epsilon": 0.0}));
    assert!(world.propensities().iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-6));
    let drawn = [0.1, 0.5, 0.9].map(|draw| world.chosen(draw).unwrap());
    assert_eq!([0, 1, 2].map(|i| drawn.contains(&i)), [true; 3]);
}

#[test]
fn the_static_policy_takes_the_first_and_explores_nothing() {
    let world = with_policy(&[0.1, 0.9, 0.5], json!({"kind": "static", "epsilon": 1.0}));
    let (decision, _) = world.decide(&Signals::default(), Api::ChatCompletions, 0.0).unwrap();
    assert_eq!((decision.chosen, decision.explored), (Some(0), false));
    assert_eq!(world.propensities(), [1.0, 0.0, 0.0]);
}

/// Any world of the policies that learn, if they explore at all.
fn worlds() -> impl Strategy<Value = World> {
    let numbers = (
        prop::collection::vec(0.01f32..1.0, 3),
        prop::array::uniform3(0f32..2.0),
        prop::array::uniform3(0u64..1000),
        0.001f32..0.4,
    );
    let budget = (prop::option::of(1e-6f64..1e-2), 0f64..200.0, 0f64..1e-2);
    let kind = prop::sample::select(vec!["matching", "linucb"]);
    (numbers, budget, kind).prop_map(|((rewards, widths, observations, epsilon), budget, kind)| {
        let (budget, weight, slack) = budget;
        let policy = match budget {
            Some(dollars) => json!({"kind": kind, "alpha": 0.3, "epsilon": epsilon, "budget": dollars}),
            None => json!({"kind": kind, "alpha": 0.3, "epsilon": epsilon, "cost_weight": 1.0}),
        };
        let world = with_policy(&rewards, policy);
        World { widths, observations, cost_weight: weight, slack, ..world }
    })
}

proptest! {
    #[test]
    fn propensities_are_a_distribution_above_zero_that_leaves_most_to_the_best(world in worlds()) {
        let (decision, snapshot) = world.decide(&Signals::default(), Api::ChatCompletions, 0.999_999).unwrap();
        let Some(best) = decision.chosen else { return Ok(()) };
        let propensities = world.propensities();
        prop_assert!((propensities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        prop_assert!(propensities[best] > 0.5 - 1e-5, "{propensities:?}");
        for (i, (p, candidate)) in propensities.iter().zip(&decision.candidates).enumerate() {
            let budget = snapshot.meta.routing.policy.budget;
            let affordable = budget.map_or(1.0, |b| (b / candidate.cost).min(1.0));
            // The share of ε of a route without hope, of which the cap on all exploration takes half at most.
            let floor = f64::from(snapshot.meta.routing.policy.epsilon) / 3.0 * 0.1 * affordable;
            prop_assert!(i == best || (*p > 0.0 && f64::from(*p) > 0.5 * floor), "{p} {floor}");
        }
    }

    #[test]
    fn propensities_are_the_frequencies_of_the_draw(world in worlds()) {
        let snapshot = world.snapshot();
        let facts = RequestFacts { token_estimate: 1000, ..Default::default() };
        let context = Context::new(None, 0, &Signals::default(), &facts);
        let decided = |draw| {
            decide(&snapshot, &context, &Signals::default(), Api::ChatCompletions, &facts, None, draw).unwrap()
        };
        let mut counts = [0u32; 3];
        for i in 0..3000 {
            let decision = decided((f64::from(i) + 0.5) / 3000.0);
            if let Some(chosen) = decision.chosen {
                counts[chosen] += 1;
            }
        }
        for (i, count) in counts.iter().enumerate() {
            let p = f64::from(decided(0.5).candidates[i].propensity);
            prop_assert!((f64::from(*count) / 3000.0 - p).abs() < 2e-3, "{count} {p}");
        }
    }
}
