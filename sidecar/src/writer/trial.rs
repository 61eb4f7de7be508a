//! A candidate's way through the loop: judged by the log, tried on a share of the sessions, promoted or withdrawn.

use std::sync::Arc;

use dragoman_core::config::{CanaryMode, Routing};
use dragoman_core::guard::holdout::{Finding, Holdout};
use dragoman_core::guard::rollout::{Judgement, Rollout};
use dragoman_core::guard::split::Split;
use dragoman_core::learner::Learner;
use dragoman_core::signals::SignalModel;
use dragoman_core::snapshot::Snapshot;
use log::{error, info};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde_json::{Value, json};

use super::guarded::Order;
use super::run::Loop;
use super::{Command, Knowledge};
use crate::clock::now_ms;
use crate::evaluate::holdout::weigh;
use crate::guard::{Notice, Trial};
use crate::log::{LogError, View, open_reader};

/// A candidate that was judged by the log.
pub(super) struct Validated {
    /// Of the configuration that it was made under.
    generation: u64,
    snapshot: Snapshot,
    holdout: Holdout,
}

// === impl Loop ===

impl Loop {
    /// A proposal that is to be tried: at once, or after what is on trial now.
    pub(super) fn offer(&mut self, proposal: i64, knowledge: Knowledge) -> Result<(), LogError> {
        if self.books.guard.config.canary == CanaryMode::None {
            let what = json!({"proposal": proposal, "why": "guard.canary is none"});
            self.note("canary_skipped", &what, |_| Ok(()))?;
            self.judged(proposal, true)?;
            self.publish("proposal");
            return Ok(());
        }
        if let Some(older) = self.books.guard.waiting.replace(knowledge).and_then(|k| k.candidate) {
            self.refuse(older, &format!("proposal {proposal} took its place"))?;
        }
        self.next_trial();
        Ok(())
    }

    /// A proposal gets no traffic.
    pub(super) fn refuse(&mut self, proposal: i64, why: &str) -> Result<(), LogError> {
        self.note("canary_refused", &json!({"proposal": proposal, "why": why}), |_| Ok(()))?;
        self.judged(proposal, false)
    }

    /// The next candidate's turn, if there is one and nothing is in its way.
    pub(super) fn next_trial(&mut self) {
        if self.is_free()
            && let Some(knowledge) = self.books.guard.waiting.take()
        {
            self.validate(knowledge);
        }
    }

    /// Whether a trial may begin.
    pub(super) fn is_free(&self) -> bool {
        let guard = &self.books.guard;
        guard.trial.is_none() && !guard.validating && guard.held().is_none()
    }

    /// Judges a candidate by the newest records, on a thread of its own.
    pub(super) fn validate(&mut self, knowledge: Knowledge) {
        let Knowledge { learner, routing, signals, candidate: proposal, .. } = knowledge;
        let (version, generation) = (self.take_version(), self.books.guard.generation);
        let live = self.books.state.learner().clone();
        let (in_use, reads) = (self.tuned(), Arc::clone(&self.rules.signals));
        let (pinned, path, range) = (self.books.guard.pinned.clone(), self.path.clone(), self.rules.range);
        let (count, limit) = (self.books.guard.config.holdout, self.books.guard.config.limits.reward);
        let made = move || -> Result<Validated, String> {
            let build = |learner: Learner, routing: &Routing, signals: Arc<SignalModel>| {
                let made = learner.snapshot(routing.clone(), version, now_ms());
                made.and_then(|snapshot| snapshot.with_signals(signals)).map_err(|e| e.to_string())
            };
            let snapshot = build(learner, &routing, signals)?;
            let live = match pinned {
                Some(pinned) => Snapshot::clone(&pinned),
                None => build(live, &in_use, reads)?,
            };
            let conn = open_reader(&path).map_err(|e| e.to_string())?;
            let records = View::of(&conn).newest(i64::MAX, count as usize).map_err(|e| e.to_string())?;
            let holdout = weigh(&live, &snapshot, &records, range, limit);
            Ok(Validated { generation, snapshot, holdout })
        };
        let own = self.own.clone();
        let work = move || drop(own.send(Command::Guard(Order::Validated(proposal, Box::new(made())))));
        match std::thread::Builder::new().name("dragoman-trial".into()).spawn(work) {
            Ok(_) => self.books.guard.validating = true,
            Err(e) => error!("cannot judge a candidate: {e}"),
        }
    }

