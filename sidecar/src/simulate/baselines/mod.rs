//! What the router is measured against, on the same rows in the same order.
//!
//! Three know less than the router (random, each fixed arm, Thompson without a context), one knows something else
//! (prompt length, with every answer of the learn rows), two know what nobody can (the best static mix the true
//! means of the score rows, the oracle every answer).

mod length;
mod oracle;
mod static_mix;
mod thompson;

use super::apgr::Apgr;
use super::replay::{Feedback, Stage};
use super::rows::{Answer, Arms};

/// What one baseline gets at every score step; `None` where a fixed arm is not available.
pub(crate) type Trace = Vec<Option<Answer>>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) name: String,
    pub(crate) trace: Trace,
    /// Only of baselines that can rank rows by the gain of a strong arm.
    pub(crate) apgr: Option<Apgr>,
}

/// All of them, always in the same order.
pub(crate) fn all(
    stage: &Stage,
    arms: &Arms,
    budget: Option<f64>,
    feedback: Feedback,
    seed: u64,
    pair: Option<(usize, usize)>,
) -> Vec<Baseline> {
    let plain = |name: &str, trace| Baseline { name: name.to_owned(), trace, apgr: None };
    let mut all =
        vec![plain("random", stage.truth.iter().map(|row| blend(row, &vec![1.0; row.len()])).collect())];
    for (arm, name) in arms.names().iter().enumerate() {
        all.push(plain(name, stage.truth.iter().map(|row| row[arm]).collect()));
    }
    all.push(plain("static_mix", static_mix::trace(&stage.truth, budget)));
    let apgr = pair.and_then(|pair| length::apgr(stage, pair));
    all.push(Baseline { apgr, ..plain("prompt_length", length::trace(stage, budget)) });
    let log = stage.play(&mut thompson::Thompson::new(arms.len(), budget, seed), feedback, seed);
    all.push(plain("thompson", log.into_iter().map(|step| Some(step.got)).collect()));
    all.push(plain("oracle", oracle::trace(&stage.truth, budget)));
    all
}

/// What a draw with these weights gives in the mean, among the arms available at this step (all alike, if none of
/// those has a weight).
fn blend(row: &[Option<Answer>], weights: &[f64]) -> Option<Answer> {
    let open = || row.iter().zip(weights).filter_map(|(answer, w)| answer.map(|a| (a, *w)));
    let total: f64 = open().map(|(_, w)| w).sum();
    let count = open().count();
    if count == 0 {
        return None;
    }
    let mut mean = Answer { reward: 0.0, cost: Some(0.0) };
    for (answer, weight) in open() {
        let share = if total > 0.0 { weight / total } else { 1.0 / count as f64 };
        if share > 0.0 {
            mean.reward += share * answer.reward;
            mean.cost = mean.cost.zip(answer.cost).map(|(sum, c)| sum + share * c);
        }
    }
    Some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_is_over_what_is_available() {
        let answer = |reward, cost| Some(Answer { reward, cost });
        let row = [answer(1.0, Some(4.0)), None, answer(0.0, Some(2.0))];
        assert_eq!(blend(&row, &[1.0, 5.0, 1.0]), answer(0.5, Some(3.0)));
        assert_eq!(blend(&row, &[0.0, 5.0, 0.0]), answer(0.5, Some(3.0)), "nothing of the mix is there");
        assert_eq!(blend(&row, &[1.0, 0.0, 0.0]), answer(1.0, Some(4.0)));
        assert_eq!(blend(&[None], &[1.0]), None);
        assert_eq!(blend(&[answer(1.0, None)], &[1.0]), answer(1.0, None));
    }
}
