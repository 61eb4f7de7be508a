//! Fitting the kernel features to the prompts that come.

use super::*;
use crate::context::FORM;
use crate::learner::fit::fit;

fn base() -> Base {
    Base::from_components(&[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap()
}

fn fitted(contexts: &[Arc<Context>], count: usize) -> Landmarks {
    let contexts: Vec<&Context> = contexts.iter().map(AsRef::as_ref).collect();
    fit(&base(), &contexts, count + FORM.len() + 1).unwrap()
}

fn apply(landmarks: Landmarks, x: &Context) -> Vec<f32> {
    Features::Landmarks(landmarks).apply(x.values())
}

#[test]
fn there_are_as_many_landmarks_as_asked_for_or_as_prompts() {
    assert_eq!(fitted(&prompts(100), 7).count(), 7);
    assert_eq!(fitted(&prompts(5), 7).count(), 5);
    assert_eq!(fitted(&prompts(5), 0).count(), 0);
    assert_eq!(fit(&base(), &[], 7), None, "nothing to fit to");
}

#[test]
fn a_learner_has_at_most_as_many_features_as_dimensions() {
    let mut learner = kernel(8, 0.0, None);
    assert_eq!(learner.features().size(), 1, "before it is fitted there is the constant alone");
    for (i, x) in prompts(300).iter().enumerate() {
        observe(&mut learner, A, x, 0.5, None);
        assert_eq!(learner.features().size(), if i + 1 < 32 { 1 } else { 8 });
    }
}

/// Three numbers of embedding, the encoder's one component along the first, traffic that differs along the third alone.
fn off_the_components(count: usize) -> (Base, Vec<Arc<Context>>) {
    let base = Base::from_components(&[0.0; 3], &[1.0, 0.0, 0.0]).unwrap();
    let x = |i| {
        let embedding = [0.2, 0.1, (i % 11) as f32 / 11.0];
        Arc::new(Context::new(Some(&embedding), 3, &Signals::default(), &RequestFacts::default()))
    };
    (base, (0..count).map(x).collect())
}

#[test]
fn prompts_are_told_apart_in_the_directions_in_which_the_traffic_differs_once_there_are_enough_of_them() {
    let direction = |count| {
        let (base, contexts) = off_the_components(count);
        let contexts: Vec<&Context> = contexts.iter().map(AsRef::as_ref).collect();
        let landmarks = fit(&base, &contexts, 12).unwrap();
        let row = landmarks.projection().values()[..3].to_vec();
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter().map(|v| (v / length).abs()).collect::<Vec<f32>>()
    };
    assert!(direction(7)[0] > 0.999, "fewer than eight for the one component: the encoder's stays");
    assert!(direction(8)[2] > 0.999, "the traffic's own");
}

#[test]
fn fitting_to_the_same_prompts_gives_the_same_bits() {
    assert_eq!(fitted(&prompts(300), 15), fitted(&prompts(300), 15));
}

#[test]
fn what_is_alike_has_like_features() {
    let contexts = prompts(300);
    let landmarks = fitted(&contexts, 31);
    let inner = |a: &Context, b: &Context| -> f32 {
        let (a, b) = (apply(landmarks.clone(), a), apply(landmarks.clone(), b));
        a.iter().zip(&b).take(31).map(|(a, b)| a * b).sum()
    };
    let here = prompt([0.1, 0.1], 0.5);
    let (near, far) = (inner(&here, &prompt([0.12, 0.1], 0.5)), inner(&here, &prompt([-0.4, 0.4], 0.0)));
    assert!(near > 0.9 && far < 0.7 * near, "{near} {far}");
}

#[test]
fn prompts_that_are_all_alike_do_not_break_the_features() {
    let same = vec![prompt([0.3, 0.1], 0.5); 200];
    let landmarks = fitted(&same, 31);
    for x in [&same[0], &prompt([-0.5, 0.4], 1.0)] {
        assert!(apply(landmarks.clone(), x).iter().all(|v| v.is_finite()));
    }
    let mut learner = kernel(32, 0.5, None);
    for x in &same {
        observe(&mut learner, A, x, 0.7, None);
    }
    let score = alone(&learner);
    let reward = score.params().score(&learner.features().apply(same[0].values())).reward;
    assert!((reward - 0.7).abs() < 0.02, "{reward}");
}

proptest! {
    #[test]
    fn features_are_finite_and_bounded_whatever_comes(
        seen in prop::collection::vec((-1f32..1.0, -1f32..1.0, 0f32..1.0, 1usize..4), 1..60),
        new in (-60_000f32..60_000.0, -60_000f32..60_000.0, 0f32..1.0),
    ) {
        let contexts: Vec<Arc<Context>> =
            seen.iter().flat_map(|(a, b, code, n)| vec![prompt([*a, *b], *code); *n]).collect();
        let landmarks = fitted(&contexts, 15);
        let of = |x: &Context| -> f32 {
            apply(landmarks.clone(), x).iter().take(landmarks.count()).map(|v| v * v).sum()
        };
        let most = contexts.iter().map(|x| of(x)).fold(0.0, f32::max);
        prop_assert!(most < 1.01, "κ(u, u) is 1: {most}");
        let most = of(&prompt([new.0, new.1], new.2));
        prop_assert!(most < 1.01, "{most}");
    }
}

#[test]
fn the_features_are_final_after_4096_observations_and_no_prompt_is_kept() {
    let mut learner = kernel(4, 0.5, None);
    let contexts = prompts(8200);
    for x in &contexts[..4095] {
        observe(&mut learner, A, x, 0.5, None);
    }
    let before = learner.features().clone();
    assert_eq!(learner.memory.answered().len(), 4095);
    observe(&mut learner, A, &contexts[4095], 0.5, None);
    let last = learner.features().clone();
    assert_ne!(last, before);
    assert_eq!(learner.memory.answered().len(), 0);
    for x in &contexts[4096..] {
        observe(&mut learner, A, x, 0.5, None);
    }
    assert_eq!(*learner.features(), last);
    assert_eq!(learner.observations(A), 8200);
}

#[test]
fn the_whole_context_is_never_fitted_nor_remembered() {
    let mut learner = whole(2, 1.0);
    for i in 0..100u8 {
        observe(&mut learner, A, &context(&[1.0, f32::from(i)]), 0.5, None);
    }
    assert_eq!(*learner.features(), Features::Whole(2));
    assert_eq!(learner.memory.answered().len(), 0);
}
