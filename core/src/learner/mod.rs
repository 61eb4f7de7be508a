//! The learner: hierarchical ridge regression of rewards and answer lengths, per route, in kernel features.
//!
//! This room owns the sufficient statistics, the features they are in, turning them into parameters, and the price of
//! a dollar that holds the budget ([`pacing`]). It must not know where observations come from or where parameters go. Its
//! state is a pure function of the observations in their order, so a rebuild from the replay log *is* the state.

mod arm;
mod budgets;
mod checkpoint;
mod cholesky;
mod components;
mod difficulty;
mod evidence;
mod fit;
mod hierarchy;
mod lowrank;
mod memory;
mod pacing;
mod solve;
mod trend;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{LearnerConfig, Routing};
use crate::context::Context;
use crate::cost::excess_length;
use crate::policy::{Features, LINEAR_LIMIT, Landmarks, Projection};
use crate::request::RequestFacts;
use crate::snapshot::{RouteParams, SCHEMA, Snapshot, SnapshotError, SnapshotMeta};

pub use arm::ArmStats;
pub use checkpoint::Saved;
pub use pacing::Pace;

use budgets::Budgets;
use memory::{Memory, Observed};
use trend::Trend;

/// Everything learned, by the routes' names, so that a changed configuration keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Learner {
    config: LearnerConfig,
    /// P as the encoder gives it, before it is fitted to the prompts seen.
    base: Base,
    features: Features,
    /// The one of [`FORM_WEIGHTS`] that the features have.
    form: f32,
    /// What all of the embedding says beside the kernel: the last feature but the constant, where there is one.
    trend: Option<Trend>,
    arms: BTreeMap<String, ArmStats>,
    memory: Memory,
    budgets: Budgets,
}

/// What an encoder gives the learner to start with.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// P `[p × d]`, unscaled; its last rows are [`crate::context::FORM`].
    pub projection: Projection,
    /// How many of its first rows are the embedding's.
    pub embedding: usize,
}

/// One attempt of a route at a request.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// Name of the route.
    pub route: &'a str,
    /// The request's context.
    pub context: &'a Arc<Context>,
    /// What the answer was worth.
    pub reward: f64,
    /// Length of the answer; where it is not known the prior's stands in (V is shared with the reward, so that a
    /// missing length cannot be left out).
    pub completion_tokens: Option<u32>,
}

/// What became of a prompt: what features are fitted to.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Name of the route.
    pub route: &'a str,
    /// The request's context.
    pub context: &'a Context,
    /// What the answer was worth.
    pub reward: f64,
}

/// How much the form of a text may count beside the kernel, in standard deviations: as much as the kernel, or as little as
/// its evidence makes more probable. Where prompts come from many sources, form says which, and a trend misleads.
const FORM_WEIGHTS: [f32; 3] = [1.0, 0.3, 0.1];

/// Components of an embedding that prompts are compared by: the rest is noise to routing.
const COMPONENTS: usize = 32;

// === impl Base ===

impl Base {
    /// From an encoder's principal components: `mean` is `[D]`, `components` `[C × D]`, row-major, leading ones first,
    /// with orthonormal rows. `None` if a number is not finite.
    pub fn from_components(mean: &[f32], components: &[f32]) -> Option<Self> {
        let embedding = COMPONENTS.min(components.len() / mean.len().max(1));
        let projection = Projection::from_components(embedding, mean, components)?;
        Some(Self { projection, embedding })
    }

    /// D, the size of the embeddings it takes.
    pub fn embedding_size(&self) -> usize {
        self.projection.columns().saturating_sub(crate::context::SIGNALS + crate::context::META)
    }
}

// === impl Learner ===

