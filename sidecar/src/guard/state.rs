//! What the guard knows while the loop runs, and what of it a restart must find again.

use std::sync::Arc;

use dragoman_core::config::{AlertsConfig, CanaryMode, GuardConfig};
use dragoman_core::guard::rollout::{Arm, Judgement, Rollout, Seen};
use dragoman_core::guard::split::Split;
use dragoman_core::guard::watch::{Alert, Kind, Observed, Watch};
use dragoman_core::guard::{CANARY, LIVE};
use dragoman_core::replay::ReplayRecord;
use dragoman_core::snapshot::Snapshot;
use log::warn;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::webhook::Posted;
use crate::log::{LogError, View};
use crate::metrics::Metrics;
use crate::writer::Knowledge;

/// A candidate on trial.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The proposal that it comes from; `None` of streamed knowledge.
    pub proposal: Option<i64>,
    /// What is tried; its version names it in records.
    pub snapshot: Arc<Snapshot>,
    /// Who sees it.
    pub split: Split,
}

/// Why nothing is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Somebody rolled back and has not said to go on.
    RolledBack,
    /// Success has dropped.
    SuccessDropped,
}

/// Something that people are told; what a webhook is posted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// What it is about.
    pub kind: String,
    /// Whether something begins; else it is over.
    pub raised: bool,
    /// A sentence.
    pub message: String,
    /// What was measured, if anything was.
    pub value: Option<f64>,
    /// What it may be.
    pub limit: Option<f64>,
    /// When, milliseconds since the Unix epoch.
    pub time: u64,
}

/// The guard's state.
#[derive(Debug)]
pub struct Guard {
    /// What new snapshots must show.
    pub config: GuardConfig,
    /// What people are told.
    pub alerts: AlertsConfig,
    /// What is on trial, with what was seen of it.
    pub trial: Option<(Trial, Rollout)>,
    /// Published instead of what is learned: what somebody went back to, or what was last approved.
    pub pinned: Option<Arc<Snapshot>>,
    /// Somebody rolled back.
    pub rolled_back: bool,
    /// The newest proposal that waits for its trial.
    pub waiting: Option<Knowledge>,
    /// Whether a candidate is being judged by the log at the moment.
    pub validating: bool,
    /// Rises when candidates that are being judged are overtaken.
    pub generation: u64,
    watch: Watch,
    hook: mpsc::Sender<Posted>,
    metrics: Metrics,
}

/// What a restart must find again; the rest is in the log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) trial: Option<Remembered>,
    pub(crate) rolled_back: bool,
    #[serde(default)]
    watch: Watch,
}

/// A trial without its snapshot, which is in the blob of the newest snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    proposal: Option<i64>,
    pub(crate) version: u64,
    split: Split,
    rollout: Rollout,
}

/// Whether a choice explores: chance made it, or the bonus did. `None` if there was no choice.
fn explored(record: &ReplayRecord) -> Option<bool> {
    let value = |c: &dragoman_core::replay::CandidateRecord| c.utility - c.bonus;
    let best = record.candidates.iter().max_by(|a, b| value(a).total_cmp(&value(b)))?;
    Some(record.explored || record.route.as_ref().is_some_and(|route| *route != best.route))
}

// === impl Guard ===

impl Guard {
    /// Nothing seen yet.
    pub fn new(
        config: GuardConfig,
        alerts: AlertsConfig,
        hook: mpsc::Sender<Posted>,
        metrics: Metrics,
    ) -> Self {
        Self {
            config,
            alerts,
            trial: None,
            pinned: None,
            rolled_back: false,
            waiting: None,
            validating: false,
            generation: 0,
            watch: Watch::default(),
            hook,
            metrics,
        }
    }

    /// A record came and was worth `reward`.
    pub fn see(&mut self, record: &ReplayRecord, reward: f64) {
        let status = record.response.status;
        // The client left before the answer: that says nothing.
        if status == 0 {
            return;
        }
        self.watch.see(&Observed {
            time_ms: record.time_ms,
            ok: (200..300).contains(&status),
            dollars: record.cost,
            explored: explored(record),
            model: record.escalated_to.as_ref().map_or(&record.model, |e| &e.model),
            reward,
        });
        self.compare(record, reward);
    }

    /// A record's reward was `before` and is now `after`.
    pub fn revise(&mut self, record: &ReplayRecord, before: f64, after: f64) {
        if let (Some(arm), Some((_, rollout))) = (self.arm(record), &mut self.trial) {
            rollout.revise(arm, &seen(record, after), before);
        }
    }

    /// Implicit feedback did or did not agree with explicit feedback on the same answer.
    pub fn detector(&mut self, agree: bool) {
        self.watch.pair(agree);
    }

    /// Shows a record to the trial alone.
    fn compare(&mut self, record: &ReplayRecord, reward: f64) {
        if let (Some(arm), Some((_, rollout))) = (self.arm(record), &mut self.trial) {
            rollout.see(arm, &seen(record, reward));
        }
    }

    /// The arm that a record speaks for, while something is on trial.
    fn arm(&self, record: &ReplayRecord) -> Option<Arm> {
        let (trial, _) = self.trial.as_ref()?;
        if record.response.status == 0 || record.snapshot_version == 0 {
            return None;
        }
        match record.arm.as_str() {
            LIVE => Some(Arm::Live),
            CANARY => (record.snapshot_version == trial.snapshot.meta.version).then_some(Arm::Canary),
            _ => None,
        }
    }

