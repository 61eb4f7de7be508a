#![allow(clippy::needless_range_loop, reason = "matrix algebra reads best with its indices")]

mod checkpoint;
mod difficulty;
mod features;
mod joint;
mod pacing;
mod soundness;
mod trend;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::cost::{PRIOR_COMPLETION_TOKENS, completion_tokens};
use crate::signals::Signals;

const LEARNER: LearnerConfig = LearnerConfig {
    dimensions: 64,
    whole_context: false,
    ridge: 1.0,
    sharing: 0.0,
    forgetting: 1.0,
    publish_ms: 1000,
    batch_seconds: None,
};

/// A learner of the whole of contexts of `k` numbers, in which no route shares with another.
fn whole(k: usize, forgetting: f64) -> Learner {
    let config = LearnerConfig { whole_context: true, forgetting, ..LEARNER };
    let identity: Vec<f32> = (0..k * k).map(|i| if i / k == i % k { 1.0 } else { 0.0 }).collect();
    Learner::new(config, Base { projection: Projection::new(k, k, identity).unwrap(), embedding: 0 }, None)
}

/// A learner in at most `dimensions` kernel features of contexts with an embedding of two numbers.
fn kernel(dimensions: usize, sharing: f64, budget: Option<f64>) -> Learner {
    let config = LearnerConfig { dimensions, sharing, ..LEARNER };
    let base = Base::from_components(&[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    Learner::new(config, base, budget)
}

/// A context of exactly these numbers, as f16.
fn context(x: &[f32]) -> Arc<Context> {
    let bytes: Vec<u8> = x.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    Arc::new(Context::from_bytes(&bytes).unwrap())
}

/// The context of a prompt that is code to the degree of `code`.
fn prompt(embedding: [f32; 2], code: f32) -> Arc<Context> {
    let signals = Signals { code, ..Default::default() };
    Arc::new(Context::new(Some(&embedding), 2, &signals, &RequestFacts::default()))
}

/// Prompts that are not alike, always the same ones.
fn prompts(n: usize) -> Vec<Arc<Context>> {
    let part = |i: usize, step: f64| ((i as f64 * step).fract()) as f32;
    (0..n).map(|i| prompt([part(i, 0.618) - 0.5, part(i, 0.414) - 0.5], part(i, 0.732))).collect()
}

/// Routes `default/a`, `default/b`…, whose answers cost `prices` dollars per million tokens, in one decision.
fn routing(prices: &[f64], policy: Value) -> Routing {
    let names = ["a", "b", "c", "d"];
    let model = |price| json!({"endpoint": "http://h", "price": {"input": 0, "output": price}});
    let models: serde_json::Map<_, _> =
        names.iter().zip(prices).map(|(n, p)| ((*n).to_owned(), model(p))).collect();
    let document = json!({"models": models, "default_model": "a", "policy": policy});
    Config::from_value(&document).unwrap().routing
}

const A: &str = "default/a";
const B: &str = "default/b";

fn observe(
    learner: &mut Learner,
    route: &str,
    context: &Arc<Context>,
    reward: f64,
    tokens: Option<u32>,
) -> bool {
    learner.observe(&Observation { route, context, reward, completion_tokens: tokens })
}

/// The parameters of `default/a`, alone in its decision.
fn alone(learner: &Learner) -> RouteParams {
    learner.params(&routing(&[1.0], json!({}))).unwrap().remove(0)
}

/// Gaussian elimination, an independent solver to compare with.
fn solve_dense(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs())).unwrap();
        a.swap(i, pivot);
        b.swap(i, pivot);
        for r in i + 1..n {
            let f = a[r][i] / a[i][i];
            for c in i..n {
                a[r][c] -= f * a[i][c];
            }
            b[r] -= f * b[i];
        }
    }
    for i in (0..n).rev() {
        let tail: f64 = (i + 1..n).map(|c| a[i][c] * b[c]).sum();
        b[i] = (b[i] - tail) / a[i][i];
    }
    b
}

