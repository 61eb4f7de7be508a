//! Proposals: tuned signals and learners begun anew, from the evidence to the verdict.

use dragoman_core::config::OptimizerConfig;
use dragoman_core::optimizer::{self, Seen, Step, Tried};
use dragoman_core::signals::Signals;
use log::info;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::Rules;
use super::apply::Books;
use super::rebuild::learned;
use super::train::{Anew, Proposal};
use crate::clock::now_ms;
use crate::learn::Turn;
use crate::log::LogError;

/// What tells when signals are to be tuned again: records since the last look, and the times of both.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    records: u64,
    newest_ms: u64,
    looked_ms: u64,
}

/// What tuning reads of a record.
#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    decision: Option<String>,
    model: String,
    propensity: f64,
    signals: Signals,
    response: Answered,
    #[serde(default)]
    escalated_to: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Answered {
    status: u16,
}

// === impl Sample ===

impl Sample {
    /// `reward` is the record's, `failed` that of a try that another model had to answer for.
    fn seen(self, reward: f64, failed: f64) -> Seen {
        let own = if self.escalated_to.is_some() { failed } else { reward };
        let tried = Some(Tried { model: self.model, propensity: self.propensity, reward: own });
        Seen { decision: self.decision, tried, signals: self.signals, reward }
    }
}

// === impl Lookout ===

impl Lookout {
    /// A record of this time came.
    pub(super) fn saw(&mut self, time_ms: u64) {
        self.records += 1;
        self.newest_ms = self.newest_ms.max(time_ms);
    }

    /// Whether it is time, and if so from now on the last look.
    fn is_time(&mut self, config: &OptimizerConfig, last_step_ms: u64) -> bool {
        let last = self.looked_ms.max(last_step_ms);
        let time = self.records >= config.every && self.newest_ms >= last.saturating_add(config.pause_ms);
        if time {
            (self.records, self.looked_ms) = (0, self.newest_ms);
        }
        time
    }
}

// === impl Books ===

impl Books {
    /// Tunes signals if it is time and the newest records say so. Gives the proposal.
    pub(super) fn tune(&mut self, rules: &Rules) -> Result<Option<i64>, LogError> {
        let config = &rules.optimizer;
        let tuner = self.state.tuner();
        let waits = !config.enabled || tuner.pending().is_some();
        if waits || !self.lookout.is_time(config, tuner.last_ms()) {
            return Ok(None);
        }
        let newest: Vec<(Sample, f64)> = self.log.view().newest(i64::MAX, config.window)?;
        // Of a client that left before the answer nothing is known.
        let answered = newest.into_iter().filter(|(sample, _)| sample.response.status != 0);
        let failed = self.state.failed();
        let seen: Vec<Seen> = answered.map(|(sample, reward)| sample.seen(reward, failed)).collect();
        let dials = optimizer::dials(&rules.routing, tuner.live(), &seen, config);
        let changes = optimizer::step(&tuner.awake(dials), config);
        if changes.is_empty() {
            return Ok(None);
        }
        let step = Step { changes, rest: config.rest, time_ms: self.lookout.newest_ms };
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
        Ok(Some(proposal))
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
