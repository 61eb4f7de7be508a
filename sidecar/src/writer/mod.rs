//! The loop: one thread that owns the log's connection and the learner, so that the order in the log *is* the
//! order of learning.
//!
//! Commands come over a bounded queue. What waits is written in one transaction (group commit) and acknowledged
//! after it. This room must not know HTTP, Envoy or how a snapshot is made.

mod apply;
mod books;
mod chores;
mod guarded;
mod hear;
mod offline;
mod propose;
mod publishing;
mod rebuild;
mod retain;
mod run;
mod timetable;
mod train;
mod trial;
mod tune;
mod verify;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use bytes::Bytes;
use dragoman_core::config::{AlertsConfig, Config, GuardConfig, OptimizerConfig, Retention, Routing};
use dragoman_core::evaluate::Range;
use dragoman_core::learner::Learner;
use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::{Feedback, Reward};
use dragoman_core::signals::SignalModel;
use dragoman_core::snapshot::Snapshot;
use tokio::sync::oneshot;

use crate::guard::Trial;
use crate::key::Secrets;
use crate::learn::State;
use crate::metrics::Metrics;
use crate::report;

pub use guarded::RolledBack;
pub use offline::train as train_offline;
pub use run::{Setup, start};
pub use timetable::{Chore, Schedule, When};
pub use train::{Proposal, Trained};

/// Commands that may wait; one more is refused, so that a slow disk shows at the door and not in memory.
const QUEUE: usize = 256;

/// Feedback that may wait for its record.
const MAX_PENDING: u64 = 10_000;

/// How long feedback waits for its record, milliseconds.
const PENDING_MS: u64 = 3_600_000;

/// What was learned, on its way to a snapshot.
#[derive(Debug, Clone)]
pub struct Knowledge {
    /// A copy of the learner.
    pub learner: Learner,
    /// The configuration that it is published with, tuned.
    pub routing: Arc<Routing>,
    /// The configuration itself.
    pub configured: Arc<Routing>,
    /// What embeddings are read with there.
    pub signals: Arc<SignalModel>,
    /// Why it is published: `start`, `stream`, `batch`, `reload`; `canary`, `widen`, `withdraw`, `promote` as a trial goes
    /// on; `proposal`, `rollback`, `resume`, `weekly-YEAR-WEEK`.
    pub tag: Cow<'static, str>,
    /// The version of its snapshot.
    pub version: u64,
    /// The proposal that it is, to be tried first; `None` goes live at once.
    pub candidate: Option<i64>,
    /// What is on trial beside it.
    pub trial: Option<Trial>,
    /// Published instead of what was learned.
    pub pinned: Option<Arc<Snapshot>>,
    /// What α is multiplied with.
    pub alpha: f64,
}

/// What of the configuration the loop goes by; all of it may change while it runs.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A state that knows nothing.
    pub blank: State,
    /// Published beside the learner.
    pub routing: Arc<Routing>,
    /// The same.
    pub signals: Arc<SignalModel>,
    /// At most one streamed publish in this time.
    pub publish_every: Duration,
    /// What is done by the clock.
    pub schedule: Schedule,
    /// How long the log is kept.
    pub retention: Retention,
    /// How signals are tuned.
    pub optimizer: OptimizerConfig,
    /// Where reports go.
    pub reports: PathBuf,
    /// How long a new record waits for earlier ones of its conversation, milliseconds: see [`Chain`].
    pub hold_ms: u64,
    /// Rewards that are possible.
    pub range: Range,
    /// What new snapshots must show.
    pub guard: GuardConfig,
    /// What people are told.
    pub alerts: AlertsConfig,
}

// === impl Rules ===

impl Rules {
    /// The rules of `config`, whose learner starts as `blank` and whose embeddings are read with `signals`.
    pub fn of(config: &Config, blank: State, signals: Arc<SignalModel>, secrets: Secrets) -> Self {
        let (low, high) = Reward::range(&config.reward);
        Self {
            blank,
            routing: Arc::new(secrets.put_into(&config.routing)),
            signals,
            publish_every: Duration::from_millis(config.learner.publish_ms),
            schedule: timetable::schedule(config),
            retention: config.retention,
            optimizer: config.optimizer,
            reports: report::folder(config),
            // Each worker sends what it has once in this time.
            hold_ms: 2 * u64::from(config.replay.flush_ms),
            range: Range { low, high },
            guard: config.guard.clone(),
            alerts: config.alerts.clone(),
        }
    }
}

/// What became of a batch of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// New records, now on the disk.
    pub accepted: usize,
    /// Records that were there already.
    pub duplicates: usize,
}