    /// What is to be done about the trial.
    pub fn judge(&self) -> Judgement {
        let held = self.held().is_some();
        let judgement =
            self.trial.as_ref().map_or(Judgement::Hold, |(_, rollout)| rollout.judge(&self.config));
        match judgement {
            // While something is wrong with the traffic as a whole nothing gets more of it.
            Judgement::Widen(_) | Judgement::Promote if held => Judgement::Hold,
            judgement => judgement,
        }
    }

    /// Whether what is learned may not be published.
    pub fn held(&self) -> Option<Held> {
        match (self.rolled_back, self.config.pause && self.watch.paused()) {
            (true, _) => Some(Held::RolledBack),
            (_, true) => Some(Held::SuccessDropped),
            _ => None,
        }
    }

    /// Somebody says to go on; false if nothing was held.
    pub fn release(&mut self) -> bool {
        let waived = self.watch.waive();
        std::mem::take(&mut self.rolled_back) || waived
    }

    /// What α is published times.
    pub fn alpha(&self) -> f64 {
        if self.config.temper { self.watch.alpha() } else { 1.0 }
    }

    /// Whether streamed knowledge is tried first.
    pub fn tries_streams(&self) -> bool {
        self.config.canary == CanaryMode::All
    }

    /// Looks at the traffic; tells what began or is over.
    pub fn look(&mut self, now_ms: u64) -> Vec<Alert> {
        let alerts = self.watch.check(&self.alerts, now_ms);
        for alert in &alerts {
            if alert.raised {
                self.metrics.guard.begins(alert.kind);
            }
            self.tell(Notice {
                kind: alert.kind.name().to_owned(),
                raised: alert.raised,
                message: alert.message.clone(),
                value: Some(alert.value),
                limit: Some(alert.limit),
                time: alert.time,
            });
        }
        alerts
    }

    /// Tells people.
    pub fn tell(&self, notice: Notice) {
        warn!("{}: {}", notice.kind, notice.message);
        if let Some(url) = &self.alerts.webhook
            && self.hook.try_send((url.clone(), notice)).is_err()
        {
            self.metrics.guard.webhook_failures.inc();
        }
    }

    /// Brings the metrics up to date.
    pub fn show(&self) {
        let metrics = &self.metrics.guard;
        let rollout = self.trial.as_ref().map(|(_, rollout)| rollout);
        metrics.share.set(rollout.map_or(0, |r| r.share().into()));
        let requests = rollout.map_or(0, |r| r.evidence(&self.config).requests.canary);
        metrics.requests.set(i64::try_from(requests).unwrap_or(i64::MAX));
        metrics.paused.set(self.held().is_some().into());
        metrics.alpha.set(self.alpha());
        Kind::ALL.iter().for_each(|kind| metrics.episode(*kind, self.watch.active().any(|k| k == *kind)));
    }

    /// For people.
    pub fn status(&self) -> Value {
        let trial = self.trial.as_ref().map(|(trial, rollout)| {
            json!({
                "version": trial.snapshot.meta.version,
                "proposal": trial.proposal,
                "since_ms": rollout.since_ms(),
                "evidence": rollout.evidence(&self.config),
            })
        });
        json!({
            "publishing": self.held().map_or(json!("open"), |held| json!(held)),
            "pinned": self.rolled_back.then(|| self.pinned.as_ref().map(|s| s.meta.version)),
            "trial": trial,
            "waiting": self.waiting.as_ref().map(|k| &k.tag),
            "alpha_factor": self.alpha(),
            "alerts": self.watch.active().map(|kind| kind.name()).collect::<Vec<_>>(),
        })
    }

    /// What a restart must find again, as JSON.
    pub(crate) fn memory(&self) -> Memory {
        let remembered = |(trial, rollout): &(Trial, Rollout)| Remembered {
            proposal: trial.proposal,
            version: trial.snapshot.meta.version,
            split: trial.split,
            rollout: rollout.clone(),
        };
        Memory {
            trial: self.trial.as_ref().map(remembered),
            rolled_back: self.rolled_back,
            watch: self.watch.clone(),
        }
    }

    /// Takes up where an earlier run stopped; `newest` is the snapshot that it published last. False if there was a trial
    /// that cannot go on.
    pub(crate) fn remember(
        &mut self,
        memory: Memory,
        newest: Option<Snapshot>,
        log: View,
    ) -> Result<bool, LogError> {
        (self.watch, self.rolled_back) = (memory.watch, memory.rolled_back);
        let Some(mut live) = newest else { return Ok(memory.trial.is_none()) };
        let canary = live.take_canary();
        if self.rolled_back || self.tries_streams() {
            self.pinned = Some(Arc::new(live));
        }
        let Some(Remembered { proposal, version, split, rollout }) = memory.trial else { return Ok(true) };
        let Some(canary) = canary.filter(|c| c.snapshot.meta.version == version) else { return Ok(false) };
        let trial = Trial { proposal, snapshot: Arc::new(*canary.snapshot), split };
        self.trial = Some((trial, rollout));
        self.recount(log)?;
        Ok(true)
    }

    /// Counts the records of the trial anew, from the log.
    pub(crate) fn recount(&mut self, log: View) -> Result<(), LogError> {
        let Some((_, rollout)) = &mut self.trial else { return Ok(()) };
        rollout.forget();
        let since = rollout.since_ms();
        log.rewarded_since(since, |record, reward| self.compare(record, reward))
    }
}

fn seen(record: &ReplayRecord, reward: f64) -> Seen<'_> {
    Seen {
        session: record.session.as_deref(),
        time_ms: record.time_ms,
        reward,
        failed: record.response.status >= 400,
        latency_ms: record.response.latency_ms,
    }
}
