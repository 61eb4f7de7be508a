//! What is known on its way to a snapshot, as far as the guard lets it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use dragoman_core::config::Routing;
use dragoman_core::optimizer;

use super::Knowledge;
use super::run::Loop;
use crate::clock::now_ms;

// === impl Loop ===

impl Loop {
    /// Publishes what was learned: while publishing is held, or what is streamed is tried first and something else is on
    /// trial, it waits and grows.
    pub(super) fn publish(&mut self, tag: impl Into<Cow<'static, str>>) {
        let tag = tag.into();
        self.next_publish = Instant::now() + self.rules.publish_every;
        let streamed = matches!(tag.as_ref(), "stream" | "batch");
        let guard = &self.books.guard;
        if streamed && (guard.held().is_some() || guard.tries_streams() && !self.is_free()) {
            return;
        }
        self.books.changed = false;
        if streamed && guard.tries_streams() {
            let knowledge = self.known(tag);
            return self.validate(knowledge);
        }
        if guard.tries_streams() && guard.pinned.is_none() {
            let routing = Routing::clone(&self.tuned());
            let approved = self.books.state.learner().snapshot(routing, self.version, now_ms());
            let approved = approved.and_then(|s| s.with_signals(Arc::clone(&self.rules.signals)));
            // One that cannot be built cannot be published either, which says why.
            self.books.guard.pinned = approved.ok().map(Arc::new);
        }
        self.send(tag);
    }

    /// The configuration with the tuned values that count.
    pub(super) fn tuned(&self) -> Arc<Routing> {
        Arc::new(optimizer::apply(&self.rules.routing, self.books.state.tuner().live()))
    }

    /// What is known now, as the next version.
    pub(super) fn known(&self, tag: impl Into<Cow<'static, str>>) -> Knowledge {
        let guard = &self.books.guard;
        Knowledge {
            learner: self.books.state.learner().clone(),
            routing: self.tuned(),
            configured: Arc::clone(&self.rules.routing),
            signals: Arc::clone(&self.rules.signals),
            tag: tag.into(),
            version: self.version + 1,
            candidate: None,
            trial: guard.trial.as_ref().map(|(trial, _)| trial.clone()),
            pinned: guard.pinned.clone(),
            alpha: guard.alpha(),
        }
    }

    /// Sends what is known on its way; gives its version.
    pub(super) fn send(&mut self, tag: impl Into<Cow<'static, str>>) -> u64 {
        self.books.show();
        let knowledge = self.known(tag);
        // Nobody listens only while the sidecar stops.
        drop(self.knowledge.send(Some(Arc::new(knowledge))));
        self.take_version()
    }

    /// The next version is somebody's.
    pub(super) fn take_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }
}
