//! Checks the estimators of [`dragoman_core::evaluate`] against a truth that only recorded rows can tell: what other
//! policies would have earned on the very rows that the router decided and logged.

use dragoman_core::evaluate::{Estimate, Estimates, Evaluation, Logged, Range};
use serde::Serialize;

use super::encode::Prompt;
use super::replay::{Stage, Step};
use super::router::Router;
use super::rows::{Answer, Arms};

/// Rewards of rows lie in 0..1.
const RANGE: Range = Range { low: 0.0, high: 1.0 };
/// Sums of the same numbers in another order differ by less.
const ROUNDING: f64 = 1e-9;

/// A policy that is judged by the log of another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    /// Every arm alike.
    Uniform,
    /// Always this arm, over the steps where it is there.
    Fixed(usize),
    /// The router as it was when scoring began, without exploration: it has seen none of these rows.
    Snapshot,
}

/// What one seed's log says of one target, and what is true.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    target: String,
    truth: f64,
    estimates: Estimates,
}

/// One target by one estimator, in the mean over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) target: String,
    pub(crate) estimator: &'static str,
    pub(crate) estimate: f64,
    pub(crate) truth: f64,
    /// Share of the seeds whose 95 % interval held the truth.
    pub(crate) coverage: f64,
    /// Of the interval.
    pub(crate) width: f64,
}

/// The candidates of one logged step, as [`Logged`] has them.
#[derive(Debug, Clone)]
struct Record {
    /// `[K]`, as the next three.
    arms: Vec<usize>,
    /// True rewards.
    truth: Vec<f64>,
    propensity: Vec<f64>,
    predicted: Vec<f64>,
    /// Index of the one that was taken.
    chosen: usize,
    /// The arm that the snapshot of the start takes.
    snapshot: usize,
}

/// Judges all targets by the log of one seed; a target that was never there is left out.
pub(crate) fn judge(stage: &Stage, steps: &[Step], router: &mut Router, arms: &Arms) -> Vec<Judged> {
    let rows = stage.order.score.iter().map(|&row| &stage.prompts[row]);
    let logged = rows.zip(&stage.truth).zip(steps);
    let records: Vec<Record> =
        logged.filter_map(|((prompt, truth), step)| Record::of(prompt, truth, step, router)).collect();
    let fixed = arms.names().iter().enumerate().map(|(arm, name)| (name.as_str(), Target::Fixed(arm)));
    let targets = [("uniform", Target::Uniform)].into_iter().chain(fixed);
    let targets = targets.chain([("snapshot", Target::Snapshot)]);
    targets.filter_map(|(name, target)| judge_one(name, target, &records)).collect()
}

fn judge_one(name: &str, target: Target, records: &[Record]) -> Option<Judged> {
    let mut evaluation = Evaluation::new(RANGE);
    let (mut earned, mut steps) = (0.0, 0.0);
    for record in records {
        let Some(shares) = record.shares(target) else { continue };
        let logged = Logged {
            chosen: record.chosen,
            propensity: &record.propensity,
            reward: record.truth[record.chosen],
            target: &shares,
            predicted: &record.predicted,
        };
        if evaluation.add(&logged) {
            earned += shares.iter().zip(&record.truth).map(|(share, reward)| share * reward).sum::<f64>();
            steps += 1.0;
        }
    }
    let estimates = evaluation.finish()?;
    Some(Judged { target: name.to_owned(), truth: earned / steps, estimates })
}

type Of = fn(&Estimates) -> Estimate;

