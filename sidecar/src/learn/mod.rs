//! What a replay record and the evidence about it teach: the fold over the replay log.
//!
//! This room owns which attempts of a record are observations, and what evidence changes. Its state is a pure
//! function of the configuration and of the log's events in their order. It must not know the log itself, threads
//! or clocks.

mod checkpoint;
pub mod projection;
mod turn;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dragoman_core::config::{Config, RewardConfig};
use dragoman_core::context::Context;
use dragoman_core::learner::{Answered, Learner, Observation};
use dragoman_core::optimizer::Tuner;
use dragoman_core::replay::{ReplayRecord, completion_tokens};
use dragoman_core::response::ResponseFacts;
use dragoman_core::reward::{Evidence, Reward, agreement};
use serde::{Deserialize, Serialize};

pub use turn::Turn;

/// Raise it when a record's reward or its attempts are made in another way.
const RULES: u32 = 2;

/// Everything learned so far.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    config: RewardConfig,
    learner: Learner,
    totals: BTreeMap<String, RouteTotals>,
    tuner: Tuner,
}

/// Rewards of one route, for its mean.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RouteTotals {
    /// Attempts on this route.
    pub count: u64,
    /// Sum of their rewards.
    pub sum: f64,
}

/// What was made of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The record's reward: of an escalated one, the better attempt's.
    pub reward: Reward,
    /// The route that answered, if it was a route.
    pub route: Option<String>,
    /// Number of this observation on that route (1 for its first); `None` if nothing was learned about it.
    pub ordinal: Option<u64>,
}

/// One model's try at a request.
struct Attempt<'a> {
    route: Option<&'a str>,
    reward: Reward,
    tokens: Option<u32>,
}

/// A state that knows nothing, by `config`.
///
/// # Errors
///
/// See [`projection::load`].
pub fn blank(config: &Config) -> Result<State, String> {
    let base = projection::load(Path::new(&config.encoder.path))?;
    let learner = Learner::new(config.learner, base, config.routing.policy.budget);
    Ok(State::new(config.reward, learner.with_budgets(config.routing.budgets())))
}

// === impl State ===

impl State {
    /// Nothing learned yet.
    pub fn new(reward: RewardConfig, learner: Learner) -> Self {
        Self { config: reward, learner, totals: BTreeMap::new(), tuner: Tuner::default() }
    }

    /// The learner.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// Rewards of every route seen, by its name.
    pub fn totals(&self) -> &BTreeMap<String, RouteTotals> {
        &self.totals
    }

    /// How signals are tuned.
    pub fn tuner(&self) -> &Tuner {
        &self.tuner
    }

    /// The loop decided something; `seq` is the place of that event.
    pub fn turn(&mut self, seq: i64, turn: &Turn) {
        match turn {
            Turn::Tuned(step) => self.tuner.propose(seq.unsigned_abs(), step.clone()),
            Turn::Judged { proposal, promoted } => self.tuner.judge(proposal.unsigned_abs(), *promoted),
            // A learner that counts is a checkpoint: where a rebuild starts.
            Turn::Retrained { .. } => {}
        }
    }

    /// The same, with everything still to learn in features of the prompts `newest` (in their order): see
    /// [`Learner::anew`].
    pub fn anew(&self, newest: &[Answered]) -> Option<Self> {
        Some(Self { learner: self.learner.anew(newest)?, ..self.clone() })
    }

    /// Names the rules by which rewards are counted and observations numbered: as long as it stays the same, so do
    /// the rewards and ordinals that are written beside the records.
    pub fn counted_by(&self) -> String {
        format!("rules {RULES}, {:?}, context of {}", self.config, self.learner.features().columns())
    }

    /// How long after an answer its follow-up may come, milliseconds.
    pub fn window_ms(&self) -> u64 {
        self.config.window_ms()
    }

    /// The reward of `record` with all evidence about it.
    pub fn reward(&self, record: &ReplayRecord, evidence: &[Evidence]) -> Reward {
        reward(&self.config, record, evidence)
    }

    /// What a model's own try earns that failed in a way worth a retry.
    pub fn failed(&self) -> f64 {
        unavailable(&self.config).total
    }

