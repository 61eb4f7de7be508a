//! The numbers of a simulation, over the score phase, in the mean of all seeds.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::Run;
use super::apgr::{Apgr, Pair, apgr};
use super::off_policy::{Check, check};
use super::plan::Plan;
use super::replay::Step;
use super::rows::Answer;
use super::world::Change;

/// Steps over which the share of a new arm is measured.
const WINDOW: usize = 50;
/// A new arm holds its place from this share on.
const HELD: f64 = 0.1;
/// A new arm has had its chance after so many steps.
const SETTLED: usize = 300;

pub(crate) struct Report {
    pub(crate) policy: String,
    pub(crate) budget: Option<f64>,
    pub(crate) seeds: usize,
    /// Scored rows of a run.
    pub(crate) steps: usize,
    pub(crate) learned: usize,
    pub(crate) router: Mean,
    /// Standard deviation of the reward over the seeds; not of one.
    pub(crate) sd: Option<f64>,
    /// The arms' names, in the order of the rows; shares are in their order.
    pub(crate) arms: Vec<String>,
    pub(crate) shares: Vec<f64>,
    /// The oracle's mean reward less the router's.
    pub(crate) regret: f64,
    pub(crate) baselines: Vec<BaselineMean>,
    pub(crate) apgr: Option<Apgr>,
    /// Between two changes of the world.
    pub(crate) phases: Vec<Phase>,
    pub(crate) added: Vec<Added>,
    pub(crate) off_policy: Option<Vec<Check>>,
}

/// Means over steps and seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mean {
    pub(crate) reward: f64,
    /// Dollars; `None` if any is unknown.
    pub(crate) cost: Option<f64>,
}

pub(crate) struct Phase {
    pub(crate) mean: Mean,
    pub(crate) shares: Vec<f64>,
}

pub(crate) struct BaselineMean {
    pub(crate) name: String,
    pub(crate) mean: Mean,
    pub(crate) apgr: Option<Apgr>,
}

/// What became of an arm that was added.
pub(crate) struct Added {
    pub(crate) arm: String,
    pub(crate) step: usize,
    /// Mean, over the seeds that got there, of the first step after adding at which the arm's share of the last 50
    /// steps was 10 % or more.
    pub(crate) steps_to_10_percent: Option<f64>,
    /// Share of the seeds that got there.
    pub(crate) reached: f64,
    /// Its share of the steps from the 300th after adding on.
    pub(crate) share_after_300: Option<f64>,
}

// === impl Report ===

impl Report {
    pub(crate) fn of(plan: &Plan, runs: &[Run]) -> Self {
        let means: Vec<Option<Mean>> = runs.iter().map(|run| mean(&got(&run.steps))).collect();
        let rewards: Vec<f64> = means.iter().flatten().map(|m| m.reward).collect();
        let router = over_seeds(means.into_iter());
        let baselines = baselines(runs);
        let oracle = baselines.iter().find(|b| b.name == "oracle").map_or(f64::NAN, |b| b.mean.reward);
        Self {
            policy: plan.policy.clone(),
            budget: plan.budget,
            seeds: plan.seeds,
            steps: runs.first().map_or(0, |run| run.steps.len()),
            learned: plan.learn_first.unwrap_or(plan.learn.len()),
            router,
            sd: deviation(&rewards),
            arms: plan.arms.names().to_vec(),
            shares: shares(plan, runs, 0..usize::MAX),
            regret: oracle - router.reward,
            baselines,
            apgr: plan.apgr.and_then(|pair| mean_apgr(runs.iter().map(|run| router_apgr(run, pair)))),
            phases: phases(plan, runs),
            added: added(plan, runs),
            off_policy: off_policy(runs),
        }
    }

    /// Mean cost by budget.
    pub(crate) fn usage(&self, mean: &Mean) -> Option<f64> {
        Some(mean.cost? / self.budget?)
    }

