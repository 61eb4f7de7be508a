//! The full retrain: everything that the log still has, learned anew in features of the newest prompts.
//!
//! Features are final after some thousand observations, or they would have to be learned again all the time; but
//! prompts change. So now and then a learner is begun anew beside the loop. It is a proposal: when it is promoted it
//! becomes the checkpoint that rebuilds start from, and catches up with what came meanwhile.

use std::path::PathBuf;

use dragoman_core::context::Context;
use dragoman_core::learner::Answered;
use serde::Serialize;

use super::rebuild::relearn;
use crate::learn::State;
use crate::log::{View, open_reader};

/// Prompts that features are fitted to.
const NEWEST: usize = 4096;
/// With fewer there is nothing to fit.
const LEAST: usize = 32;

/// A retrain to do.
pub(super) struct Job {
    /// The log.
    pub(super) path: PathBuf,
    /// A state that knows nothing.
    pub(super) blank: State,
    /// The last event to learn.
    pub(super) through: i64,
}

/// A learner begun anew.
pub(super) struct Anew {
    /// The last event that it learned.
    pub(super) through: i64,
    /// What [`State::written`] gave.
    pub(super) state: Vec<u8>,
    /// Prompts that its features were fitted to.
    pub(super) prompts: usize,
    /// Observations that it was taught.
    pub(super) observations: u64,
}

/// What became of a retrain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Trained {
    /// It counts from now on.
    Promoted(Proposal),
    /// It waits for its verdict.
    Proposed(Proposal),
    /// Nothing was to be done; a sentence says why.
    NotNeeded {
        /// The sentence.
        why: String,
    },
}

/// A learner that was begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Its name in the audit.
    pub proposal: i64,
    /// Prompts that its features were fitted to.
    pub prompts: usize,
    /// Observations that it learned from.
    pub observations: u64,
}

#[derive(serde::Deserialize)]
struct Prompt {
    #[serde(default, with = "dragoman_core::replay::context_f16")]
    context: Option<Context>,
    #[serde(default)]
    route: Option<String>,
}

impl Job {
    /// Learns anew; `None` if the log has too few prompts.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub(super) fn run(self) -> Result<Option<Anew>, String> {
        let conn = open_reader(&self.path).map_err(|e| e.to_string())?;
        let log = View::of(&conn);
        let horizon = log.horizon().map_err(|e| e.to_string())?;
        // An unusable one would have been dropped when the loop began.
        let (start, after) = match &horizon {
            Some(horizon) => (self.blank.read(&horizon.state)?, horizon.seq),
            None => (self.blank.clone(), 0),
        };
        let newest: Vec<(Prompt, f64)> = log.newest(self.through, NEWEST).map_err(|e| e.to_string())?;
        let columns = self.blank.learner().features().columns();
        let newest: Vec<Answered> = newest
            .iter()
            .rev()
            .filter_map(|(Prompt { context, route }, reward)| {
                let context = context.as_ref().filter(|x| x.values().len() == columns)?;
                Some(Answered { route: route.as_deref().unwrap_or_default(), context, reward: *reward })
            })
            .collect();
        if newest.len() < LEAST {
            return Ok(None);
        }
        let Some(mut state) = start.anew(&newest) else { return Ok(None) };
        relearn(log, &mut state, after, self.through).map_err(|e| e.to_string())?;
        let count =
            |state: &State| state.totals().keys().map(|r| state.learner().observations(r)).sum::<u64>();
        let observations = count(&state) - count(&start);
        let written = state.written(&self.blank).map_err(|why| format!("what was learned anew {why}"))?;
        Ok(Some(Anew { through: self.through, state: written, prompts: newest.len(), observations }))
    }
}