fn observations() -> impl Strategy<Value = Vec<(Vec<f32>, f64)>> {
    prop::collection::vec((prop::collection::vec(-1f32..1.0, 5), -1f64..1.0), 1..60)
}

fn close(a: &[f32], b: &[f32], within: f32) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < within)
}

proptest! {
    #[test]
    fn theta_is_the_ridge_solution(rows in observations()) {
        let mut learner = whole(5, 1.0);
        let mut a: Vec<Vec<f64>> = (0..5).map(|i| (0..5).map(|j| f64::from(i == j)).collect()).collect();
        let mut b = vec![0.0; 5];
        for (z, r) in &rows {
            let x = context(z);
            observe(&mut learner, A, &x, *r, None);
            for i in 0..5 {
                for j in 0..5 {
                    a[i][j] += f64::from(x.values()[i]) * f64::from(x.values()[j]);
                }
                b[i] += f64::from(x.values()[i]) * r;
            }
        }
        for (got, want) in alone(&learner).theta.iter().zip(solve_dense(a, b)) {
            prop_assert!((f64::from(*got) - want).abs() < 1e-5, "{got} {want}");
        }
    }

    #[test]
    fn a_revision_equals_having_known_the_reward_from_the_start(rows in observations(), after in -1f64..1.0) {
        let (mut late, mut early) = (whole(5, 0.99), whole(5, 0.99));
        for (i, (z, r)) in rows.iter().enumerate() {
            observe(&mut late, A, &context(z), *r, None);
            observe(&mut early, A, &context(z), if i == 0 { after } else { *r }, None);
        }
        prop_assert!(late.revise(A, &context(&rows[0].0), 1, rows[0].1, after));
        let (late, early) = (alone(&late), alone(&early));
        prop_assert!(close(&late.theta, &early.theta, 1e-5));
        prop_assert!(close(late.factor.numbers(), early.factor.numbers(), 1e-5), "the noise is revised as well");
    }

    #[test]
    fn the_same_observations_in_the_same_order_give_the_same_bits(rows in observations()) {
        let run = || {
            let mut learner = kernel(8, 0.5, None);
            for (i, (z, r)) in rows.iter().enumerate() {
                let x = prompt([z[0], z[1]], z[2].abs());
                observe(&mut learner, [A, B][i % 2], &x, *r, Some(100));
            }
            learner
        };
        let routing = routing(&[1.0, 2.0], json!({}));
        prop_assert_eq!(run(), run());
        prop_assert_eq!(run().params(&routing), run().params(&routing));
    }
}

#[test]
fn a_revision_reaches_an_observation_that_the_features_were_refitted_to() {
    for (seen_before, seen_after) in [(10, 3), (10, 100), (40, 3), (40, 100)] {
        let (mut late, mut early) = (kernel(8, 0.5, None), kernel(8, 0.5, None));
        let mut revised = false;
        for (i, x) in prompts(seen_before + seen_after).iter().enumerate() {
            let route = [A, B][i % 2];
            if i == seen_before {
                revised = late.revise(A, &prompts(5)[4], 3, 0.4, -0.9);
            }
            observe(&mut late, route, x, if i == 4 { 0.4 } else { 0.1 }, None);
            observe(&mut early, route, x, if i == 4 { -0.9 } else { 0.1 }, None);
        }
        assert!(revised);
        let routing = routing(&[1.0, 2.0], json!({}));
        let (late, early) = (late.params(&routing).unwrap(), early.params(&routing).unwrap());
        for (late, early) in late.iter().zip(&early) {
            assert!(close(&late.theta, &early.theta, 1e-5), "{seen_before} before, {seen_after} after");
            assert!(close(late.factor.numbers(), early.factor.numbers(), 1e-5));
        }
    }
}