impl Learner {
    /// A learner that knows nothing. `budget` is the mean dollars a request may cost.
    pub fn new(config: LearnerConfig, base: Base, budget: Option<f64>) -> Self {
        let features = match config.whole_context {
            true => Features::Whole(base.projection.columns()),
            false => Features::Landmarks(Landmarks::none(base.projection.clone())),
        };
        let memory = Memory::new(!config.whole_context);
        let (arms, budgets) = (BTreeMap::new(), Budgets::new(budget));
        Self { config, base, features, form: FORM_WEIGHTS[0], trend: None, arms, memory, budgets }
    }

    /// The same with budgets of single decisions, by their names: dollars that one of their requests may cost.
    pub fn with_budgets(self, own: BTreeMap<String, f64>) -> Self {
        Self { budgets: self.budgets.with_own(own), ..self }
    }

    /// The features it works in at the moment.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Observations of `route` so far.
    pub fn observations(&self, route: &str) -> u64 {
        self.arms.get(route).map_or(0, ArmStats::observations)
    }

    /// Learns what an attempt gave. Returns false, and learns nothing, from a context of another size or a reward that
    /// is not finite.
    pub fn observe(&mut self, seen: &Observation) -> bool {
        let length = seen.completion_tokens.map_or(0.0, excess_length);
        let Some(z) = self.project(seen.context).filter(|_| seen.reward.is_finite()) else { return false };
        let arm = self.arms.entry(seen.route.to_owned()).or_insert_with(|| ArmStats::new(z.len()));
        arm.observe(&z, seen.reward, length, self.config.forgetting);
        let observed = Observed {
            route: seen.route.into(),
            ordinal: arm.observations(),
            context: Arc::clone(seen.context),
            reward: seen.reward,
            length,
        };
        if self.memory.remember(observed) {
            self.refit();
        }
        true
    }

    /// Corrects the reward of an earlier observation of `route` from `before` to `after`: exact, because rewards
    /// enter the statistics as sums. `ordinal` is the observation's number (1 for the route's first).
    pub fn revise(&mut self, route: &str, context: &Context, ordinal: u64, before: f64, after: f64) -> bool {
        let finite = before.is_finite() && after.is_finite();
        let Some(z) = self.project(context).filter(|_| finite) else { return false };
        let Some(arm) = self.arms.get_mut(route) else { return false };
        let age = arm.observations().saturating_sub(ordinal);
        arm.revise(&z, before, after, libm::pow(self.config.forgetting, age as f64));
        self.memory.revise(route, ordinal, after);
        true
    }

    /// Takes note of a request that was decided, and of the dollars it cost in the end: what the budget is paced by.
    pub fn spent(&mut self, route: &str, context: &Arc<Context>, facts: &RequestFacts, dollars: f64) {
        if context.values().len() == self.features.columns() {
            self.budgets.spent(route, context, &self.features, facts, dollars);
        }
    }

    /// All that is known, as a snapshot of `routing`.
    ///
    /// # Errors
    ///
    /// The sums are not finite, or `routing` does not hang together.
    pub fn snapshot(
        &self,
        routing: Routing,
        version: u64,
        created_ms: u64,
    ) -> Result<Snapshot, SnapshotError> {
        let malformed = || SnapshotError::Malformed("the learner's statistics are not finite".into());
        let routes = self.params(&routing).ok_or_else(malformed)?;
        let observations: Vec<u64> = routing.routes.iter().map(|r| self.observations(&r.name)).collect();
        let (pace, paces) = self.budgets.paces(&routing, &routes, &observations);
        let meta = SnapshotMeta { schema: SCHEMA, version, created_ms, observations, pace, paces, routing };
        Snapshot::new(meta, self.features.clone(), &routes)
    }

