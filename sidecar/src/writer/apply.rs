//! What each command changes in the log and in the learner.

use dragoman_core::chain::Chain;
use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::{Evidence, Reward};

use super::rebuild::revise;
use super::tune::Lookout;
use super::{Ingested, MAX_PENDING, NewSnapshot, Rating, Said};
use crate::guard::Guard;
use crate::learn::State;
use crate::log::{Log, LogError, Rated, time_of};
use crate::metrics::Metrics;

/// The log and what was learned from it: always changed together.
pub(super) struct Books {
    pub(super) log: Log,
    pub(super) state: State,
    pub(super) guard: Guard,
    pub(super) metrics: Metrics,
    /// The conversations of late.
    pub(super) chain: Chain,
    /// Whether anything was learned since the last publish.
    pub(super) changed: bool,
    /// When to tune signals again.
    pub(super) lookout: Lookout,
}

// === impl Books ===

impl Books {
    pub(super) fn ingest(&mut self, records: &[ReplayRecord], now: u64) -> Result<Ingested, LogError> {
        let mut result = Ingested::default();
        for record in records {
            if self.log.has(&record.id)? {
                result.duplicates += 1;
                continue;
            }
            let outcome = self.state.observe(record);
            self.log.add_replay(record, &outcome)?;
            self.guard.see(record, outcome.reward.total);
            self.lookout.saw(record.time_ms);
            self.changed |= outcome.ordinal.is_some();
            result.accepted += 1;
            if record.route.is_some() && outcome.ordinal.is_none() {
                self.metrics.not_learned.inc();
            }
            for (time_ms, Rated { rater, feedback, weight }) in self.log.take_pending(&record.id)? {
                self.count(&Said { replay_id: record.id.clone(), rater, feedback, time_ms, weight })?;
            }
            self.note(record, now);
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
        self.log.add_pending(&said.replay_id, &said.rater, &said.feedback, said.weight, said.time_ms)?;
        Ok(Rating::Waiting)
    }

    pub(super) fn keep(&mut self, snapshot: &NewSnapshot) -> Result<(), LogError> {
        self.log.add_snapshot(snapshot.version, snapshot.created_ms, &snapshot.tag, &snapshot.blob)
    }

    /// Counts feedback on a record that is here; `None` if it is not.
    fn count(&mut self, said: &Said) -> Result<Option<Rating>, LogError> {
        let (id, view) = (&said.replay_id, self.log.view());
        let Some(replay) = view.replay(id)? else { return Ok(None) };
        if view.feedback(id, i64::MAX)?.iter().any(|earlier| earlier.rater == said.rater) {
            let known: Vec<Evidence> =
                view.evidence(id, i64::MAX)?.into_iter().map(|heard| heard.evidence).collect();
            return Ok(Some(Rating::SaidBefore(self.state.reward(&replay.record, &known))));
        }
        let seq = self.log.add_feedback(id, &said.rater, &said.feedback, said.weight, said.time_ms)?;
        self.metrics.feedback.inc();
        Ok(self.learn(seq, id)?.map(Rating::Counted))
    }

    /// Learns what event `seq` says of the record of `id`; gives the record's new reward, if it is here.
    pub(super) fn learn(&mut self, seq: i64, id: &str) -> Result<Option<Reward>, LogError> {
        let Some(revised) = revise(self.log.view(), &mut self.state, seq, id)? else { return Ok(None) };
        let was = self.log.change_reward(revised.seq, revised.reward.total)?;
        self.guard.revise(&revised.record, was, revised.reward.total);
        revised.agreement.into_iter().for_each(|agree| self.guard.detector(agree));
        self.changed |= revised.learned;
        Ok(Some(revised.reward))
    }
}
