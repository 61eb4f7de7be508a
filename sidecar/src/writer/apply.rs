//! What each command changes in the log and in the learner.

use dragoman_core::replay::ReplayRecord;

use super::propose::Lookout;
use super::{Ingested, MAX_PENDING, NewSnapshot, Rating, Said};
use crate::learn::State;
use crate::log::{Log, LogError, time_of};
use crate::metrics::Metrics;

/// The log and what was learned from it: always changed together.
pub(super) struct Books {
    pub(super) log: Log,
    pub(super) state: State,
    pub(super) metrics: Metrics,
    /// Whether anything was learned since the last publish.
    pub(super) changed: bool,
    /// When to tune signals again.
    pub(super) lookout: Lookout,
}

// === impl Books ===

impl Books {
    pub(super) fn ingest(&mut self, records: &[ReplayRecord]) -> Result<Ingested, LogError> {
        let mut result = Ingested::default();
        for record in records {
            if self.log.has(&record.id)? {
                result.duplicates += 1;
                continue;
            }
            let outcome = self.state.observe(record);
            self.log.add_replay(record, &outcome)?;
            self.lookout.saw(record.time_ms);
            self.changed |= outcome.ordinal.is_some();
            result.accepted += 1;
            if record.route.is_some() && outcome.ordinal.is_none() {
                self.metrics.not_learned.inc();
            }
            for (rater, time_ms, feedback) in self.log.take_pending(&record.id)? {
                self.count(&Said { replay_id: record.id.clone(), rater, feedback, time_ms })?;
            }
        }
        Ok(result)
    }

    pub(super) fn rate(&mut self, said: &Said) -> Result<Rating, LogError> {
        if let Some(rating) = self.count(said)? {
            return Ok(rating);
        }
        let horizon = self.log.view().horizon_ms()?;
        // Older than anything that is kept: it did come, and went.
        if time_of(&said.replay_id).is_some_and(|time| time < horizon) {
            return Ok(Rating::TooOld);
        }
        if self.log.pending()? >= MAX_PENDING {
            return Ok(Rating::TooManyWaiting);
        }
        self.log.add_pending(&said.replay_id, &said.rater, &said.feedback, said.time_ms)?;
        Ok(Rating::Waiting)
    }

    pub(super) fn keep(&mut self, snapshot: &NewSnapshot) -> Result<(), LogError> {
        self.log.add_snapshot(snapshot.version, snapshot.created_ms, &snapshot.tag, &snapshot.blob)
    }

    /// Counts feedback on a record that is here; `None` if it is not.
    fn count(&mut self, said: &Said) -> Result<Option<Rating>, LogError> {
        let Some(replay) = self.log.view().replay(&said.replay_id)? else { return Ok(None) };
        let earlier = self.log.view().feedback(&said.replay_id, i64::MAX)?;
        let spoken = earlier.iter().any(|e| e.rater == said.rater);
        let before: Vec<_> = earlier.into_iter().map(|e| e.feedback).collect();
        if spoken {
            let reward = self.state.reward(&replay.record, &before);
            return Ok(Some(Rating::SaidBefore(reward)));
        }
        self.log.add_feedback(&said.replay_id, &said.rater, &said.feedback, said.time_ms)?;
        let mut after = before.clone();
        after.push(said.feedback);
        let reward = self.state.revise(&replay.record, replay.ordinal, &before, &after);
        self.log.set_reward(replay.seq, reward.total)?;
        self.changed |= replay.ordinal.is_some();
        self.metrics.feedback.inc();
        Ok(Some(Rating::Counted(reward)))
    }
}
