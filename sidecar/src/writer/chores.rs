//! What the loop does by the clock or when it is asked, most of it beside itself on threads of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dragoman_core::optimizer;
use log::{error, info, warn};
use tokio::sync::oneshot;

use super::rebuild::relearn;
use super::run::Loop;
use super::timetable::Chore;
use super::train::{Anew, Trained};
use super::{Command, Knowledge, retain, train};
use crate::clock::now_ms;
use crate::log::LogError;
use crate::report;

/// How often old records are looked for.
const RETENTION: Duration = Duration::from_secs(3600);
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// Who waits for a retrain.
type Reply = oneshot::Sender<Result<Trained, String>>;

/// A retrain that is under way beside the loop.
pub(super) struct Training {
    /// Whether the rules have changed since.
    pub(super) outdated: bool,
    replies: Vec<Reply>,
}

/// The log's old end on its way.
pub(super) struct Retaining {
    /// When to look for old records again.
    next: Instant,
    /// Whether a checkpoint is being made beside the loop.
    under_way: bool,
    /// Whether the rules have changed since.
    pub(super) outdated: bool,
    /// Whether there may be records to delete behind the last one.
    trimming: bool,
}

// === impl Retaining ===

impl Retaining {
    /// `trimming`: whether an earlier run may have left something to delete.
    pub(super) fn new(trimming: bool) -> Self {
        Self { next: Instant::now(), under_way: false, outdated: false, trimming }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Instant {
        if self.trimming { Instant::now() } else { self.next }
    }
}

// === impl Loop ===

impl Loop {
    /// Does what is due.
    pub(super) fn chores(&mut self) -> Result<(), LogError> {
        let now = now_ms();
        for chore in self.timetable.take(now) {
            if let Some(fact) = chore.fact()
                && let Err(e) = self.books.log.set_fact(fact, &now.to_string())
            {
                warn!("{e}; after a restart this may be done once more");
            }
            match chore {
                Chore::Batch => self.verify(),
                Chore::Retrain => self.train(None),
                Chore::Report => self.report(now),
            }
        }
        if self.retaining.trimming {
            self.trim();
        }
        if Instant::now() >= self.retaining.next {
            self.retaining.next = Instant::now() + RETENTION;
            self.retain(now);
            self.forget(now)?;
        }
        Ok(())
    }

    /// Learns everything anew beside the loop.
    pub(super) fn train(&mut self, reply: Option<Reply>) {
        if let Some(training) = &mut self.training {
            training.replies.extend(reply);
            return;
        }
        let why = match self.books.state.learner().is_fitting() {
            true => Some("features are still refitted with every doubling of what was observed, up to 4096"),
            false => {
                self.retaining.under_way.then_some("old records are on their way out; ask again in a minute")
            }
        };
        if let Some(why) = why {
            info!("not learned anew: {why}");
            return answer(reply.into_iter().collect(), &Ok(Trained::NotNeeded { why: why.into() }));
        }
        let Ok(through) = self.books.log.last_seq() else { return };
        let job = train::Job { path: self.path.clone(), blank: self.rules.blank.clone(), through };
        self.training = Some(Training { outdated: false, replies: reply.into_iter().collect() });
        if !self.beside("dragoman-train", move || Command::Trained(job.run())) {
            self.training = None;
        }
    }

    /// A retrain has ended.
    pub(super) fn trained(&mut self, anew: Result<Option<Anew>, String>) -> Result<(), LogError> {
        let Some(Training { outdated, replies }) = self.training.take() else { return Ok(()) };
        let outcome = match anew {
            _ if outdated => Err("the configuration was changed meanwhile; ask again".to_owned()),
            Err(why) => Err(why),
            Ok(None) => {
                Ok(Trained::NotNeeded { why: "the log has too few prompts to fit features to".into() })
            }
            Ok(Some(anew)) => {
                let proposal = self.books.keep_candidate(&anew)?;
                Ok(match self.put_forward(proposal.proposal)? {
                    true => Trained::Promoted(proposal),
                    false => Trained::Proposed(proposal),
                })
            }
        };
        match &outcome {
            Ok(outcome) => info!("learned anew: {outcome:?}"),
            Err(why) => error!("not learned anew: {why}"),
        }
        answer(replies, &outcome);
        Ok(())
    }

    /// Puts a proposal before the guard; true if it counts already.
    pub(super) fn put_forward(&mut self, proposal: i64) -> Result<bool, LogError> {
        let Some(knowledge) = self.proposed(proposal)? else { return Ok(false) };
        self.offer(proposal, knowledge)?;
        Ok(!self.books.waiting()?.contains(&proposal))
    }

