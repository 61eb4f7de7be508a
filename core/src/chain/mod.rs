//! What the next request of a conversation says of the answer before it.
//!
//! This room links the records of a conversation and draws from each link a piece of evidence about the *earlier*
//! answer. It knows a bounded table of recent turns and the records' own times; it must not know the log, rewards or
//! routes. Whoever calls it writes down what it finds: it is asked once about each new record, and never when the log
//! is learned again.
//!
//! A record follows the one that it names (`previous_response_id`), else the one whose conversation it repeats, else
//! the latest of its session; always one that was answered when it came, within the window. Sent again word for
//! word, it is no follow-up but a wish for another answer. A step of an agent (results of tools behind the user's
//! turn) says nothing, but takes the place of the answer that the next turn speaks of.

mod table;
mod turn;

use std::collections::{BTreeMap, VecDeque};

use crate::reward::Evidence;
use crate::signals::FeedbackKind;
use table::{Key, Table};
pub use turn::Turn;

/// Turns remembered: at 100 requests a second twice the usual window.
const MAX_TURNS: usize = 1 << 17;

/// A person may want another answer so many times in a row; who sends the same words more often (a probe, a load test, a
/// question that everybody asks) is not displeased with each answer.
const MAX_REPEATS: u8 = 3;

/// Pieces of evidence that follow-ups may give about one answer.
const MAX_VOICES: u8 = 8;

/// Evidence given at once; the rest waits for the next call.
const BATCH: usize = 256;

/// One piece of evidence about an earlier answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Id of the record that it is about.
    pub of: String,
    /// What was found.
    pub evidence: Evidence,
    /// Id of the record that showed it; `None` of silence.
    pub by: Option<String>,
    /// When it was so, milliseconds since the Unix epoch, by the records' own times.
    pub time_ms: u64,
}

/// Links recent turns. Times are milliseconds since the Unix epoch; `now` is the caller's clock.
#[derive(Debug, Clone)]
pub struct Chain {
    window_ms: u64,
    /// Workers send their records in batches, so a later turn may arrive before an earlier one: new turns are held
    /// so long and linked in the order of their times.
    hold_ms: u64,
    table: Table,
    waiting: BTreeMap<(u64, u64), Turn>,
    /// Of what waits: when it may go on, and its place.
    arrivals: VecDeque<(u64, (u64, u64))>,
    arrived: u64,
    /// How far the newest record's time is behind the clock: records from another time (an outbox that was full, an
    /// old log) bring their own clock with them.
    lag_ms: Option<u64>,
}

// === impl Chain ===

impl Chain {
    /// An empty table.
    pub fn new(window_ms: u64, hold_ms: u64) -> Self {
        Self {
            window_ms,
            hold_ms,
            table: Table::default(),
            waiting: BTreeMap::new(),
            arrivals: VecDeque::new(),
            arrived: 0,
            lag_ms: None,
        }
    }

    /// How long after an answer its follow-up may come.
    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// Turns that come from now on have another window.
    pub fn set_window(&mut self, window_ms: u64) {
        self.window_ms = window_ms;
    }

    /// A new turn came; [`Chain::advance`] says what it shows.
    pub fn arrive(&mut self, mut turn: Turn, now: u64) {
        // A clock that is ahead must not keep its turns here for ever.
        let ahead = turn.time_ms.saturating_sub(now);
        turn.time_ms -= ahead;
        turn.end_ms = turn.end_ms.saturating_sub(ahead);
        let lag = now.saturating_sub(turn.time_ms);
        self.lag_ms = Some(self.lag_ms.map_or(lag, |known| known.min(lag)));
        self.arrived += 1;
        let place = (turn.time_ms, self.arrived);
        self.arrivals.push_back((now.saturating_add(self.hold_ms), place));
        self.waiting.insert(place, turn);
    }

