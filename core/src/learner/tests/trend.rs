//! What all of the embedding says of rewards beside the kernel.

use super::*;
use crate::learner::trend::Trend;

const NUMBERS: usize = 6;

/// Numbers in −.5..5 that do not go together, always the same ones.
fn noise(i: usize, salt: usize) -> f32 {
    ((i * 7919 + salt * 104_729 + i * i % 1009 * salt) % 997) as f32 / 997.0 - 0.5
}

fn prompt_of(embedding: &[f32]) -> Arc<Context> {
    Arc::new(Context::new(Some(embedding), NUMBERS, &Signals::default(), &RequestFacts::default()))
}

fn prompts_of_noise(n: usize) -> Vec<Arc<Context>> {
    (0..n).map(|i| prompt_of(&(0..NUMBERS).map(|j| noise(i, j + 1)).collect::<Vec<_>>())).collect()
}

/// Two routes that take turns, the second worth .3 less.
fn answers<'a>(contexts: &'a [Arc<Context>], reward: impl Fn(usize) -> f64) -> Vec<Answered<'a>> {
    let answer = |(i, context): (usize, &'a Arc<Context>)| {
        let (route, less) = if i % 2 == 0 { ("default/a", 0.0) } else { ("default/b", 0.3) };
        Answered { route, context, reward: reward(i) - less }
    };
    contexts.iter().enumerate().map(answer).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn it_is_the_direction_in_which_rewards_rise_whatever_routes_are_worth() {
    let contexts = prompts_of_noise(400);
    let rises = |i: usize| f64::from(0.3 * contexts[i].values()[3] - 0.4 * contexts[i].values()[5]);
    let trend = Trend::of(&answers(&contexts, rises), 1.0).unwrap();
    let along = cosine(&trend.row()[..NUMBERS], &[0.0, 0.0, 0.0, 0.3, 0.0, -0.4]);
    assert!(along > 0.98, "{along}");
    let values: Vec<f32> = contexts.iter().map(|x| trend.held_out(x)).collect();
    let deviation = (values.iter().map(|v| v * v).sum::<f32>() / 400.0).sqrt();
    assert!((deviation - 0.25).abs() < 0.01, "{deviation}");
}

#[test]
fn rewards_that_follow_nothing_have_none() {
    let contexts = prompts_of_noise(400);
    assert_eq!(Trend::of(&answers(&contexts, |i| f64::from(noise(i, 77))), 1.0), None);
    assert_eq!(Trend::of(&answers(&contexts, |_| 0.7), 1.0), None, "all alike");
    assert_eq!(Trend::of(&[], 1.0), None, "nothing seen");
    let alike = vec![prompt_of(&[0.3; NUMBERS]); 64];
    assert_eq!(Trend::of(&answers(&alike, |i| f64::from(noise(i, 5))), 1.0), None, "one prompt");
}

#[test]
fn statistics_see_of_a_prompt_what_other_prompts_say() {
    // The last number is that of one prompt alone, which was worth far more than all others.
    let mut contexts: Vec<_> = (0..256)
        .map(|i| prompt_of(&[noise(i, 1), noise(i, 2), noise(i, 3), noise(i, 4), noise(i, 5), 0.0]))
        .collect();
    contexts[9] = prompt_of(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let rises = |i: usize| if i == 9 { 2.0 } else { f64::from(contexts[i].values()[0]) };
    let trend = Trend::of(&answers(&contexts, rises), 1.0).unwrap();
    let (own, whole) = (trend.held_out(&contexts[9]), trend.row()[NUMBERS - 1]);
    assert!(whole > 0.5, "a new prompt like it is expected to be worth much: {whole}");
    assert!(own.abs() < 0.1 * whole, "but of itself it does not say so: {own} {whole}");
}

#[test]
fn a_missing_embedding_counts_as_an_average_one() {
    let contexts: Vec<_> = (0..200)
        .map(|i| prompt_of(&(0..NUMBERS).map(|j| 0.4 + noise(i, j + 1)).collect::<Vec<_>>()))
        .collect();
    let trend = Trend::of(&answers(&contexts, |i| f64::from(contexts[i].values()[1])), 1.0).unwrap();
    let none = Context::new(None, NUMBERS, &Signals::default(), &RequestFacts::default());
    assert_eq!(trend.held_out(&none), 0.0);
    assert!(trend.held_out(&prompt_of(&[0.4; NUMBERS])).abs() < 0.05);
}

#[test]
fn a_learner_finds_in_it_what_no_component_shows() {
    let base = Base::from_components(&[0.0; NUMBERS], &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    let config = LearnerConfig { dimensions: 16, ..LEARNER };
    let mut learner = Learner::new(config, base, None);
    // The traffic's one component is along the first number; rewards rise with the last.
    let spread = |i: usize| -> Vec<f32> {
        (0..NUMBERS).map(|j| if j == 0 { 3.0 * noise(i, 1) } else { noise(i, j + 1) }).collect()
    };
    for i in 0..512 {
        let x = prompt_of(&spread(i));
        let reward = 0.5 + f64::from(0.5 * x.values()[NUMBERS - 1] + 0.2 * noise(i, 50));
        observe(&mut learner, A, &x, reward, None);
    }
    assert_eq!(learner.features().size(), 16, "it takes a landmark's place");
    let params = alone(&learner);
    let reward = |last: f32| {
        let x = prompt_of(&[0.0, 0.0, 0.0, 0.0, 0.0, last]);
        params.params().score(&learner.features().apply(x.values())).reward
    };
    let rise = reward(0.4) - reward(-0.4);
    assert!((rise - 0.4).abs() < 0.08, "{rise}");

    let (x, trend) = (prompt_of(&spread(5)), learner.trend.as_ref());
    let (decided, observed) = (learner.features().apply(x.values()), learned(learner.features(), trend, &x));
    let differ: Vec<usize> = (0..16).filter(|i| f64::from(decided[*i]) != observed[*i]).collect();
    assert_eq!(differ, [14], "statistics see another trend than decisions, and nothing else");
    assert_eq!(observed[14] as f32, trend.unwrap().held_out(&x));
}

proptest! {
    #[test]
    fn any_answers_have_a_finite_trend_or_none(
        numbers in prop::collection::vec(-6e4f32..6e4, NUMBERS..40 * NUMBERS),
        rewards in prop::collection::vec(-1e3f64..1e3, 40),
        ridge in 1e-3f64..1e4,
    ) {
        let contexts: Vec<_> = numbers.chunks_exact(NUMBERS).map(prompt_of).collect();
        let Some(trend) = Trend::of(&answers(&contexts, |i| rewards[i]), ridge) else { return Ok(()) };
        prop_assert!(trend.fits(contexts[0].values().len()));
        prop_assert!(contexts.iter().all(|x| trend.held_out(x).is_finite()));
    }
}
