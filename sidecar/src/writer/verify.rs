//! The batch: rebuilds the learner from the log beside the loop and compares it with the streamed one.

use std::path::PathBuf;

use super::rebuild::learned;
use crate::learn::State;
use crate::log::{LogError, View, open_reader};

/// What a rebuild found.
pub(super) enum Verdict {
    /// The streamed learner is the rebuilt one, bit for bit.
    Same,
    /// It is not; the log is the truth.
    Differs(Box<State>),
}

/// A rebuild to do.
pub(super) struct Job {
    /// The log.
    pub(super) path: PathBuf,
    /// A state that knows nothing.
    pub(super) blank: State,
    /// What the stream had learned by event `through`.
    pub(super) streamed: State,
    /// The last event to learn.
    pub(super) through: i64,
}

impl Job {
    /// Rebuilds and compares. Events up to `through` stay what they were, but for old ones: the loop lets no rebuild
    /// count that was under way when they began to go.
    pub(super) fn run(self) -> Result<Verdict, LogError> {
        let conn = open_reader(&self.path)?;
        let rebuilt = learned(View::of(&conn), &self.blank, self.through)?;
        Ok(if rebuilt == self.streamed { Verdict::Same } else { Verdict::Differs(Box::new(rebuilt)) })
    }
}
