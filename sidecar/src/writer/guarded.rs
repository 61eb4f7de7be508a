//! What the loop does when people, or the guard, step in: rollbacks and pauses, names, and the guard's memory.
//!
//! Each step is one transaction with its row in the audit, and the guard's memory beside it.

use std::sync::Arc;

use dragoman_core::snapshot::Snapshot;
use log::{info, warn};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::apply::Books;
use super::run::Loop;
use super::trial::Validated;
use super::{Command, Refused, Writer};
use crate::clock::now_ms;
use crate::log::LogError;

/// The fact that holds the guard's memory.
const MEMORY: &str = "guard";

/// A reply that may be a sentence of why not.
type Reply<T> = oneshot::Sender<Result<T, String>>;

/// What the guard, or somebody, asks of the loop.
pub(super) enum Order {
    /// A candidate, of this proposal if it is one, was judged by the log.
    Validated(Option<i64>, Box<Result<Validated, String>>),
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

// === impl Writer ===

impl Writer {
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
            Order::Validated(proposal, found) => self.validated(proposal, *found)?,
            Order::RollBack(version, reply) => drop(reply.send(self.roll_back(version)?)),
            Order::Resume(reply) => drop(reply.send(Ok(self.resume()?))),
            Order::Name(version, name, reply) => drop(reply.send(self.name(version, &name)?)),
            Order::Status(reply) => drop(reply.send(Ok(self.books.guard.status()))),
        }
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
            self.refuse(proposal, "the configuration was changed")?;
        }
        Ok(())
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
        self.books.guard.show();
        Ok(())
    }

    /// Writes the guard's memory; a restart loses what was seen since, no more.
    pub(super) fn keep_memory(&mut self) -> Result<(), LogError> {
        let text = serde_json::to_string(&self.books.guard.memory());
        self.books.log.set_fact(MEMORY, &text.unwrap_or_default())
    }

    /// One transaction: `work`, its row in the audit, the guard's memory.
    pub(super) fn note(
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
