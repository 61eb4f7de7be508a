//! The learner: disjoint ridge regression per route in the projected context.
//!
//! This room owns the sufficient statistics and turning them into parameters. It must not know where
//! observations come from or where parameters go. All its state is sums, so the same observations in the same
//! order give the same bits — a rebuild from the replay log *is* the state.

mod arm;
mod cholesky;

use std::collections::BTreeMap;

use crate::config::LearnerConfig;
use crate::context::Context;
use crate::policy::Projection;
use crate::snapshot::RouteParams;

pub use arm::ArmStats;

/// What a route is thought to answer with before anything is known, in completion tokens.
pub const PRIOR_COMPLETION_TOKENS: f64 = 256.0;

/// ln(1 + [`PRIOR_COMPLETION_TOKENS`]), which every candidate of every decision needs.
const PRIOR_LENGTH: f64 = 5.549_076_084_895_22;

/// Statistics of every route, by its name, so that a changed configuration keeps what was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learner {
    config: LearnerConfig,
    projection: Projection,
    arms: BTreeMap<String, ArmStats>,
}

impl Learner {
    /// A learner that knows nothing.
    pub fn new(config: LearnerConfig, projection: Projection) -> Self {
        Self { config, projection, arms: BTreeMap::new() }
    }

    /// P.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Observations of `route` so far.
    pub fn observations(&self, route: &str) -> u64 {
        self.arms.get(route).map_or(0, ArmStats::observations)
    }

    /// Learns that `route` gave `reward` in `context`, answering with `completion_tokens` where known (else the
    /// prior's length stands in: V is shared with the reward, so a missing length cannot be left out). Returns
    /// false, and learns nothing, from a context of another size or a reward that is not finite.
    pub fn observe(
        &mut self,
        route: &str,
        context: &Context,
        reward: f64,
        completion_tokens: Option<u32>,
    ) -> bool {
        let Some(z) = self.project(context).filter(|_| reward.is_finite()) else { return false };
        let length = completion_tokens.map_or(0.0, excess_length);
        let arm = self.arms.entry(route.to_owned()).or_insert_with(|| ArmStats::new(z.len()));
        arm.observe(&z, reward, length, self.config.forgetting);
        true
    }

    /// Corrects an earlier observation of `route` whose reward turned out `delta` higher: exact, because the
    /// reward enters the statistics linearly. `ordinal` is the observation's number (1 for the route's first).
    pub fn revise(&mut self, route: &str, context: &Context, ordinal: u64, delta: f64) -> bool {
        let Some(z) = self.project(context).filter(|_| delta.is_finite()) else { return false };
        let Some(arm) = self.arms.get_mut(route) else { return false };
        let age = arm.observations().saturating_sub(ordinal);
        arm.revise(&z, delta * libm::pow(self.config.forgetting, age as f64));
        true
    }

    /// The parameters of `route` for the next snapshot; of a route never seen, the prior.
    pub fn params(&self, route: &str) -> Option<RouteParams> {
        match self.arms.get(route) {
            Some(arm) => arm.params(self.config.ridge),
            None => ArmStats::new(self.projection.rows()).params(self.config.ridge),
        }
    }

    fn project(&self, context: &Context) -> Option<Vec<f64>> {
        if context.values().len() != self.projection.columns() {
            return None;
        }
        let z = self.projection.apply(context.values());
        z.iter().all(|v| v.is_finite()).then(|| z.iter().map(|v| f64::from(*v)).collect())
    }
}

/// ln(tokens + 1) above the prior's: what the length regressor learns.
fn excess_length(tokens: u32) -> f64 {
    libm::log1p(f64::from(tokens)) - PRIOR_LENGTH
}

/// The completion tokens that a predicted excess length means, at most `cap`.
pub fn completion_tokens(excess: f32, cap: u32) -> f64 {
    let log = f64::from(excess) + PRIOR_LENGTH;
    libm::expm1(log.clamp(0.0, 20.0)).min(f64::from(cap))
}

#[cfg(test)]
mod tests;
