//! The table of conversations: which model each was answered by last.
//!
//! A fixed number of slots of fixed size, since where they are kept nothing is ever evicted. A conversation has two
//! slots it may be in, by its hash; a new one takes the place that is free, else the older one. This room owns the
//! slots and their bytes; it must not know where they are kept or what a decision makes of them ([`crate::decision`]).
#![deny(clippy::indexing_slicing)]

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use crate::config::Sticky;

/// One conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its [`session_hash`].
    pub session: u64,
    /// [`model_hash`] of the model that answers it.
    pub model: u64,
    /// When it was last written, milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// A slot is written again when nothing but its time has changed only if that is so many milliseconds old: most turns
/// of a conversation write nothing.
const FRESH_MS: u64 = 60_000;

/// A session by a hash that nobody without `secret` can make (SipHash-2-4), so that names cannot be guessed back from
/// the table and no client can aim at another's slot.
pub fn session_hash(secret: &[u8; 16], session: &str) -> u64 {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(session.as_bytes());
    hasher.finish()
}

/// A model by its name, the same in every snapshot. Never 0.
pub fn model_hash(name: &str) -> u64 {
    session_hash(&[0; 16], name).max(1)
}

/// The two slots that a session may be in, of `slots`.
pub fn places(session: u64, slots: u32) -> [u32; 2] {
    let pairs = u64::from(slots / 2).max(1);
    let first = (session % pairs) as u32 * 2;
    [first, first + 1]
}

// === impl Slot ===

impl Slot {
    /// Bytes of a slot.
    pub const BYTES: usize = 24;

    /// As it is kept: three numbers, little-endian.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [self.session, self.model, self.time_ms];
        bytes.chunks_exact_mut(8).zip(numbers).for_each(|(to, n)| to.copy_from_slice(&n.to_le_bytes()));
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` of anything else, and of a slot that was left (model 0).
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let mut numbers = bytes.chunks_exact(8).filter_map(|n| Some(u64::from_le_bytes(n.try_into().ok()?)));
        let slot = Self { session: numbers.next()?, model: numbers.next()?, time_ms: numbers.next()? };
        (slot.model != 0).then_some(slot)
    }

    /// Whether it still says something at `now`. Clocks of two workers may differ a little.
    fn lives(&self, sticky: &Sticky, now: u64) -> bool {
        now.saturating_sub(self.time_ms) <= sticky.lifetime_ms()
    }
}

/// Which of its two places `session` is in or should take, and what is known of it there.
pub fn seat(found: [Option<Slot>; 2], session: u64, sticky: &Sticky, now: u64) -> (usize, Option<Slot>) {
    let living = found.map(|slot| slot.filter(|s| s.lives(sticky, now)));
    if let Some(at) = living.iter().position(|slot| slot.is_some_and(|s| s.session == session)) {
        return (at, living.into_iter().nth(at).flatten());
    }
    let age = living.map(|slot| slot.map_or(0, |s| s.time_ms));
    let [first, second] = age;
    (usize::from(second < first), None)
}

/// Whether `model` must be written at `now`, where `held` is what the table says.
pub fn is_news(held: Option<Slot>, model: u64, now: u64) -> bool {
    held.is_none_or(|slot| slot.model != model || now.saturating_sub(slot.time_ms) > FRESH_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60_000;

    fn sticky() -> Sticky {
        Sticky { minutes: 30, slots: 8, ..Sticky::default() }
    }

    fn slot(session: u64, time_ms: u64) -> Slot {
        Slot { session, model: 7, time_ms }
    }

    #[test]
    fn a_conversation_is_found_where_it_sat_down_until_it_is_too_old() {
        let (sticky, now) = (sticky(), 100 * MINUTE);
        let mine = slot(1, now - 30 * MINUTE);
        assert_eq!(seat([Some(slot(2, now)), Some(mine)], 1, &sticky, now), (1, Some(mine)));
        assert_eq!(seat([Some(slot(2, now)), Some(mine)], 1, &sticky, now + 1), (1, None), "too old");
    }

    #[test]
    fn a_new_conversation_takes_the_free_place_else_the_older_one() {
        let (sticky, now) = (sticky(), 100 * MINUTE);
        let at = |a: Option<u64>, b: Option<u64>| {
            let found = [a.map(|t| slot(1, t * MINUTE)), b.map(|t| slot(2, t * MINUTE))];
            seat(found, 9, &sticky, now)
        };
        assert_eq!(at(None, None), (0, None));
        assert_eq!(at(Some(99), None), (1, None));
        assert_eq!(at(Some(98), Some(99)), (0, None));
        assert_eq!(at(Some(99), Some(98)), (1, None));
        assert_eq!(at(Some(99), Some(10)), (1, None), "one that is too old counts as free");
    }

    #[test]
    fn only_news_are_written() {
        let held = Some(slot(1, 10 * MINUTE));
        assert!(is_news(None, 7, 10 * MINUTE));
        assert!(!is_news(held, 7, 11 * MINUTE));
        assert!(is_news(held, 7, 11 * MINUTE + 1), "or it would be forgotten while it goes on");
        assert!(is_news(held, 8, 10 * MINUTE));
    }

    #[test]
    fn a_session_hash_needs_the_secret() {
        assert_ne!(session_hash(&[1; 16], "s"), session_hash(&[2; 16], "s"));
        assert_ne!(session_hash(&[1; 16], "s"), session_hash(&[1; 16], "t"));
        assert_eq!(model_hash("small"), model_hash("small"));
    }

    proptest! {
        #[test]
        fn a_slot_survives_its_bytes(session: u64, model in 1u64.., time_ms: u64) {
            let slot = Slot { session, model, time_ms };
            prop_assert_eq!(Slot::from_bytes(&slot.to_bytes()), Some(slot));
            let left = Slot { model: 0, ..slot };
            prop_assert_eq!(Slot::from_bytes(&left.to_bytes()), None);
        }

        #[test]
        fn any_bytes_are_a_slot_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(bytes.len() == Slot::BYTES || Slot::from_bytes(&bytes).is_none());
        }

        #[test]
        fn both_places_are_within_the_table_and_differ(session: u64, pairs in 1u32..40_000) {
            let [a, b] = places(session, 2 * pairs);
            prop_assert!(a != b && a < 2 * pairs && b < 2 * pairs);
        }

        #[test]
        fn a_seat_is_one_of_the_two_and_knows_only_its_own_session(
            session in 0u64..4, other in 0u64..4, third in 0u64..4, t in 0u64..MINUTE * 80, u in 0u64..MINUTE * 80,
        ) {
            let found = [Some(slot(other, t)), Some(slot(third, u))];
            let (at, held) = seat(found, session, &sticky(), 80 * MINUTE);
            prop_assert!(at < 2);
            prop_assert!(held.is_none_or(|h| h.session == session));
        }
    }
}