    /// The parameters of every route of `routing`, in its order. The routes of one decision compete and share; a route
    /// never seen has what they have in common.
    pub fn params(&self, routing: &Routing) -> Option<Vec<RouteParams>> {
        let k = self.features.size();
        let blank = ArmStats::new(k);
        let mut params = vec![None; routing.routes.len()];
        for decision in 0..routing.decisions.len() {
            let routes = || routing.routes.iter().enumerate().filter(|(_, r)| r.decision == decision);
            let arms: Vec<_> = routes().map(|(_, r)| self.arms.get(&r.name).unwrap_or(&blank)).collect();
            let LearnerConfig { ridge, sharing, .. } = self.config;
            let solved = match self.features {
                Features::Whole(d) => solve::apart(&arms, d, ridge)?,
                Features::Landmarks(_) => {
                    solve::together(&arms, k, evidence::best_ridge(&arms, k, ridge), sharing)?
                }
            };
            for ((route, _), solved) in routes().zip(solved) {
                *params.get_mut(route)? = Some(solved);
            }
        }
        params.into_iter().collect()
    }

    /// Fits the features to the prompts remembered and learns all observations anew in them.
    fn refit(&mut self) {
        let Some((landmarks, trend)) = self.fit(&self.memory.answered()) else { return };
        let learned = FORM_WEIGHTS.iter().filter_map(|weight| {
            let features = features(&landmarks, *weight, trend.as_ref())?;
            let arms = self.learned_in(&features, trend.as_ref());
            let all: Vec<&ArmStats> = arms.values().collect();
            let (_, evidence) = evidence::best(&all, features.size(), self.config.ridge)?;
            Some((evidence + evidence::prior(f64::from(*weight).powi(2)), features, *weight, arms))
        });
        let best = learned.max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, features, form, arms)) = best else { return };
        (self.features, self.form, self.trend, self.arms) = (features, form, trend, arms);
        self.budgets.refit(&self.features);
        self.memory.fitted();
    }

    /// Landmarks and, beside them, a trend if there is one: not where the kernel sees all of a short embedding.
    fn fit(&self, answered: &[Answered]) -> Option<(Landmarks, Option<Trend>)> {
        let unseen = self.base.embedding < self.base.embedding_size();
        let trend = unseen.then(|| Trend::of(answered, self.config.ridge)).flatten();
        let contexts: Vec<&Context> = answered.iter().map(|a| a.context).collect();
        let dimensions = self.config.dimensions.saturating_sub(usize::from(trend.is_some()));
        Some((fit::fit(&self.base, &contexts, dimensions)?, trend))
    }

    /// All that is remembered, in these features.
    fn learned_in(&self, features: &Features, trend: Option<&Trend>) -> BTreeMap<String, ArmStats> {
        let mut arms = BTreeMap::new();
        for seen in self.memory.iter() {
            let z = learned(features, trend, &seen.context);
            let arm = arms.entry(seen.route.to_string()).or_insert_with(|| ArmStats::new(z.len()));
            arm.observe(&z, seen.reward, seen.length, self.config.forgetting);
        }
        arms
    }

    fn project(&self, context: &Context) -> Option<Vec<f64>> {
        if context.values().len() != self.features.columns() {
            return None;
        }
        let z = learned(&self.features, self.trend.as_ref(), context);
        z.iter().all(|v| v.is_finite()).then_some(z)
    }
}

/// Features of landmarks whose form counts `form`, and of the trend.
fn features(landmarks: &Landmarks, form: f32, trend: Option<&Trend>) -> Option<Features> {
    let landmarks = landmarks.weighted(form)?;
    Some(Features::Landmarks(match trend {
        Some(trend) => landmarks.with_linear(trend.row())?,
        None => landmarks,
    }))
}

/// The features of a context for statistics: the trend as far as other prompts tell.
fn learned(features: &Features, trend: Option<&Trend>, context: &Context) -> Vec<f64> {
    let mut z = features.apply(context.values());
    let of_trend = z.len().saturating_sub(2);
    if let Some((trend, z)) = trend.zip(z.get_mut(of_trend)) {
        *z = trend.held_out(context).clamp(-LINEAR_LIMIT, LINEAR_LIMIT);
    }
    z.iter().map(|v| f64::from(*v)).collect()
}

#[cfg(test)]
mod tests;
