//! The log's old end moves on: a checkpoint first, then what lies behind it may go.

use std::path::PathBuf;

use super::rebuild::learned;
use crate::learn::State;
use crate::log::{View, open_reader};

/// A future that a clock may show by mistake: records of it hold up no others, milliseconds.
const FUTURE_MS: u64 = 86_400_000;

/// A move to make.
pub(super) struct Job {
    /// The log.
    pub(super) path: PathBuf,
    /// A state that knows nothing.
    pub(super) blank: State,
    /// What is older may go, milliseconds since the Unix epoch.
    pub(super) cutoff: u64,
    /// The present, the same.
    pub(super) now: u64,
}

/// A new old end.
pub(super) struct Horizon {
    /// The last event that may go.
    pub(super) seq: i64,
    /// See [`Job::cutoff`].
    pub(super) cutoff: u64,
    /// The state at that event, written.
    pub(super) state: Vec<u8>,
}

impl Job {
    /// Learns what may go into a checkpoint; `None` if nothing may.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub(super) fn run(self) -> Result<Option<Horizon>, String> {
        let conn = open_reader(&self.path).map_err(|e| e.to_string())?;
        let log = View::of(&conn);
        let read = || -> Result<_, crate::log::LogError> {
            let old = log.last_before(self.cutoff, self.now + FUTURE_MS)?;
            // A candidate must be able to catch up from its own event.
            let candidate = log.candidate()?.map_or(i64::MAX, |c| c.seq);
            let (seq, before) = (old.min(candidate), log.horizon()?.map_or(0, |h| h.seq));
            Ok(if seq > before { Some((seq, learned(log, &self.blank, seq)?)) } else { None })
        };
        let Some((seq, state)) = read().map_err(|e| e.to_string())? else { return Ok(None) };
        let state = state.written(&self.blank).map_err(|why| format!("the state at event {seq} {why}"))?;
        Ok(Some(Horizon { seq, cutoff: self.cutoff, state }))
    }
}
