//! Proposals: tuned signals and learners begun anew, from the evidence to the verdict.

use dragoman_core::optimizer::Step;
use log::info;
use serde_json::json;

use super::Rules;
use super::apply::Books;
use super::rebuild::learned;
use super::train::{Anew, Proposal};
use crate::clock::now_ms;
use crate::learn::Turn;
use crate::log::LogError;

// === impl Books ===

impl Books {
    /// Proposes a step of tuning. Gives the proposal.
    pub(super) fn propose(&mut self, step: Step) -> Result<i64, LogError> {
        self.log.begin()?;
        let proposal = self.take_turn(&Turn::Tuned(step.clone()))?;
        for change in &step.changes {
            info!("proposal {proposal}: {} {:.4} -> {:.4}", change.knob, change.before, change.after);
            self.log.audit(
                now_ms(),
                "tuned",
                &json!({"proposal": proposal, "change": change}).to_string(),
            )?;
        }
        self.log.commit()?;
        Ok(proposal)
    }

    /// Keeps a learner that was begun anew. Gives the proposal.
    pub(super) fn keep_candidate(&mut self, anew: &Anew) -> Result<Proposal, LogError> {
        self.log.begin()?;
        let id = self.take_turn(&Turn::Retrained { through: anew.through })?;
        self.log.add_candidate(id, anew.through, &anew.state, now_ms())?;
        let proposal = Proposal { proposal: id, prompts: anew.prompts, observations: anew.observations };
        self.log.audit(now_ms(), "retrained", &json!(proposal).to_string())?;
        self.log.commit()?;
        Ok(proposal)
    }

    /// Proposals that wait for their verdict, oldest first.
    pub(super) fn waiting(&self) -> Result<Vec<i64>, LogError> {
        let tuned = self.state.tuner().pending().and_then(|id| i64::try_from(id).ok());
        let candidate = self.log.view().candidate()?.and_then(|c| c.proposal);
        let mut all: Vec<i64> = tuned.into_iter().chain(candidate).collect();
        all.sort_unstable();
        Ok(all)
    }

    /// The verdict on a proposal. Promoted, tuned signals count with the next snapshot, and a learner begun anew takes the
    /// streamed one's place once it has learned what came meanwhile. Rejected, everything stays as it was. True if the
    /// learner is another one now.
    pub(super) fn judged(&mut self, rules: &Rules, proposal: i64, promoted: bool) -> Result<bool, LogError> {
        self.log.begin()?;
        self.take_turn(&Turn::Judged { proposal, promoted })?;
        let replaced = self.log.settle_candidate(proposal, promoted)? && promoted;
        let what = if promoted { "promoted" } else { "rejected" };
        self.log.audit(now_ms(), what, &json!({"proposal": proposal}).to_string())?;
        self.log.commit()?;
        if replaced {
            self.state = learned(self.log.view(), &rules.blank, i64::MAX)?;
        }
        self.changed = true;
        Ok(replaced)
    }

    /// A turn is an event: into the log, then into the state.
    fn take_turn(&mut self, turn: &Turn) -> Result<i64, LogError> {
        let seq = self.log.add_turn(turn, now_ms())?;
        self.state.turn(seq, turn);
        Ok(seq)
    }
}