#[test]
fn a_revision_of_a_route_never_seen_or_to_no_number_changes_nothing() {
    let mut learner = whole(2, 1.0);
    observe(&mut learner, A, &context(&[1.0, 0.5]), 0.5, None);
    let before = learner.clone();
    assert!(!learner.revise(B, &context(&[1.0, 0.5]), 1, 0.5, 1.0));
    assert!(!learner.revise(A, &context(&[1.0, 0.5]), 1, 0.5, f64::NAN));
    assert!(!learner.revise(A, &context(&[1.0]), 1, 0.5, 1.0));
    assert_eq!(learner, before);
}

#[test]
fn a_route_never_seen_has_the_prior() {
    let params = alone(&whole(3, 1.0));
    assert_eq!(params.theta, [0.0; 3]);
    let width = |z: &[f32]| params.params().score(z).width;
    let noise = width(&[1.0, 0.0, 0.0]);
    assert!((width(&[2.0, 3.0, 6.0]) / noise - 7.0).abs() < 1e-5, "V is the ridge alone");
}

#[test]
fn a_context_of_another_size_or_a_reward_that_is_no_number_teaches_nothing() {
    let mut learner = whole(3, 1.0);
    assert!(!observe(&mut learner, A, &context(&[1.0; 4]), 1.0, None));
    assert!(!observe(&mut learner, A, &context(&[1.0; 3]), f64::NAN, None));
    assert_eq!(learner.observations(A), 0);
}

#[test]
fn noisier_rewards_leave_a_wider_interval() {
    let width = |noise: f64| {
        let mut learner = whole(1, 1.0);
        for i in 0..200 {
            observe(&mut learner, A, &context(&[1.0]), 0.5 + if i % 2 == 0 { noise } else { -noise }, None);
        }
        alone(&learner).params().score(&[1.0]).width
    };
    assert!(width(0.5) > 3.0 * width(0.05), "{} {}", width(0.5), width(0.05));
}

/// Of the prompt that says nothing.
fn expected_tokens(learner: &Learner, cap: u32) -> f64 {
    let z = learner.features().apply(prompt([0.0; 2], 0.0).values());
    completion_tokens(alone(learner).params().score(&z).length, cap)
}

#[test]
fn the_output_length_is_learned_and_capped() {
    // A learner of at most one dimension has no landmark.
    let mut learner = kernel(1, 0.0, None);
    for _ in 0..2000 {
        observe(&mut learner, A, &prompt([0.0; 2], 0.0), 1.0, Some(1000));
    }
    assert!((expected_tokens(&learner, 10_000) - 1000.0).abs() < 5.0);
    assert_eq!(expected_tokens(&learner, 64), 64.0);
}

#[test]
fn the_predicted_length_is_the_mean_that_dollars_need_and_not_the_median() {
    let mut learner = kernel(1, 0.0, None);
    // Quantiles of a log-normal distribution around 400 tokens with s = 0.8, by Tukey's lambda.
    let normal = |p: f64| (libm::pow(p, 0.1349) - libm::pow(1.0 - p, 0.1349)) / 0.1975;
    let lengths: Vec<f64> = (0..2000)
        .map(|i| 400.0 * libm::exp(0.8 * normal((f64::from(i * 617 % 2000) + 0.5) / 2000.0)))
        .collect();
    for tokens in &lengths {
        observe(&mut learner, A, &prompt([0.0; 2], 0.0), 1.0, Some(tokens.round() as u32));
    }
    let mean = lengths.iter().sum::<f64>() / 2000.0;
    let predicted = expected_tokens(&learner, 100_000);
    assert!((predicted / mean - 1.0).abs() < 0.03, "{predicted} for a mean of {mean}");
}

