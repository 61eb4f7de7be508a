//! What the loop does for the guard: candidates go on trial and come to an end, people roll back and go on.
//!
//! Each step is one transaction with its row in the audit, and the guard's memory beside it.

use std::sync::Arc;

use dragoman_core::config::{CanaryMode, Routing};
use dragoman_core::guard::holdout::{Finding, Holdout};
use dragoman_core::guard::rollout::{Judgement, Rollout};
use dragoman_core::guard::split::Split;
use dragoman_core::snapshot::Snapshot;
use log::{error, info, warn};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::apply::Books;
use super::run::Loop;
use super::{Command, Knowledge, Refused, Writer};
use crate::clock::now_ms;
use crate::evaluate::holdout::weigh;
use crate::guard::{Notice, Trial};
use crate::log::{LogError, View, open_reader};

/// The fact that holds the guard's memory.
const MEMORY: &str = "guard";

/// A reply that may be a sentence of why not.
type Reply<T> = oneshot::Sender<Result<T, String>>;

/// What the guard, or somebody, asks of the loop.
pub(super) enum Order {
    /// Knowledge that is to go on trial first.
    Offer(Box<Knowledge>, Reply<()>),
    /// A candidate, of this proposal if it is one, was judged by the log.
    Validated(Option<u64>, Box<Result<Validated, String>>),
    /// Back to an earlier snapshot.
    RollBack(Option<u64>, Reply<RolledBack>),
    /// Publish again.
    Resume(Reply<bool>),
    /// Call a snapshot by a name.
    Name(u64, String, Reply<()>),
    /// What is going on.
    Status(Reply<Value>),
}

/// A rollback that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The version under which the old parameters are published.
    pub version: u64,
    /// The version that they were made as.
    pub from: u64,
}

/// A candidate that was judged by the log.
pub(super) struct Validated {
    /// Of the configuration that it was made under.
    generation: u64,
    snapshot: Snapshot,
    holdout: Holdout,
}

// === impl Writer ===

impl Writer {
    /// Offers knowledge that is not to go live before it was tried, where the guard is configured so; the newest that
    /// waits takes the place of older ones.
    pub async fn offer(&self, knowledge: Knowledge) -> Result<Result<(), String>, Refused> {
        self.ask(|reply| Command::Guard(Order::Offer(Box::new(knowledge), reply))).await
    }

    /// Publishes an earlier snapshot's parameters at once, by default those before the last step that was not streamed,
    /// and nothing else until [`Writer::resume`].
    pub async fn roll_back(&self, version: Option<u64>) -> Result<Result<RolledBack, String>, Refused> {
        self.ask(|reply| Command::Guard(Order::RollBack(version, reply))).await
    }

    /// Publishes again what is learned; false if nothing was held.
    pub async fn resume(&self) -> Result<Result<bool, String>, Refused> {
        self.ask(|reply| Command::Guard(Order::Resume(reply))).await
    }

    /// Calls a kept snapshot by a name, which keeps it.
    pub async fn name_snapshot(&self, version: u64, name: String) -> Result<Result<(), String>, Refused> {
        self.ask(|reply| Command::Guard(Order::Name(version, name, reply))).await
    }

    /// What the guard is doing.
    pub async fn guard_status(&self) -> Result<Result<Value, String>, Refused> {
        self.ask(|reply| Command::Guard(Order::Status(reply))).await
    }
}

// === impl Loop ===

impl Loop {
    /// Takes up a trial that an earlier run began.
    pub(super) fn remember_guard(&mut self) -> Result<(), LogError> {
        let Some(text) = self.books.log.fact(MEMORY)? else { return Ok(()) };
        let memory = match serde_json::from_str::<crate::guard::Memory>(&text) {
            Ok(memory) => memory,
            Err(e) => {
                warn!("what the guard remembered cannot be read: {e}; it starts anew");
                return Ok(());
            }
        };
        let version = memory.trial.as_ref().map(|t| t.version);
        let newest = self.books.log.newest_snapshot()?;
        let newest = newest.and_then(|(_, blob)| Snapshot::decode_trusted(&blob).ok());
        let Books { guard, log, .. } = &mut self.books;
        if !guard.remember(memory, newest, log.view())? {
            let what = json!({"version": version, "why": "its snapshot is not kept any more"});
            self.note("canary_withdrawn", &what, |books| match version {
                Some(version) => books.log.mark_canary(version, "withdrawn"),
                None => Ok(()),
            })?;
        }
        Ok(())
    }

    pub(super) fn order(&mut self, order: Order) -> Result<(), LogError> {
        if !matches!(order, Order::Validated(..)) {
            self.books.metrics.queue_depth.dec();
        }
        // Whoever asked may have left; the deed stands.
        match order {
            Order::Offer(knowledge, reply) => {
                self.offer(*knowledge)?;
                drop(reply.send(Ok(())));
            }
            Order::Validated(proposal, found) => self.validated(proposal, *found)?,
            Order::RollBack(version, reply) => drop(reply.send(self.roll_back(version)?)),
            Order::Resume(reply) => drop(reply.send(Ok(self.resume()?))),
            Order::Name(version, name, reply) => drop(reply.send(self.name(version, &name)?)),
            Order::Status(reply) => drop(reply.send(Ok(self.books.guard.status()))),
        }
        Ok(())
    }

