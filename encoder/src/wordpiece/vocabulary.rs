//! A vocabulary: one arena of bytes and a table of hashes to find a token in.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

/// Tokens in the order of the file, and their ids, which are `0..tokens`.
#[derive(Default)]
pub(super) struct Vocabulary {
    /// All tokens, one after the other.
    arena: Vec<u8>,
    /// Where each token ends; it starts where the one before ends.
    ends: Vec<usize>,
    ids: Vec<u32>,
    /// Which token has this hash or the nearest below; at most half are in use, so that a search ends.
    slots: Vec<u32>,
    /// Bytes of the longest token.
    longest: usize,
}

/// A slot that is not in use.
const FREE: u32 = u32::MAX;

/// The bytes that a token begins with, and their hash.
pub(super) struct Prefix {
    bytes: Vec<u8>,
    hash: u32,
}

impl Prefix {
    pub(super) const NONE: Self = Self { bytes: Vec::new(), hash: 0x811c_9dc5 };

    pub(super) fn new(prefix: &str) -> Self {
        Self { bytes: prefix.into(), hash: hash(prefix.as_bytes()) }
    }
}

/// FNV-1a, one byte further: a text's hash and its beginnings' are found in one pass.
fn hashed(hash: u32, byte: &u8) -> u32 {
    (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
}

fn hash(token: &[u8]) -> u32 {
    token.iter().fold(Prefix::NONE.hash, hashed)
}

impl Vocabulary {
    pub(super) fn id(&self, token: &[u8]) -> Option<u32> {
        self.find(hash(token), &[], token)
    }

    /// The longest token that is `prefix` and a beginning of `rest`: its id, and how many bytes of `rest` are in it.
    /// `hashes` is room to work in.
    pub(super) fn longest(
        &self,
        prefix: &Prefix,
        rest: &[u8],
        hashes: &mut Vec<u32>,
    ) -> Option<(u32, usize)> {
        hashes.clear();
        hashes.extend(rest.iter().take(self.longest).scan(prefix.hash, |hash, byte| {
            *hash = hashed(*hash, byte);
            Some(*hash)
        }));
        hashes
            .iter()
            .enumerate()
            .rev()
            .find_map(|(last, hash)| Some((self.find(*hash, &prefix.bytes, rest.get(..=last)?)?, last + 1)))
    }

    /// The id of the token `[prefix, rest]`, which has this hash.
    fn find(&self, hash: u32, prefix: &[u8], rest: &[u8]) -> Option<u32> {
        let found = self.probe(hash).find_map(|(_, token)| match token {
            None => Some(None),
            Some(i) => (self.token(i)?.strip_prefix(prefix)? == rest).then_some(Some(i)),
        });
        self.ids.get(found??).copied()
    }

    /// The slots that a token of this hash may be in, and which token each has.
    fn probe(&self, hash: u32) -> impl Iterator<Item = (usize, Option<usize>)> {
        // Tokens that differ in the last byte only have neighbouring FNV hashes; a product's upper bits have not.
        let mixed = hash.wrapping_mul(0x9e37_79b1);
        let (start, mask) = ((mixed ^ mixed >> 15) as usize, self.slots.len().wrapping_sub(1));
        (0..self.slots.len()).map(move |step| {
            let at = start.wrapping_add(step) & mask;
            let slot = self.slots.get(at).copied().unwrap_or(FREE);
            (at, (slot != FREE).then_some(slot as usize))
        })
    }

    fn token(&self, i: usize) -> Option<&[u8]> {
        let start = i.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.arena.get(start..*self.ends.get(i)?)
    }
}

// === reading ===

impl Vocabulary {
    /// Makes the table, when all tokens are there.
    fn index(&mut self) -> Result<(), String> {
        self.check()?;
        self.slots = vec![FREE; (2 * self.ids.len()).next_power_of_two()];
        for (i, slot) in (0..FREE).zip(0..self.ids.len()) {
            let token = self.token(slot).unwrap_or_default();
            if self.id(token).is_some() {
                return Err(format!("the token {} is in it twice", self.shown(slot)));
            }
            let (hash, length) = (hash(token), token.len());
            self.longest = self.longest.max(length);
            let free = self.probe(hash).find_map(|(at, token)| token.is_none().then_some(at));
            if let Some(slot) = free.and_then(|at| self.slots.get_mut(at)) {
                *slot = i;
            }
        }
        Ok(())
    }

    /// Whether every id below the number of tokens is one token's.
    fn check(&self) -> Result<(), String> {
        let count = self.ids.len();
        let mut seen = vec![false; count];
        for (i, id) in self.ids.iter().enumerate() {
            let Some(seen) = seen.get_mut(*id as usize) else {
                let shown = self.shown(i);
                return Err(format!(
                    "the ids of {count} tokens must be all from 0 on, but that of {shown} is {id}"
                ));
            };
            if std::mem::replace(seen, true) {
                return Err(format!("the token {} has the id {id}, which another has too", self.shown(i)));
            }
        }
        Ok(())
    }

    /// A token, to be named in a sentence.
    fn shown(&self, i: usize) -> String {
        format!("{:?}", String::from_utf8_lossy(self.token(i).unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Vocabulary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vocabulary of tokens and their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
        let mut read = Vocabulary::default();
        while map.next_key_seed(Append(&mut read.arena))?.is_some() {
            read.ends.push(read.arena.len());
            read.ids.push(map.next_value()?);
        }
        read.index().map_err(|why| A::Error::custom(format_args!("the vocabulary is not usable: {why}")))?;
        Ok(read)
    }
}

/// A token on its way to the end of the arena, without a string of its own.
struct Append<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }

    fn visit_str<E: Error>(self, token: &str) -> Result<(), E> {
        self.0.extend_from_slice(token.as_bytes());
        Ok(())
    }
}