/// Over the seeds, each target by each estimator.
pub(crate) fn check(seeds: &[&[Judged]]) -> Vec<Check> {
    const ESTIMATORS: [(&str, Of); 3] = [("ips", |e| e.ips), ("snips", |e| e.snips), ("dr", |e| e.dr)];
    let Some(targets) = seeds.iter().max_by_key(|judged| judged.len()) else { return Vec::new() };
    let one = |target: &str, (estimator, of): (&'static str, Of)| {
        let judged: Vec<&Judged> =
            seeds.iter().flat_map(|s| s.iter()).filter(|j| j.target == target).collect();
        let mean =
            |f: &dyn Fn(&Judged) -> f64| judged.iter().map(|j| f(j)).sum::<f64>() / judged.len() as f64;
        let holds = |j: &Judged| {
            let Estimate { low, high, .. } = of(&j.estimates);
            low - ROUNDING <= j.truth && j.truth <= high + ROUNDING
        };
        Check {
            target: target.to_owned(),
            estimator,
            estimate: mean(&|j| of(&j.estimates).value),
            truth: mean(&|j| j.truth),
            coverage: mean(&|j| f64::from(holds(j))),
            width: mean(&|j| of(&j.estimates).high - of(&j.estimates).low),
        }
    };
    targets.iter().flat_map(|judged| ESTIMATORS.map(|estimator| one(&judged.target, estimator))).collect()
}

// === impl Record ===

impl Record {
    /// `None` of a step that was decided without candidates: it says nothing of any other policy.
    fn of(prompt: &Prompt, truth: &[Option<Answer>], step: &Step, router: &mut Router) -> Option<Self> {
        let offered: Vec<bool> = truth.iter().map(Option::is_some).collect();
        let snapshot = router.at_start(prompt, &offered)?;
        let mut record =
            Self { arms: vec![], truth: vec![], propensity: vec![], predicted: vec![], chosen: 0, snapshot };
        for (arm, (answer, predicted)) in truth.iter().zip(&step.choice.predicted).enumerate() {
            let (Some(answer), Some(predicted)) = (answer, predicted) else { continue };
            record.arms.push(arm);
            record.truth.push(answer.reward);
            record.propensity.push(predicted.propensity);
            record.predicted.push(predicted.reward);
        }
        record.chosen = record.arms.iter().position(|arm| *arm == step.choice.arm)?;
        Some(record)
    }

    /// π `[K]`; `None` where the target's arm is not there.
    fn shares(&self, target: Target) -> Option<Vec<f64>> {
        let only = |taken: usize| -> Option<Vec<f64>> {
            let there = self.arms.contains(&taken);
            there.then(|| self.arms.iter().map(|arm| f64::from(*arm == taken)).collect())
        };
        match target {
            Target::Uniform => Some(vec![1.0 / self.arms.len() as f64; self.arms.len()]),
            Target::Fixed(arm) => only(arm),
            Target::Snapshot => only(self.snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(chosen: usize, truth: [f64; 2]) -> Record {
        let (propensity, predicted) = (vec![0.25, 0.75], vec![0.5, 0.5]);
        Record { arms: vec![0, 2], truth: truth.into(), propensity, predicted, chosen, snapshot: 2 }
    }

    #[test]
    fn the_truth_is_what_the_target_earns_where_its_arm_is_there() {
        let records = [record(0, [1.0, 0.2]), record(1, [0.0, 0.4])];
        let truth = |target| judge_one("", target, &records).map(|j| (j.truth * 1e9).round() / 1e9);
        assert_eq!(truth(Target::Uniform), Some(0.4));
        assert_eq!(truth(Target::Fixed(0)), Some(0.5));
        assert_eq!(truth(Target::Snapshot), Some(0.3));
        assert_eq!(truth(Target::Fixed(1)), None, "it was never there");
    }

    #[test]
    fn coverage_is_the_share_of_the_seeds_whose_interval_holds_the_truth() {
        let judged = |truth| {
            let estimates =
                judge_one("", Target::Uniform, &vec![record(1, [0.5, 0.5]); 500]).unwrap().estimates;
            vec![Judged { target: "uniform".into(), truth, estimates }]
        };
        let (held, missed) = (judged(0.5), judged(0.99));
        let checks = check(&[&held, &missed, &held, &held]);
        let names: Vec<&str> = checks.iter().map(|c| c.estimator).collect();
        assert_eq!(names, ["ips", "snips", "dr"]);
        assert_eq!(checks[2].coverage, 0.75);
        assert!((checks[2].truth - (3.0 * 0.5 + 0.99) / 4.0).abs() < 1e-9);
        assert_eq!(check(&[]), []);
    }
}
