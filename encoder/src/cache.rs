//! What was encoded lately: bounded, the least recently used out first.
//!
//! A text is known by a keyed hash of 128 bits (SipHash-2-4) and is not kept. Two texts of one hash would be routed by
//! each other's embedding, so the key must be random and secret: then nobody can make such a pair, and by chance it
//! takes some 2⁶⁴ texts.

use std::collections::HashMap;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What a text is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u128);

/// At most `capacity` values by the hash of their text. Every operation takes constant time beside the hashing; a hit
/// clones the value (an `Rc` costs nothing) and allocates nothing.
pub struct Cache<V> {
    capacity: usize,
    hasher: SipHasher24,
    places: HashMap<Key, usize>,
    slots: Vec<Slot<V>>,
    /// Most and least recently used; of no meaning while there are no slots.
    newest: usize,
    oldest: usize,
}

/// A value in the list from newest to oldest. The list is a ring: behind the oldest comes the newest.
struct Slot<V> {
    key: Key,
    value: V,
    newer: usize,
    older: usize,
}

impl<V: Clone> Cache<V> {
    /// An empty cache; `secret` keys its hash. With a `capacity` of 0 it never holds anything.
    pub fn new(capacity: usize, secret: &[u8; 16]) -> Self {
        let hasher = SipHasher24::new_with_key(secret);
        Self { capacity, hasher, places: HashMap::new(), slots: Vec::new(), newest: 0, oldest: 0 }
    }

    /// What `text` is known by here.
    pub fn key(&self, text: &str) -> Key {
        let mut hasher = self.hasher;
        hasher.write(text.as_bytes());
        Key(hasher.finish128().as_u128())
    }

    /// The value of `key`, which is the most recently used from now on.
    pub fn get(&mut self, key: Key) -> Option<V> {
        let place = *self.places.get(&key)?;
        self.promote(place);
        self.slots.get(place).map(|slot| slot.value.clone())
    }

    /// Keeps `value`; when there is no room the least recently used goes.
    pub fn put(&mut self, key: Key, value: V) {
        if let Some(&place) = self.places.get(&key) {
            self.promote(place);
            if let Some(slot) = self.slots.get_mut(place) {
                slot.value = value;
            }
        } else if self.slots.len() < self.capacity {
            self.add(key, value);
        } else {
            self.replace_oldest(key, value);
        }
    }

    /// Values held.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn add(&mut self, key: Key, value: V) {
        let place = self.slots.len();
        self.slots.push(Slot { key, value, newer: place, older: place });
        self.places.insert(key, place);
        self.insert_newest(place);
    }

    /// The ring turns by one: the oldest's place becomes the newest's.
    fn replace_oldest(&mut self, key: Key, value: V) {
        let place = self.oldest;
        let Some(slot) = self.slots.get_mut(place) else { return };
        self.places.remove(&slot.key);
        (slot.key, slot.value) = (key, value);
        self.places.insert(key, place);
        self.promote(place);
    }

    fn promote(&mut self, place: usize) {
        if place == self.newest {
            return;
        }
        let Some(&Slot { newer, older, .. }) = self.slots.get(place) else { return };
        if place == self.oldest {
            self.oldest = newer;
        }
        self.link(newer, older);
        self.insert_newest(place);
    }

    /// Puts a slot that is out of the ring before the newest.
    fn insert_newest(&mut self, place: usize) {
        if self.slots.len() > 1 {
            self.link(self.oldest, place);
            self.link(place, self.newest);
        }
        self.newest = place;
    }

    fn link(&mut self, newer: usize, older: usize) {
        if let Some(slot) = self.slots.get_mut(newer) {
            slot.older = older;
        }
        if let Some(slot) = self.slots.get_mut(older) {
            slot.newer = newer;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; 16] = [7; 16];

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(2, &SECRET);
        let [a, b, c] = ["a", "b", "c"].map(|text| cache.key(text));
        cache.put(a, 1);
        cache.put(b, 2);
        assert_eq!(cache.get(a), Some(1));
        cache.put(c, 3);
        assert_eq!((cache.get(a), cache.get(b), cache.get(c)), (Some(1), None, Some(3)));
    }

    #[test]
    fn a_cache_of_nothing_holds_nothing() {
        let mut cache = Cache::new(0, &SECRET);
        let key = cache.key("a");
        cache.put(key, 1);
        assert_eq!((cache.get(key), cache.len()), (None, 0));
    }

    #[test]
    fn another_secret_knows_a_text_by_another_hash() {
        let (one, other) = (Cache::<()>::new(1, &SECRET), Cache::<()>::new(1, &[8; 16]));
        assert_eq!(one.key("a"), one.key("a"));
        assert_ne!(one.key("a"), other.key("a"));
        assert_ne!(one.key("a"), one.key("a\0"), "the length counts");
    }

    #[test]
    fn what_is_used_stays() {
        let mut cache = Cache::new(100, &SECRET);
        let hot = cache.key("hot");
        cache.put(hot, 0);
        for i in 1..10_000 {
            let key = cache.key(&i.to_string());
            cache.put(key, i);
            assert_eq!(cache.get(hot), Some(0));
        }
        assert_eq!(cache.len(), 100);
    }

    proptest! {
        /// Against a list that is kept in order by hand.
        #[test]
        fn it_does_what_a_list_would_do(
            capacity in 0usize..6,
            steps in proptest::collection::vec((any::<bool>(), 0u8..9, any::<u32>()), 0..200),
        ) {
            let mut cache = Cache::new(capacity, &SECRET);
            let mut list: Vec<(u8, u32)> = Vec::new();
            for (put, text, value) in steps {
                let key = cache.key(&text.to_string());
                let found = list.iter().position(|(t, _)| *t == text).map(|i| list.remove(i));
                let kept = if put { Some((text, value)) } else { found };
                list.splice(0..0, kept);
                list.truncate(capacity);
                if put {
                    cache.put(key, value);
                } else {
                    prop_assert_eq!(cache.get(key), found.map(|(_, value)| value));
                }
                prop_assert_eq!(cache.len(), list.len());
            }
        }
    }
}