/// What became of feedback.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rating {
    /// It counts; the record's new reward.
    Counted(Reward),
    /// This rater has spoken before; the record's reward as it was.
    SaidBefore(Reward),
    /// The record is not here yet; the feedback waits for it.
    Waiting,
    /// Too much feedback waits for records.
    TooManyWaiting,
    /// The record is older than what the log keeps.
    TooOld,
}

/// Feedback on one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The record's id.
    pub replay_id: String,
    /// Who says it.
    pub rater: String,
    /// What is said, checked.
    pub feedback: Feedback,
    /// When, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// How much it counts, 0..=1; see [`dragoman_core::trust`].
    pub weight: f64,
}

/// A judge's score of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scored {
    /// The record's id.
    pub replay_id: String,
    /// 1 to 5.
    pub score: u8,
    /// When, milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// A built snapshot.
#[derive(Debug, Clone)]
pub struct NewSnapshot {
    /// Its version.
    pub version: u64,
    /// When it was built, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// See [`Knowledge::tag`].
    pub tag: Cow<'static, str>,
    /// The signed blob.
    pub blob: Bytes,
}

/// What the loop is asked to do.
enum Command {
    Ingest(Vec<ReplayRecord>, oneshot::Sender<Ingested>),
    Rate(Said, oneshot::Sender<Rating>),
    Score(Scored, oneshot::Sender<()>),
    Keep(NewSnapshot, oneshot::Sender<()>),
    /// Go on by other rules; the text says for the audit what changed.
    Reload(Box<Rules>, String, oneshot::Sender<()>),
    /// What the guard, or somebody, asks for.
    Guard(guarded::Order),
    /// A rebuild beside the loop has ended.
    Verified(Result<verify::Verdict, String>),
    /// Learn everything anew.
    Train(oneshot::Sender<Result<Trained, String>>),
    /// A retrain beside the loop has ended.
    Trained(Result<Option<train::Anew>, String>),
    /// Records were weighed for tuning.
    Weighed(Result<dragoman_core::optimizer::Step, String>),
    /// A checkpoint for the log's old end is there.
    Retained(Result<Option<retain::Horizon>, String>),
    Stop,
}

/// Why a command was not done. It may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Busy,
    /// The log could not be written (why, is in the sidecar's own log), or the sidecar is stopping.
    Failed,
}

/// Sends commands to the loop.
#[derive(Debug, Clone)]
pub struct Writer {
    sender: SyncSender<Command>,
    metrics: Metrics,
}

// === impl Writer ===

impl Writer {
    /// Writes new records and learns from them. When this returns `Ok`, they are on the disk.
    pub async fn ingest(&self, records: Vec<ReplayRecord>) -> Result<Ingested, Refused> {
        self.ask(|reply| Command::Ingest(records, reply)).await
    }

    /// Counts feedback, or keeps it until its record comes.
    pub async fn rate(&self, said: Said) -> Result<Rating, Refused> {
        self.ask(|reply| Command::Rate(said, reply)).await
    }

    /// Counts a judge's score. A record's first counts; one about a record that is not here is let go.
    pub async fn score(&self, scored: Scored) -> Result<(), Refused> {
        self.ask(|reply| Command::Score(scored, reply)).await
    }

    /// Keeps a snapshot.
    pub async fn keep(&self, snapshot: NewSnapshot) -> Result<(), Refused> {
        self.ask(|reply| Command::Keep(snapshot, reply)).await
    }

    /// Goes on by `rules` and publishes at once; where they count rewards or learn in another way, everything is
    /// learned again from the log first. `what` changed, for the audit.
    pub async fn reload(&self, rules: Rules, what: String) -> Result<(), Refused> {
        self.ask(|reply| Command::Reload(Box::new(rules), what, reply)).await
    }

    /// Learns everything anew, now; a retrain under way is waited for.
    ///
    /// # Errors
    ///
    /// The outer one: it was not begun. The inner one, a sentence: it failed.
    pub async fn train(&self) -> Result<Result<Trained, String>, Refused> {
        self.ask(Command::Train).await
    }

    /// Ends the loop after everything that waits is done.
    pub async fn stop(&self) {
        let mut command = Command::Stop;
        while let Err(TrySendError::Full(back)) = self.sender.try_send(command) {
            command = back;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.metrics.queue_depth.inc();
        if let Err(e) = self.sender.try_send(command(reply)) {
            self.metrics.queue_depth.dec();
            self.metrics.refused.inc();
            return Err(if matches!(e, TrySendError::Full(_)) { Refused::Busy } else { Refused::Failed });
        }
        // The loop drops the reply when the write failed.
        answer.await.map_err(|_| Refused::Failed)
    }
}

#[cfg(test)]
mod tests;