    pub(super) fn validated(
        &mut self,
        proposal: Option<i64>,
        found: Result<Validated, String>,
    ) -> Result<(), LogError> {
        self.books.guard.validating = false;
        let Validated { generation, snapshot, holdout } = match found {
            Ok(validated) => validated,
            Err(why) => {
                error!("a candidate could not be judged by the log: {why}");
                // What is streamed comes again by itself.
                self.books.changed = true;
                return proposal.map_or(Ok(()), |proposal| self.refuse(proposal, &why));
            }
        };
        let version = snapshot.meta.version;
        let outdated = generation != self.books.guard.generation || self.books.guard.held().is_some();
        if outdated || holdout.finding == Finding::Refused {
            let why =
                if outdated { "something else was published meanwhile" } else { "the log says it is worse" };
            info!("candidate {version} gets no traffic: {why}");
            self.books.metrics.guard.ended.with_label_values(&["refused"]).inc();
            let what = json!({"version": version, "proposal": proposal, "why": why, "holdout": holdout});
            self.note("canary_refused", &what, |_| Ok(()))?;
            proposal.map_or(Ok(()), |proposal| self.judged(proposal, false))?;
            self.next_trial();
            return Ok(());
        }
        let share = self.books.guard.config.stages.first().copied().unwrap_or(100);
        let split = Split { share, salt: salt() };
        info!("candidate {version} goes on trial with {share} % of the sessions");
        let trial = Trial { proposal, snapshot: Arc::new(snapshot), split };
        self.books.guard.trial = Some((trial, Rollout::start(share, now_ms())));
        let what = json!({"version": version, "proposal": proposal, "share": share, "holdout": holdout});
        self.note("canary_started", &what, |books| books.log.mark_canary(version, "canary"))?;
        self.send("canary");
        Ok(())
    }

    /// Looks at the trial, and does what follows.
    pub(super) fn judge(&mut self) -> Result<(), LogError> {
        let judgement = self.books.guard.judge();
        let Some((trial, rollout)) = &mut self.books.guard.trial else { return Ok(()) };
        let version = trial.snapshot.meta.version;
        match judgement {
            Judgement::Hold => Ok(()),
            Judgement::Widen(share) => {
                let what = json!({"version": version, "proposal": trial.proposal, "share": share,
                    "evidence": rollout.evidence(&self.books.guard.config)});
                rollout.widen(share, now_ms());
                trial.split.share = share;
                info!("canary {version} is widened to {share} % of the sessions");
                self.note("canary_widened", &what, |_| Ok(()))?;
                self.send("widen");
                Ok(())
            }
            Judgement::Promote => self.end(true, json!("surely better")),
            Judgement::Withdraw(why) => self.end(false, json!(why)),
        }
    }

    /// The trial is over.
    fn end(&mut self, promoted: bool, why: Value) -> Result<(), LogError> {
        let Some((trial, rollout)) = self.books.guard.trial.take() else { return Ok(()) };
        let evidence = rollout.evidence(&self.books.guard.config);
        let (version, state) = (trial.snapshot.meta.version, if promoted { "promoted" } else { "withdrawn" });
        let what = json!({"version": version, "proposal": trial.proposal, "why": why, "evidence": evidence});
        let message = format!(
            "canary {version} is {state} after {} requests ({}): reward {:+.3}, errors {:+.1} points, latency x {:.2}",
            evidence.requests.canary,
            why.as_str().unwrap_or_default(),
            evidence.reward_difference,
            100.0 * evidence.error_difference,
            evidence.latency_ratio
        );
        let (kind, proposal) = (format!("canary_{state}"), trial.proposal);
        self.note(&kind, &what, |books| books.log.mark_canary(version, state))?;
        proposal.map_or(Ok(()), |proposal| self.judged(proposal, promoted))?;
        self.books.metrics.guard.ended.with_label_values(&[state]).inc();
        let (value, limit) = (Some(evidence.reward_difference), None);
        self.books.guard.tell(Notice { kind, raised: true, message, value, limit, time: now_ms() });
        // What was tried is what is published now; what is streamed later builds on it.
        let before = self.books.guard.pinned.clone();
        if promoted {
            self.books.guard.pinned = Some(trial.snapshot);
        }
        self.send(if promoted { "promote" } else { "withdraw" });
        if !self.books.guard.tries_streams() {
            self.books.guard.pinned = before;
        }
        self.next_trial();
        Ok(())
    }

    /// The trial ends with what is published next.
    pub(super) fn drop_trial(&mut self, why: &str) -> Result<(), LogError> {
        let Some((trial, rollout)) = self.books.guard.trial.take() else { return Ok(()) };
        let (version, evidence) = (trial.snapshot.meta.version, rollout.evidence(&self.books.guard.config));
        let what = json!({"version": version, "proposal": trial.proposal, "why": why, "evidence": evidence});
        self.books.metrics.guard.ended.with_label_values(&["withdrawn"]).inc();
        self.note("canary_withdrawn", &what, |books| books.log.mark_canary(version, "withdrawn"))?;
        trial.proposal.map_or(Ok(()), |proposal| self.judged(proposal, false))
    }
}

/// A new one for each rollout; the clock's, should the system have no randomness.
fn salt() -> [u64; 2] {
    [0; 2].map(|_: u64| OsRng.try_next_u64().unwrap_or_else(|_| now_ms()))
}