    /// The one object of `--json`.
    pub(crate) fn json(&self) -> Value {
        let named = |shares: &[f64]| -> Map<String, Value> {
            self.arms.iter().cloned().zip(shares.iter().map(|share| json!(share))).collect()
        };
        let phase = |Phase { mean, shares }: &Phase| json!({"reward": mean.reward, "use": self.usage(mean), "cost": mean.cost, "shares": named(shares)});
        let mut object = json!({
            "policy": self.policy,
            "budget": self.budget,
            "seeds": self.seeds,
            "steps": self.steps,
            "learned": self.learned,
            "reward": {"mean": self.router.reward, "sd": self.sd},
            "cost": {"mean": self.router.cost},
            "use": self.usage(&self.router),
            "shares": named(&self.shares),
            "regret": self.regret,
            "baselines": self.baselines.iter().map(BaselineMean::entry).collect::<Map<_, _>>(),
        });
        object["apgr"] = json!(self.apgr.map(|a| a.apgr));
        object["cpt50"] = json!(self.apgr.map(|a| a.cpt50));
        object["cpt80"] = json!(self.apgr.map(|a| a.cpt80));
        object["phases"] = self.phases.iter().map(phase).collect();
        object["added"] = self.added.iter().map(Added::json).collect();
        object["off_policy"] = json!(self.off_policy);
        object
    }
}

impl BaselineMean {
    fn entry(&self) -> (String, Value) {
        let mut value = json!({"reward": self.mean.reward, "cost": self.mean.cost});
        if let Some(a) = self.apgr {
            value["apgr"] = json!(a.apgr);
            value["cpt50"] = json!(a.cpt50);
            value["cpt80"] = json!(a.cpt80);
        }
        (self.name.clone(), value)
    }
}

impl Added {
    fn json(&self) -> Value {
        json!({
            "arm": self.arm,
            "step": self.step,
            "steps_to_10_percent": self.steps_to_10_percent,
            "reached": self.reached,
            "share_after_300": self.share_after_300,
        })
    }
}

fn got(steps: &[Step]) -> Vec<Answer> {
    steps.iter().map(|step| step.got).collect()
}

/// The steps of a run that lie within a range.
fn within<'a>(run: &'a Run, range: &Range<usize>) -> &'a [Step] {
    let end = range.end.min(run.steps.len());
    run.steps.get(range.start..end).unwrap_or_default()
}

fn mean(answers: &[Answer]) -> Option<Mean> {
    let n = answers.len() as f64;
    let cost: Option<f64> = answers.iter().map(|a| a.cost).sum();
    let reward: f64 = answers.iter().map(|a| a.reward).sum();
    (n > 0.0).then(|| Mean { reward: reward / n, cost: cost.map(|c| c / n) })
}

/// The mean of the seeds' means; not a number where there are none.
fn over_seeds(means: impl Iterator<Item = Option<Mean>>) -> Mean {
    let means: Vec<Mean> = means.flatten().collect();
    let n = means.len() as f64;
    let cost: Option<f64> = means.iter().map(|m| m.cost).sum();
    Mean { reward: means.iter().map(|m| m.reward).sum::<f64>() / n, cost: cost.map(|c| c / n) }
}

/// The sample's standard deviation; `None` of fewer than two.
fn deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (n > 1.0).then(|| (squares / (n - 1.0)).sqrt())
}

/// What part of the steps within the range each arm got.
fn shares(plan: &Plan, runs: &[Run], range: Range<usize>) -> Vec<f64> {
    let mut taken = vec![0.0; plan.arms.len()];
    let steps = || runs.iter().flat_map(|run| within(run, &range));
    steps().for_each(|step| taken[step.choice.arm] += 1.0);
    let total = steps().count().max(1) as f64;
    taken.into_iter().map(|n| n / total).collect()
}

fn baselines(runs: &[Run]) -> Vec<BaselineMean> {
    let Some(first) = runs.first() else { return Vec::new() };
    let one = |(index, baseline): (usize, &super::Baseline)| {
        let each = || runs.iter().filter_map(|run| run.baselines.get(index));
        let trace = |b: &super::Baseline| mean(&b.trace.iter().flatten().copied().collect::<Vec<_>>());
        BaselineMean {
            name: baseline.name.clone(),
            mean: over_seeds(each().map(trace)),
            apgr: mean_apgr(each().map(|b| b.apgr)),
        }
    };
    first.baselines.iter().enumerate().map(one).collect()
}

