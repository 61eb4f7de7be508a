//! Tuning signals: when it is time, the newest records are read and weighed beside the loop, because there are many.

use std::path::PathBuf;
use std::sync::Arc;

use dragoman_core::config::{OptimizerConfig, Routing};
use dragoman_core::optimizer::{self, Seen, Step, Tried, Tuner};
use dragoman_core::signals::Signals;
use log::error;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Command;
use super::run::Loop;
use crate::log::{LogError, View, open_reader};

/// What tells when signals are to be tuned again: records since the last look, and the times of both.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    records: u64,
    newest_ms: u64,
    looked_ms: u64,
}

/// Records to be weighed.
pub(super) struct Job {
    pub(super) path: PathBuf,
    pub(super) routing: Arc<Routing>,
    pub(super) tuner: Tuner,
    pub(super) config: OptimizerConfig,
    /// Reward of a try that another model had to answer for.
    pub(super) failed: f64,
    /// Time of the newest record, milliseconds since the Unix epoch.
    pub(super) newest_ms: u64,
}

/// Records that are being weighed beside the loop.
pub(super) struct Tuning {
    /// Whether the rules have changed since.
    pub(super) outdated: bool,
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

// === impl Lookout ===

impl Lookout {
    /// A record of this time came.
    pub(super) fn saw(&mut self, time_ms: u64) {
        self.records += 1;
        self.newest_ms = self.newest_ms.max(time_ms);
    }

    /// The time of the newest record, if it is time to look; from now on that is the last look.
    fn look(&mut self, config: &OptimizerConfig, last_step_ms: u64) -> Option<u64> {
        let last = self.looked_ms.max(last_step_ms);
        let time = self.records >= config.every && self.newest_ms >= last.saturating_add(config.pause_ms);
        time.then(|| {
            (self.records, self.looked_ms) = (0, self.newest_ms);
            self.newest_ms
        })
    }
}

// === impl Loop ===

impl Loop {
    /// Has the newest records weighed if it is time. While that is under way, or a proposal waits, the next look waits too.
    pub(super) fn tune(&mut self) {
        let (config, tuner) = (&self.rules.optimizer, self.books.state.tuner());
        if !config.enabled || self.tuning.is_some() || tuner.pending().is_some() {
            return;
        }
        let Some(newest_ms) = self.books.lookout.look(config, tuner.last_ms()) else { return };
        let job = Job {
            path: self.path.clone(),
            routing: Arc::clone(&self.rules.routing),
            tuner: tuner.clone(),
            config: *config,
            failed: self.books.state.failed(),
            newest_ms,
        };
        if self.beside("dragoman-tune", move || Command::Weighed(job.run().map_err(|e| e.to_string()))) {
            self.tuning = Some(Tuning { outdated: false });
        }
    }

    /// Records were weighed: what they say is proposed.
    pub(super) fn weighed(&mut self, found: Result<Step, String>) -> Result<(), LogError> {
        let Some(Tuning { outdated: false }) = self.tuning.take() else { return Ok(()) };
        match found {
            Err(why) => error!("signals were not tuned: {why}"),
            Ok(step) if step.changes.is_empty() => {}
            Ok(step) => {
                let proposal = self.books.propose(step)?;
                self.put_forward(proposal)?;
            }
        }
        Ok(())
    }
}

// === impl Job ===

impl Job {
    /// Reads the records and weighs them. The step may have no changes.
    pub(super) fn run(self) -> Result<Step, LogError> {
        let conn = open_reader(&self.path)?;
        let newest: Vec<(Sample, f64)> = View::of(&conn).newest(i64::MAX, self.config.window)?;
        // Of a client that left before the answer nothing is known.
        let answered = newest.into_iter().filter(|(sample, _)| sample.response.status != 0);
        let seen: Vec<Seen> = answered.map(|(sample, reward)| sample.seen(reward, self.failed)).collect();
        let dials = optimizer::dials(&self.routing, self.tuner.live(), &seen, &self.config);
        let changes = optimizer::step(&self.tuner.awake(dials), &self.config);
        Ok(Step { changes, rest: self.config.rest, time_ms: self.newest_ms })
    }
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
