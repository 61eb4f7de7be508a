//! What is known of each session of a rollout, so that its records weigh together.

use std::collections::{BTreeMap, VecDeque};

use super::split::siphash;
use super::test::Session;

/// Sessions remembered; the one that began first is forgotten, and would count as a new one if it came back.
const MOST: usize = 1 << 16;

/// The sessions of a rollout, by a hash of their names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sessions {
    known: BTreeMap<u64, Of>,
    order: VecDeque<u64>,
}

/// One session in one arm of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Of {
    pub(super) rewards: Session,
    pub(super) answers: Session,
    pub(super) latency: Session,
    pub(super) failed: bool,
}

// === impl Sessions ===

impl Sessions {
    /// What is known of the session of this name at this `place` (its stage and arm); a record without one is a session
    /// of its own, and not remembered.
    pub(super) fn at<R>(
        &mut self,
        place: [u64; 2],
        name: Option<&str>,
        work: impl FnOnce(&mut Of) -> R,
    ) -> R {
        let Some(name) = name else { return work(&mut Of::default()) };
        let key = siphash(place, name.as_bytes());
        if !self.known.contains_key(&key) {
            if self.order.len() >= MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(key);
        }
        work(self.known.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_name_and_place_and_the_oldest_are_forgotten() {
        let mut sessions = Sessions::default();
        let mut count = |place, name: &str| {
            sessions.at(place, Some(name), |of| {
                of.rewards.n += 1;
                of.rewards.n
            })
        };
        assert_eq!(
            [count([0, 0], "a"), count([0, 0], "a"), count([0, 1], "a"), count([1, 0], "b")],
            [1, 2, 1, 1]
        );
        (0..MOST).for_each(|n| drop(count([9, 9], &n.to_string()).to_string()));
        assert_eq!(count([0, 0], "a"), 1);
        assert_eq!(sessions.known.len(), MOST);
    }

    #[test]
    fn what_has_no_session_is_one_of_its_own() {
        let mut sessions = Sessions::default();
        sessions.at([0, 0], None, |of| of.failed = true);
        assert!(!sessions.at([0, 0], None, |of| of.failed) && sessions.known.is_empty());
    }
}
