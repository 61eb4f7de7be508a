//! One difficulty for all routes: seen where it is, not where it is not.

use super::*;

/// The two routes' parameters after 3,000 prompts, each answered by one of them; `chance` gives how probable a right
/// answer of a route is at a prompt's first number, in −0.5..0.5. What is wrong and what is right is worth `worth`.
fn learned(chance: fn(usize, f64) -> f64, worth: [f64; 2]) -> (Learner, Vec<RouteParams>) {
    let mut learner = kernel(32, 0.5, None);
    for (i, x) in prompts(3000).iter().enumerate() {
        // Every other prompt's route, and a draw that neither prompts nor routes go along with.
        let (route, draw) = (i / 3 % 2, (i as f64 * 0.754_877_666).fract());
        let chance = chance(route, f64::from(x.values()[0]));
        let reward = worth[usize::from(draw < chance)];
        assert!(observe(&mut learner, [A, B][route], x, reward, None));
    }
    let params = learner.params(&routing(&[1.0, 1.0], json!({}))).unwrap();
    (learner, params)
}

/// How much better the second route is thought to be at a prompt with this first number.
fn gain(learner: &Learner, params: &[RouteParams], at: f32) -> f32 {
    let z = learner.features().apply(prompt([at, 0.0], 0.5).values());
    let reward = |route: usize| params[route].params().score(&z).reward;
    reward(1) - reward(0)
}

/// The greater x, the harder for both; the second is the stronger.
fn exam(route: usize, x: f64) -> f64 {
    1.0 / (1.0 + (4.0 * x - 1.2 - 1.4 * route as f64).exp())
}

#[test]
fn exam_questions_bend_all_routes_and_the_strong_one_pays_where_it_is_hard() {
    let (learner, params) = learned(exam, [0.0, 1.0]);
    assert!(params.iter().all(|p| p.curve.is_some()));
    let (easy, hard) = (gain(&learner, &params, -0.4), gain(&learner, &params, 0.4));
    assert!(easy < 0.1 && hard > 0.2, "{easy} {hard}");
}

#[test]
fn graded_answers_are_learned_as_ever() {
    for worth in [[0.1, 0.9], [-1.0, 0.2]] {
        let (_, params) = learned(exam, worth);
        assert!(params.iter().all(|p| p.curve.is_none()), "{worth:?}");
    }
}

#[test]
fn a_route_alone_has_no_difficulty_in_common() {
    let (learner, _) = learned(exam, [0.0, 1.0]);
    assert_eq!(alone(&learner).curve, None);
}

#[test]
fn routes_that_are_good_at_different_things_stay_as_they_are() {
    let (learner, params) = learned(|route, x| if route == 0 { 0.6 - x } else { 0.6 + x }, [0.0, 1.0]);
    assert!(params.iter().all(|p| p.curve.is_none()));
    assert!(gain(&learner, &params, 0.4) > 0.4 && gain(&learner, &params, -0.4) < -0.4);
}

#[test]
fn a_decision_that_was_told_nothing_has_no_curve() {
    let params = kernel(32, 0.5, None).params(&routing(&[1.0, 1.0], json!({}))).unwrap();
    assert!(params.iter().all(|p| p.curve.is_none()));
}