    /// What would be known with a proposal that waits.
    fn proposed(&self, proposal: i64) -> Result<Option<Knowledge>, LogError> {
        let mut knowledge = Knowledge { candidate: Some(proposal), ..self.known("proposal") };
        let (tuner, log) = (self.books.state.tuner(), self.books.log.view());
        if tuner.pending() == u64::try_from(proposal).ok() {
            knowledge.routing = Arc::new(optimizer::apply(&self.rules.routing, &tuner.proposed()));
            return Ok(Some(knowledge));
        }
        let Some(kept) = log.candidate()?.filter(|kept| kept.proposal == Some(proposal)) else {
            return Ok(None);
        };
        match self.rules.blank.read(&kept.state) {
            Ok(mut state) => {
                relearn(log, &mut state, kept.seq, i64::MAX)?;
                knowledge.learner = state.learner().clone();
                Ok(Some(knowledge))
            }
            Err(why) => {
                warn!("proposal {proposal} {why}; it is left out");
                Ok(None)
            }
        }
    }

    /// The verdict on a proposal.
    pub(super) fn judged(&mut self, proposal: i64, promoted: bool) -> Result<(), LogError> {
        if self.books.judged(&self.rules, proposal, promoted)? {
            self.verifying.iter_mut().for_each(|job| job.outdated = true);
        }
        Ok(())
    }

    /// Writes the report of the last week, and keeps a snapshot of it.
    fn report(&mut self, now: u64) {
        self.publish(report::week_tag(now));
        let (path, folder) = (self.path.clone(), self.rules.reports.clone());
        let work = move || match report::write(&path, report::last_week(now), &folder) {
            Ok(files) => info!("wrote {}", files.join(" and ")),
            Err(why) => error!("{why}"),
        };
        if let Err(e) = std::thread::Builder::new().name("dragoman-report".into()).spawn(work) {
            error!("cannot start the report: {e}");
        }
    }

    /// Deletes what the audit need not say any more, whole days at a time, and says so there.
    fn forget(&mut self, now: u64) -> Result<(), LogError> {
        let days = u64::from(self.rules.retention.audit_days);
        if days == 0 {
            return Ok(());
        }
        let cutoff = (now / DAY_MS).saturating_sub(days) * DAY_MS;
        let log = &mut self.books.log;
        let forgotten = (|| {
            log.begin()?;
            match log.drop_audit(cutoff)? {
                0 => {}
                n => log.audit(
                    now,
                    "retention",
                    &format!("deleted {n} rows of the audit older than {days} days"),
                )?,
            }
            log.commit()
        })();
        forgotten.or_else(|e: LogError| {
            warn!("{e}; old rows of the audit go later");
            log.rollback()
        })
    }

    /// Makes a checkpoint for what is too old, beside the loop.
    fn retain(&mut self, now: u64) {
        let days = u64::from(self.rules.retention.days);
        if days == 0 || self.retaining.under_way || self.training.is_some() {
            return;
        }
        let cutoff = now.saturating_sub(days * DAY_MS);
        let job = retain::Job { path: self.path.clone(), blank: self.rules.blank.clone(), cutoff, now };
        self.retaining.outdated = false;
        self.retaining.under_way = self.beside("dragoman-retain", move || Command::Retained(job.run()));
    }

    /// The checkpoint is there: what lies behind it goes.
    pub(super) fn retained(
        &mut self,
        horizon: Result<Option<retain::Horizon>, String>,
    ) -> Result<(), LogError> {
        self.retaining.under_way = false;
        let horizon = match horizon {
            Ok(Some(horizon)) if !self.retaining.outdated => horizon,
            Ok(_) => return Ok(()),
            Err(why) => {
                error!("nothing old was deleted: {why}");
                return Ok(());
            }
        };
        let log = &mut self.books.log;
        log.begin()?;
        log.set_horizon(horizon.seq, horizon.cutoff, &horizon.state, now_ms())?;
        let days = self.rules.retention.days;
        let what =
            format!("events up to {} are older than {days} days: a checkpoint stands for them", horizon.seq);
        log.audit(now_ms(), "retention", &what)?;
        log.commit()?;
        info!("{what}");
        // It may have read what goes now.
        self.verifying.iter_mut().for_each(|job| job.outdated = true);
        self.retaining.trimming = true;
        Ok(())
    }

    fn trim(&mut self) {
        let log = &mut self.books.log;
        let trimmed = (|| {
            log.begin()?;
            let more = log.trim()?;
            log.commit()?;
            log.shrink(!more)?;
            Ok(more)
        })();
        self.retaining.trimming = trimmed.unwrap_or_else(|e: LogError| {
            warn!("{e}; old records go later");
            log.rollback().is_err()
        });
    }

    /// Runs `work` on a thread of its own; its command comes back to the loop. False if that cannot be.
    pub(super) fn beside(&self, name: &str, work: impl FnOnce() -> Command + Send + 'static) -> bool {
        let own = self.own.clone();
        let started = std::thread::Builder::new().name(name.into()).spawn(move || drop(own.send(work())));
        started.map_err(|e| error!("cannot start {name}: {e}")).is_ok()
    }
}

/// Whoever asked may have left; the deed stands.
fn answer(replies: Vec<Reply>, outcome: &Result<Trained, String>) {
    replies.into_iter().for_each(|reply| drop(reply.send(outcome.clone())));
}