    /// Knowledge that is to be tried: at once, or after what is on trial now.
    pub(super) fn offer(&mut self, knowledge: Knowledge) -> Result<(), LogError> {
        let Some(proposal) =
            knowledge.candidate.filter(|_| self.books.guard.config.canary != CanaryMode::None)
        else {
            self.rules.routing = Arc::clone(&knowledge.routing);
            self.send(knowledge.tag);
            return match knowledge.candidate {
                Some(proposal) => {
                    let what = json!({"why": "guard.canary is none"});
                    self.note("canary_skipped", &what, |books| books.judged(proposal, true))
                }
                None => Ok(()),
            };
        };
        if let Some(older) = self.books.guard.waiting.replace(knowledge).and_then(|k| k.candidate) {
            let what = json!({"proposal": older, "why": format!("proposal {proposal} took its place")});
            self.note("canary_refused", &what, |books| books.judged(older, false))?;
        }
        self.next_trial();
        Ok(())
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
        let Knowledge { learner, routing, candidate: proposal, .. } = knowledge;
        let (version, generation) = (self.take_version(), self.books.guard.generation);
        let (live, in_use) = (self.books.state.learner().clone(), Arc::clone(&self.rules.routing));
        let (pinned, path, range) = (self.books.guard.pinned.clone(), self.path.clone(), self.rules.range);
        let (count, limit) = (self.books.guard.config.holdout, self.books.guard.config.limits.reward);
        let made = move || -> Result<Validated, String> {
            let build = |learner: dragoman_core::learner::Learner, routing: &Routing| {
                learner.snapshot(routing.clone(), version, now_ms()).map_err(|e| e.to_string())
            };
            let snapshot = build(learner, &routing)?;
            let live = match pinned {
                Some(pinned) => Snapshot::clone(&pinned),
                None => build(live, &in_use)?,
            };
            let conn = open_reader(&path).map_err(|e| e.to_string())?;
            let records = View::of(&conn).newest(count).map_err(|e| e.to_string())?;
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

    fn validated(&mut self, proposal: Option<u64>, found: Result<Validated, String>) -> Result<(), LogError> {
        self.books.guard.validating = false;
        let Validated { generation, snapshot, holdout } = match found {
            Ok(validated) => validated,
            Err(why) => {
                error!("a candidate could not be judged by the log: {why}");
                // What is streamed comes again by itself.
                self.books.changed = true;
                let what = json!({"proposal": proposal, "why": why});
                return self.note("canary_refused", &what, |books| books.judged_if(proposal, false));
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
            self.note("canary_refused", &what, |books| books.judged_if(proposal, false))?;
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
    pub(super) fn end(&mut self, promoted: bool, why: Value) -> Result<(), LogError> {
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
        if promoted {
            self.rules.routing = Arc::new(trial.snapshot.meta.routing.clone());
        }
        self.note(&kind, &what, |books| {
            books.log.mark_canary(version, state)?;
            books.judged_if(proposal, promoted)
        })?;
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

    fn roll_back(&mut self, version: Option<u64>) -> Result<Result<RolledBack, String>, LogError> {
        let wanted = match version {
            Some(version) => Some(version),
            None => self.books.log.snapshot_before()?,
        };
        let Some(from) = wanted else { return Ok(Err("there is no earlier snapshot to go back to".into())) };
        let Some(blob) = self.books.log.snapshot(from)? else {
            return Ok(Err(format!(
                "snapshot {from} is not kept; `dragoman snapshots` lists those that are"
            )));
        };
        let mut snapshot = match Snapshot::decode_trusted(&blob) {
            Ok(snapshot) => snapshot,
            Err(e) => return Ok(Err(format!("snapshot {from} cannot be used: {e}"))),
        };
        snapshot.take_canary();
        let routing = &self.rules.routing;
        let known = |name: &str| routing.models.iter().any(|m| m.name == name);
        if let Some(gone) = snapshot.meta.routing.models.iter().find(|m| !known(&m.name)) {
            return Ok(Err(format!(
                "snapshot {from} routes to the model \"{}\", which is not in the configuration any more",
                gone.name
            )));
        }
        // What may be written down is never taken back.
        snapshot.meta.routing.privacy.clone_from(&routing.privacy);
        self.drop_trial("somebody rolled back")?;
        self.books.guard.pinned = Some(Arc::new(snapshot));
        self.books.guard.rolled_back = true;
        self.books.guard.generation += 1;
        let version = self.send("rollback");
        warn!(
            "rolled back to snapshot {from}, as {version}; nothing is published until `dragoman rollback --resume`"
        );
        self.note("rollback", &json!({"from": from, "version": version}), |_| Ok(()))?;
        Ok(Ok(RolledBack { version, from }))
    }

    fn resume(&mut self) -> Result<bool, LogError> {
        let held = self.books.guard.release();
        if held {
            if !self.books.guard.tries_streams() {
                self.books.guard.pinned = None;
            }
            info!("what is learned is published again");
            self.note("resume", &json!("asked for"), |_| Ok(()))?;
            self.send("resume");
            self.next_trial();
        }
        Ok(held)
    }

    fn name(&mut self, version: u64, name: &str) -> Result<Result<(), String>, LogError> {
        let mut there = false;
        self.note("snapshot_named", &json!({"version": version, "name": name}), |books| {
            there = books.log.name_snapshot(version, name)?;
            Ok(())
        })?;
        Ok(if there { Ok(()) } else { Err(format!("snapshot {version} is not kept; see GET /v1/snapshots")) })
    }

    /// Another configuration is the operator's word: whatever was on trial or gone back to is over.
    pub(super) fn drop_trials(&mut self) -> Result<(), LogError> {
        self.drop_trial("the configuration was changed")?;
        let guard = &mut self.books.guard;
        guard.generation += 1;
        guard.pinned = None;
        (guard.config, guard.alerts) = (self.rules.guard.clone(), self.rules.alerts.clone());
        if std::mem::take(&mut guard.rolled_back) {
            warn!("the configuration was changed: what is learned is published again, the rollback is over");
        }
        if let Some(proposal) = guard.waiting.take().and_then(|k| k.candidate) {
            let what = json!({"proposal": proposal, "why": "the configuration was changed"});
            self.note("canary_refused", &what, |books| books.judged(proposal, false))?;
        }
        Ok(())
    }

    /// The trial ends with what is published next.
    fn drop_trial(&mut self, why: &str) -> Result<(), LogError> {
        let Some((trial, rollout)) = self.books.guard.trial.take() else { return Ok(()) };
        let (version, evidence) = (trial.snapshot.meta.version, rollout.evidence(&self.books.guard.config));
        let what = json!({"version": version, "proposal": trial.proposal, "why": why, "evidence": evidence});
        self.books.metrics.guard.ended.with_label_values(&["withdrawn"]).inc();
        self.note("canary_withdrawn", &what, |books| {
            books.log.mark_canary(version, "withdrawn")?;
            books.judged_if(trial.proposal, false)
        })
    }

    /// Looks at the traffic as a whole.
    pub(super) fn look(&mut self) -> Result<(), LogError> {
        let (held, alpha) = (self.books.guard.held(), self.books.guard.alpha());
        for alert in self.books.guard.look(now_ms()) {
            self.note("alert", &json!(alert), |_| Ok(()))?;
        }
        // Another α is published as what is learned is.
        self.books.changed |= alpha != self.books.guard.alpha();
        let now_held = self.books.guard.held();
        if held != now_held {
            let what = now_held.map_or(json!("over"), |held| json!(held));
            warn!(
                "publishing: {}",
                if now_held.is_some() { "paused until success is back" } else { "goes on" }
            );
            self.note("publishing", &what, |_| Ok(()))?;
            self.next_trial();
        }
        Ok(())
    }

    /// Writes the guard's memory; a restart loses what was seen since, no more.
    pub(super) fn keep_memory(&mut self) -> Result<(), LogError> {
        let text = serde_json::to_string(&self.books.guard.memory());
        self.books.log.set_fact(MEMORY, &text.unwrap_or_default())
    }

    /// One transaction: `work`, its row in the audit, the guard's memory.
    fn note(
        &mut self,
        what: &str,
        detail: &Value,
        work: impl FnOnce(&mut Books) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.books.log.begin()?;
        let done = work(&mut self.books)
            .and_then(|()| self.books.log.audit(now_ms(), what, &detail.to_string()))
            .and_then(|()| self.keep_memory())
            .and_then(|()| self.books.log.commit());
        if done.is_err() {
            self.books.log.rollback()?;
        }
        done
    }
}

/// A new one for each rollout; the clock's, should the system have no randomness.
fn salt() -> [u64; 2] {
    [0; 2].map(|_: u64| OsRng.try_next_u64().unwrap_or_else(|_| now_ms()))
}

impl Books {
    /// A proposal's trial has ended: it is promoted, or it is not.
    pub(super) fn judged(&mut self, proposal: u64, promoted: bool) -> Result<(), LogError> {
        self.log.audit(
            now_ms(),
            "proposal_judged",
            &json!({"proposal": proposal, "promoted": promoted}).to_string(),
        )
    }

    /// The same, where the candidate was a proposal at all.
    fn judged_if(&mut self, proposal: Option<u64>, promoted: bool) -> Result<(), LogError> {
        proposal.map_or(Ok(()), |proposal| self.judged(proposal, promoted))
    }
}