    /// Takes in turns of an earlier run, whose evidence is written down already: nothing is found in them. The clock
    /// goes on from where the last of them left it.
    pub fn recall(&mut self, turns: impl IntoIterator<Item = Turn>, now: u64) {
        turns.into_iter().for_each(|turn| self.arrive(turn, now));
        for (_, turn) in std::mem::take(&mut self.waiting) {
            drop(self.link(turn));
        }
        self.arrivals.clear();
    }

    /// What there is to find by now; called again until it finds nothing more, or at [`Chain::due`].
    pub fn advance(&mut self, now: u64) -> Vec<Found> {
        let mut found = Vec::new();
        while let Some(turn) = self.next_turn(now) {
            found.extend(self.link(turn));
            if found.len() >= BATCH {
                return found;
            }
        }
        let clock = now.saturating_sub(self.lag_ms.unwrap_or(0));
        while found.len() < BATCH
            && let Some(ended) = self.table.pop_due(clock, self.window_ms)
        {
            found.extend(ended.silent.then_some(Found {
                of: ended.id,
                evidence: Evidence::Silence,
                by: None,
                time_ms: ended.at,
            }));
        }
        found
    }

    /// When [`Chain::advance`] has something to do again.
    pub fn due(&self) -> Option<u64> {
        let turn = self.arrivals.front().map(|(at, _)| *at);
        let silence = self.table.due().map(|at| at.saturating_add(self.lag_ms.unwrap_or(0) + 1));
        turn.into_iter().chain(silence).min()
    }

    /// When everything that waits may be linked: for the end, when nothing more can come before it.
    pub fn last_due(&self) -> Option<u64> {
        self.arrivals.back().map(|(at, _)| *at)
    }

    /// Turns remembered.
    pub fn len(&self) -> usize {
        self.table.len() + self.waiting.len()
    }

    /// Whether no turn is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The earliest turn that is not later than one that has waited long enough.
    fn next_turn(&mut self, now: u64) -> Option<Turn> {
        while let Some((at, place)) = self.arrivals.front() {
            if *at > now {
                return None;
            }
            match self.waiting.first_entry().filter(|first| first.key() <= place) {
                Some(first) => return Some(first.remove()),
                // Gone before, with a later one that had waited longer.
                None => drop(self.arrivals.pop_front()),
            }
        }
        None
    }

    /// Links a turn to what it follows, and remembers it for those that follow it.
    fn link(&mut self, turn: Turn) -> Option<Found> {
        let again = turn.whole(turn.thread.whole).filter(|_| !turn.thread.continues);
        let again = again.and_then(|key| self.table.latest(&key, turn.time_ms));
        let followed = again
            .or_else(|| turn.follows().into_iter().find_map(|key| self.table.latest(&key, turn.time_ms)));
        let mut repeats = 0;
        let found = followed.and_then(|n| self.table.get_mut(n)).and_then(|earlier| {
            repeats = if again.is_some() { earlier.repeats.saturating_add(1) } else { 0 };
            let evidence = match repeats {
                // Only where silence was noted too early is it worth a note that there is a next turn.
                0 => turn.says().or_else(|| earlier.silent.then_some(NOTHING_SAID)),
                1..=MAX_REPEATS => Some(Evidence::Regenerated),
                _ => None,
            };
            let voice = evidence.filter(|_| earlier.answered && earlier.voices < MAX_VOICES);
            earlier.followed = true;
            earlier.silent = false;
            earlier.voices += u8::from(voice.is_some());
            let by = Some(turn.id.clone());
            voice.map(|evidence| Found { of: earlier.id.clone(), evidence, by, time_ms: turn.time_ms })
        });
        if self.table.len() >= MAX_TURNS {
            self.table.drop_oldest();
        }
        self.table.insert(turn, repeats, self.window_ms);
        found
    }
}

const NOTHING_SAID: Evidence = Evidence::FollowUp { kind: FeedbackKind::None, score: 0.0 };

#[cfg(test)]
mod tests;
