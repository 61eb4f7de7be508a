//! The table of recent turns and its indices.

use std::collections::{BTreeMap, BTreeSet};

use super::turn::Turn;
use crate::request::ThreadHash;

/// A time is taken where a request was decided, a duration from where it came: so much they may be apart. Two requests
/// that are nearer together than a model takes to answer do not follow each other.
const SLACK_MS: u64 = 250;

/// By what a turn is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The conversation's name.
    Session(String),
    /// The answer's name.
    Response(String),
    /// The conversation's hash, and its name, if it has one: equal words in two conversations are two.
    Whole(ThreadHash, Option<String>),
}

/// A turn as the table keeps it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) answered: bool,
    /// Whether a later turn was linked to it.
    pub(super) followed: bool,
    /// Whether silence after it was noted.
    pub(super) silent: bool,
    /// How many times in a row its prompt was sent before it.
    pub(super) repeats: u8,
    /// Pieces of evidence that follow-ups gave about it.
    pub(super) voices: u8,
    /// From when it can be followed.
    from_ms: u64,
    /// Until when.
    until_ms: u64,
    places: Vec<Key>,
}

/// A turn whose window has ended.
pub(super) struct Ended {
    pub(super) id: String,
    /// When it ended.
    pub(super) at: u64,
    /// Whether its answer was met with silence.
    pub(super) silent: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// Nodes by their places, there by the time from which they can be followed.
    index: BTreeMap<Key, BTreeSet<(u64, u64)>>,
    /// When a node's window ends, and a window later once more: till then late arrivals may find it.
    due: BTreeSet<(u64, u64)>,
}

// === impl Table ===

impl Table {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing is left of forgotten turns.
    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        self.nodes.is_empty() && self.index.is_empty() && self.due.is_empty()
    }

    pub(super) fn get_mut(&mut self, n: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&n)
    }

    /// The latest turn at `key` that a request of this time can follow.
    pub(super) fn latest(&self, key: &Key, time_ms: u64) -> Option<u64> {
        let (_, n) = self.index.get(key)?.range(..=(time_ms, u64::MAX)).next_back()?;
        self.nodes.get(n).filter(|node| time_ms <= node.until_ms).map(|_| *n)
    }

    pub(super) fn insert(&mut self, turn: Turn, repeats: u8, window_ms: u64) {
        let places = turn.places();
        let (n, from_ms) = (self.next, turn.end_ms.saturating_sub(SLACK_MS).max(turn.time_ms));
        let until_ms = turn.end_ms.saturating_add(window_ms);
        self.next += 1;
        for key in &places {
            self.index.entry(key.clone()).or_default().insert((from_ms, n));
        }
        self.due.insert((until_ms, n));
        let Turn { id, answered, silent, .. } = turn;
        self.nodes.insert(
            n,
            Node { id, answered, followed: false, silent, repeats, voices: 0, from_ms, until_ms, places },
        );
    }

    /// The next turn whose window has ended before `clock`; those that ended a window ago are forgotten.
    pub(super) fn pop_due(&mut self, clock: u64, window_ms: u64) -> Option<Ended> {
        loop {
            let (at, n) = *self.due.first().filter(|(at, _)| *at < clock)?;
            self.due.pop_first();
            match self.nodes.get_mut(&n) {
                Some(node) if node.until_ms == at => {
                    let silent = node.answered && !node.followed && !node.silent;
                    node.silent |= silent;
                    self.due.insert((at.saturating_add(window_ms.max(1)), n));
                    return Some(Ended { id: node.id.clone(), at, silent });
                }
                _ => self.remove(n),
            }
        }
    }

    /// When the next window ends.
    pub(super) fn due(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Makes room. What is forgotten before its window has ended is met with nothing.
    pub(super) fn drop_oldest(&mut self) {
        if let Some((_, n)) = self.due.pop_first() {
            self.remove(n);
        }
    }

    fn remove(&mut self, n: u64) {
        let Some(node) = self.nodes.remove(&n) else { return };
        for key in &node.places {
            if let Some(nodes) = self.index.get_mut(key) {
                nodes.remove(&(node.from_ms, n));
                if nodes.is_empty() {
                    self.index.remove(key);
                }
            }
        }
    }
}