/// By what was predicted when each row was decided.
fn router_apgr(run: &Run, (weak, strong): (usize, usize)) -> Option<Apgr> {
    let pair = |(step, truth): (&Step, &Vec<Option<Answer>>)| {
        let of = |arm: usize| step.choice.predicted.get(arm).copied().flatten().map(|p| p.reward);
        let gain = of(strong)? - of(weak)?;
        Some(Pair { gain, weak: truth[weak]?.reward, strong: truth[strong]?.reward })
    };
    apgr(run.steps.iter().zip(&run.truth).filter_map(pair).collect())
}

fn mean_apgr(all: impl Iterator<Item = Option<Apgr>>) -> Option<Apgr> {
    let all: Vec<Apgr> = all.collect::<Option<_>>()?;
    let n = all.len() as f64;
    let mean = |of: fn(&Apgr) -> f64| all.iter().map(of).sum::<f64>() / n;
    let found = Apgr { apgr: mean(|a| a.apgr), cpt50: mean(|a| a.cpt50), cpt80: mean(|a| a.cpt80) };
    (n > 0.0).then_some(found)
}

/// Cut at every step at which something changes.
fn phases(plan: &Plan, runs: &[Run]) -> Vec<Phase> {
    let mut cuts: Vec<usize> = plan.events.iter().map(|e| e.step).filter(|s| *s > 0).collect();
    cuts.dedup();
    let end = runs.iter().map(|run| run.steps.len()).max().unwrap_or(0);
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(end));
    let phase = |(from, to): (usize, usize)| {
        let mean = over_seeds(runs.iter().map(|run| mean(&got(within(run, &(from..to))))));
        Phase { mean, shares: shares(plan, runs, from..to) }
    };
    starts.zip(ends).map(phase).collect()
}

fn added(plan: &Plan, runs: &[Run]) -> Vec<Added> {
    plan.events
        .iter()
        .filter(|e| e.change == Change::Add)
        .map(|event| {
            let after = |run: &Run| -> Vec<bool> {
                run.steps.iter().skip(event.step).map(|s| s.choice.arm == event.arm).collect()
            };
            let taken: Vec<Vec<bool>> = runs.iter().map(after).collect();
            let reached: Vec<usize> = taken.iter().filter_map(|t| steps_to_hold(t)).collect();
            let late: Vec<bool> = taken.iter().flat_map(|t| t.iter().skip(SETTLED).copied()).collect();
            let n = reached.len() as f64;
            let late_share = late.iter().filter(|t| **t).count() as f64 / late.len() as f64;
            Added {
                arm: plan.arms.name(event.arm).to_owned(),
                step: event.step,
                steps_to_10_percent: (n > 0.0).then(|| reached.iter().sum::<usize>() as f64 / n),
                reached: n / runs.len() as f64,
                share_after_300: (!late.is_empty()).then_some(late_share),
            }
        })
        .collect()
}

fn off_policy(runs: &[Run]) -> Option<Vec<Check>> {
    let seeds: Option<Vec<_>> = runs.iter().map(|run| run.off_policy.as_deref()).collect();
    seeds.map(|seeds| check(&seeds))
}

/// The first number of steps after which the share of the last 50 is 10 % or more.
fn steps_to_hold(taken: &[bool]) -> Option<usize> {
    let held = |window: &[bool]| window.iter().filter(|t| **t).count() as f64 >= HELD * WINDOW as f64;
    taken.windows(WINDOW).position(held).map(|start| start + WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_arm_holds_its_place_when_it_took_five_of_the_last_fifty_steps() {
        let mut taken = vec![false; 200];
        assert_eq!(steps_to_hold(&taken), None);
        (100..105).for_each(|i| taken[i] = true);
        assert_eq!(steps_to_hold(&taken), Some(105));
        assert_eq!(steps_to_hold(&[true; 10]), None, "not a whole window yet");
    }

    #[test]
    fn the_deviation_is_the_samples() {
        assert_eq!(deviation(&[1.0]), None);
        assert_eq!(deviation(&[1.0, 3.0]), Some(2f64.sqrt()));
    }

    #[test]
    fn one_unknown_cost_makes_the_mean_unknown() {
        let answer = |cost| Answer { reward: 0.5, cost };
        assert_eq!(
            mean(&[answer(Some(1.0)), answer(Some(3.0))]),
            Some(Mean { reward: 0.5, cost: Some(2.0) })
        );
        assert_eq!(mean(&[answer(Some(1.0)), answer(None)]).unwrap().cost, None);
        assert_eq!(mean(&[]), None);
    }
}
