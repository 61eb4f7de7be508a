//! What conversations and judges say of answers: found beside the log, written into it, learned from it.
//!
//! Only what stands in the log is learned. The chain is asked once about each new record; after a restart it is
//! filled from the log's end, and what it would find there again is let go.

use std::collections::BTreeSet;

use dragoman_core::chain::{Chain, Turn};
use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::Evidence;

use super::apply::Books;
use super::{Rules, Scored};
use crate::log::{Heard, LogError};

// === impl Books ===

impl Books {
    /// Remembers a new record for those that follow it.
    pub(super) fn note(&mut self, record: &ReplayRecord, now: u64) {
        if let Some(turn) = Turn::of(record) {
            self.chain.arrive(turn, now);
        }
    }

    /// Writes and learns some of what the chain has found by now; [`Chain::due`] says whether there is more.
    pub(super) fn listen(&mut self, now: u64) -> Result<(), LogError> {
        for found in self.chain.advance(now) {
            let heard = Heard { evidence: found.evidence, by: found.by, time_ms: found.time_ms };
            self.hear(&found.of, &heard)?;
        }
        Ok(())
    }

    /// Links what still waits, because nothing more can come.
    pub(super) fn listen_to_all(&mut self, now: u64) -> Result<(), LogError> {
        while let Some(at) = self.chain.last_due() {
            self.listen(now.max(at))?;
        }
        Ok(())
    }

    /// Writes and learns a judge's score.
    pub(super) fn score(&mut self, scored: &Scored) -> Result<(), LogError> {
        if self.log.view().is_judged(&scored.replay_id)? {
            return Ok(());
        }
        let evidence = Evidence::Judge { score: scored.score };
        self.hear(&scored.replay_id, &Heard { evidence, by: None, time_ms: scored.time_ms })
    }

    /// Fills the chain anew from the log's end.
    pub(super) fn relink(&mut self, rules: &Rules, now: u64) -> Result<(), LogError> {
        self.chain = Chain::new(rules.blank.window_ms(), rules.hold_ms);
        let view = self.log.view();
        // What is older than two windows can neither be followed nor be met with silence.
        let from = view.newest_ms()?.min(now).saturating_sub(2 * self.chain.window_ms());
        let silent: BTreeSet<String> = view.silences(from)?.into_iter().collect();
        let (mut turns, mut after) = (Vec::new(), 0);
        loop {
            let page = view.replays(after, from, i64::MAX.unsigned_abs())?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let found = page.iter().filter_map(|(_, record)| Turn::of(record));
            turns.extend(found.map(|turn| Turn { silent: silent.contains(&turn.id), ..turn }));
        }
        self.chain.recall(turns, now);
        Ok(())
    }

    fn hear(&mut self, id: &str, heard: &Heard) -> Result<(), LogError> {
        // A record of a group that was taken back is not here (yet): nothing may stand before it.
        if !self.log.has(id)? {
            return Ok(());
        }
        let seq = self.log.add_evidence(id, heard)?;
        self.learn(seq, id)?;
        self.metrics.evidence.with_label_values(&[heard.evidence.name()]).inc();
        Ok(())
    }
}
