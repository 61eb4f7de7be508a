//! What of a record its links go by.

use super::Key;
use crate::replay::ReplayRecord;
use crate::request::{Thread, ThreadHash};
use crate::reward::Evidence;
use crate::signals::{FeedbackKind, FeedbackSignal};

/// No answer takes longer, whatever its record says.
const LONGEST_MS: u64 = 3_600_000;

/// One turn of a conversation and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The record's id.
    pub id: String,
    /// When the request came.
    pub time_ms: u64,
    /// When the answer ended.
    pub end_ms: u64,
    /// The conversation's name.
    pub session: Option<String>,
    /// The answer's own name.
    pub response: Option<String>,
    /// Where it stands in its conversation.
    pub thread: Thread,
    /// What the prompt says of the answer before it.
    pub feedback: FeedbackSignal,
    /// Whether a route answered with success: only of such an answer evidence is asked.
    pub answered: bool,
    /// Whether silence after it was noted.
    pub silent: bool,
}

// === impl Turn ===

impl Turn {
    /// The turn of `record`; `None` if nothing can link to it or from it.
    pub fn of(record: &ReplayRecord) -> Option<Self> {
        let thread = &record.thread;
        let linked = record.session.is_some() || thread.whole.is_some() || thread.previous_response.is_some();
        linked.then(|| Self {
            id: record.id.clone(),
            time_ms: record.time_ms,
            // `as` saturates; a latency that is no number counts as none.
            end_ms: record
                .time_ms
                .saturating_add((record.response.latency_ms.unwrap_or(0.0) as u64).min(LONGEST_MS)),
            session: record.session.clone(),
            response: record.response.id.clone(),
            thread: thread.clone(),
            feedback: record.signals.feedback,
            answered: matches!(record.response.status, 200..=299) && record.answering_route().is_some(),
            silent: false,
        })
    }

    /// What the turn says of the answer before it.
    pub(super) fn says(&self) -> Option<Evidence> {
        let FeedbackSignal { kind, score } = self.feedback;
        match kind {
            // The user's turn has spoken already.
            _ if self.thread.continues => None,
            FeedbackKind::None => self.thread.complains.then_some(Evidence::Complaint),
            kind => Some(Evidence::FollowUp { kind, score }),
        }
    }

    /// Places of what it may follow, the surest first.
    pub(super) fn follows(&self) -> Vec<Key> {
        let Thread { whole, follows, previous_response, continues, .. } = &self.thread;
        let named = previous_response.clone().map(Key::Response);
        let repeated = self.whole(if *continues { *whole } else { *follows });
        // A session that is only the name of the answer before it is shared by all that follow that answer.
        let session =
            self.session.clone().filter(|s| Some(s) != previous_response.as_ref()).map(Key::Session);
        [named, repeated, session].into_iter().flatten().collect()
    }

    /// Place of a conversation with this hash in the turn's session.
    pub(super) fn whole(&self, hash: Option<ThreadHash>) -> Option<Key> {
        hash.map(|hash| Key::Whole(hash, self.session.clone()))
    }

    /// Places at which later turns find it.
    pub(super) fn places(&self) -> Vec<Key> {
        let session = self.session.clone().map(Key::Session);
        let response = self.response.clone().map(Key::Response);
        [session, response, self.whole(self.thread.whole)].into_iter().flatten().collect()
    }
}