#[test]
fn what_length_means_is_learned_as_a_trend_that_goes_on_beyond_the_lengths_seen() {
    let of_length = |embedding: [f32; 2], prompt_chars: u32| {
        let facts = RequestFacts { prompt_chars, ..Default::default() };
        Arc::new(Context::new(Some(&embedding), 2, &Signals::default(), &facts))
    };
    let mut learner = kernel(64, 0.0, None);
    for (i, x) in (0u32..).zip(prompts(300)) {
        // From 50 to 800 characters; each doubling costs 0.1.
        let doublings = (i * 37 % 100) as f32 / 25.0;
        let length = (50.0 * libm::exp2f(doublings)) as u32;
        let x = of_length([x.values()[0], x.values()[1]], length);
        observe(&mut learner, A, &x, 0.9 - 0.1 * f64::from(doublings), None);
    }
    let params = alone(&learner);
    let reward = |length| {
        let z = learner.features().apply(of_length([0.1, 0.2], length).values());
        params.params().score(&z).reward
    };
    assert!((reward(200) - 0.7).abs() < 0.03, "{}", reward(200));
    assert_eq!(learner.form, 1.0);
    // By the trend 0.3; a kernel alone goes back towards the mean, 0.7.
    assert!(reward(3200) < 0.55, "{}", reward(3200));
}

#[test]
fn where_form_means_nothing_it_counts_for_little() {
    let mut learner = kernel(64, 0.0, None);
    for (i, x) in (0u32..).zip(prompts(600)) {
        let part = |step: u32| (i * step % 101) as f32 / 100.0;
        let facts = RequestFacts { prompt_chars: 50 + i * 37 % 800, ..Default::default() };
        let lines = 1 + i * 29 % 50;
        let signals = Signals { lines, digit_share: part(53), upper_share: part(71), ..Default::default() };
        let embedding = [x.values()[0], x.values()[1]];
        let noise = if i * 43 % 97 < 48 { 0.3 } else { -0.3 };
        let x = Arc::new(Context::new(Some(&embedding), 2, &signals, &facts));
        let reward = 0.5 + f64::from(embedding[0]) + noise;
        observe(&mut learner, A, &x, reward, None);
    }
    assert!(learner.form < 1.0, "{}", learner.form);
}

#[test]
fn a_route_never_asked_is_thought_to_write_as_much_as_the_prior_says_whatever_others_write() {
    let mut learner = kernel(1, 0.5, None);
    for _ in 0..200 {
        observe(&mut learner, B, &prompt([0.0; 2], 0.0), 1.0, Some(15_000));
    }
    let tokens = |learner: &Learner| {
        let params = learner.params(&routing(&[1.0, 1.0], json!({}))).unwrap();
        let z = learner.features().apply(prompt([0.0; 2], 0.0).values());
        completion_tokens(params[0].params().score(&z).length, 100_000)
    };
    assert!((tokens(&learner) - PRIOR_COMPLETION_TOKENS).abs() < 0.1, "{}", tokens(&learner));
    observe(&mut learner, A, &prompt([0.0; 2], 0.0), 1.0, Some(15_000));
    assert!(tokens(&learner) > 5_000.0, "then its own answer counts: {}", tokens(&learner));
}

#[test]
fn a_new_route_starts_from_what_the_others_learned() {
    let mut learner = kernel(20, 0.5, None);
    for x in prompts(400) {
        let code = f64::from(x.values()[2 + 15]);
        observe(&mut learner, A, &x, code, None);
        observe(&mut learner, B, &x, 0.9 * code + 0.1, None);
    }
    let params = learner.params(&routing(&[1.0, 1.0, 1.0], json!({}))).unwrap();
    let predicted = |route: usize, x: &Context| {
        let score = params[route].params().score(&learner.features().apply(x.values()));
        (score.reward, score.width)
    };
    let (low, high) = (prompt([0.0; 2], 0.1), prompt([0.0; 2], 0.9));
    let gain = |route| predicted(route, &high).0 - predicted(route, &low).0;
    assert!((gain(0) - 0.8).abs() < 0.1, "{}", gain(0));
    assert!(gain(2) > 0.4 * gain(0), "{} of {}", gain(2), gain(0));
    assert!(predicted(2, &high).1 > 2.0 * predicted(0, &high).1, "but it is less sure of itself");
}