    /// Whether raters and the feedback detector agree about an answer, where only now, `after` and not `before`, both
    /// have spoken: so each answer is asked once.
    pub fn agreement(&self, before: &[Evidence], after: &[Evidence]) -> Option<bool> {
        agreement(&self.config, after).filter(|_| agreement(&self.config, before).is_none())
    }

    /// Learns from a new record, without evidence.
    pub fn observe(&mut self, record: &ReplayRecord) -> Outcome {
        let mut ordinal = None;
        let context = record.context.clone().map(Arc::new);
        let (failed, answer) = attempts(&self.config, record, &[]);
        for attempt in failed.iter().chain([&answer]) {
            ordinal = attempt.route.and_then(|route| self.learn(route, context.as_ref(), attempt));
        }
        // Any candidate tells the decision; what the default route costs is paid from the same budget.
        if let (Some(context), Some(candidate)) = (&context, record.candidates.first()) {
            self.learner.spent(&candidate.route, context, &record.request, record.cost);
        }
        Outcome { reward: better(failed.as_ref(), &answer), route: answer.route.map(str::to_owned), ordinal }
    }

    /// Evidence came: what is known about `record` grows from `before` to `after`, and its observation, number
    /// `ordinal` of its route, is corrected by the difference. Returns the record's new reward.
    pub fn revise(
        &mut self,
        record: &ReplayRecord,
        ordinal: Option<u64>,
        before: &[Evidence],
        after: &[Evidence],
    ) -> Reward {
        let (failed, answer) = attempts(&self.config, record, after);
        let (before, after) = (attempts(&self.config, record, before).1.reward.total, answer.reward.total);
        if let Some(route) = answer.route {
            if let (Some(context), Some(ordinal)) = (&record.context, ordinal) {
                self.learner.revise(route, context, ordinal, before, after);
            }
            self.totals.entry(route.to_owned()).or_default().sum += after - before;
        }
        better(failed.as_ref(), &answer)
    }

    fn learn(&mut self, route: &str, context: Option<&Arc<Context>>, attempt: &Attempt) -> Option<u64> {
        let totals = self.totals.entry(route.to_owned()).or_default();
        totals.count += 1;
        totals.sum += attempt.reward.total;
        let observation = Observation {
            route,
            context: context?,
            reward: attempt.reward.total,
            completion_tokens: attempt.tokens,
        };
        self.learner.observe(&observation).then(|| self.learner.observations(route))
    }
}

/// The reward of `record` with all evidence about it.
pub fn reward(config: &RewardConfig, record: &ReplayRecord, evidence: &[Evidence]) -> Reward {
    let (failed, answer) = attempts(config, record, evidence);
    better(failed.as_ref(), &answer)
}

/// The attempt that failed and was escalated, if there was one, and the attempt that answered.
fn attempts<'a>(
    config: &RewardConfig,
    record: &'a ReplayRecord,
    evidence: &[Evidence],
) -> (Option<Attempt<'a>>, Attempt<'a>) {
    // Status 0: the client left before the answer, which says nothing of the route.
    let answered = |route: Option<&'a str>| Attempt {
        route: route.filter(|_| record.response.status != 0),
        reward: Reward::of(config, &record.response, record.cost, evidence),
        tokens: completion_tokens(&record.response),
    };
    let route = record.route.as_deref();
    let Some(escalated) = &record.escalated_to else { return (None, answered(route)) };
    let failed = Attempt { route, reward: unavailable(config), tokens: None };
    (Some(failed), answered(escalated.route.as_deref()))
}

/// Of an attempt that was escalated only is known that it failed in a way worth a retry: an upstream that is not there.
fn unavailable(config: &RewardConfig) -> Reward {
    let gone = ResponseFacts { status: 503, ..ResponseFacts::default() };
    Reward::of(config, &gone, 0.0, &[])
}

/// `max(rewards) − Σ costs` (DESIGN.md §7): a failed attempt costs nothing, and the answer's cost is within its
/// efficiency, so the better total is the record's.
fn better(failed: Option<&Attempt>, answer: &Attempt) -> Reward {
    match failed {
        Some(failed) if failed.reward.total > answer.reward.total => failed.reward,
        _ => answer.reward,
    }
}

#[cfg(test)]
pub(crate) mod tests;
