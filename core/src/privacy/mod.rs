//! Privacy: what of a prompt may be written down.
//!
//! This room owns the ways to store a prompt (`privacy.store_prompts`): not, as a keyed hash, without what names people
//! or opens doors ([`redact`]), or whole. The filter applies them before a record leaves it, the sidecar once more
//! before it is written: doing it twice changes nothing. It must not know where anything is stored.
#![deny(clippy::indexing_slicing)]

mod contacts;
mod numbers;
mod redact;
mod secrets;

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::config::{Privacy, StorePrompts};

pub use redact::redact;

/// What stands before a hash, so that nobody takes it for a prompt.
const HASH: &str = "hash:";
/// Hexadecimal digits of a hash.
const DIGITS: usize = 32;

/// What is stored of `prompt`; of something that was made here it is the same again.
pub fn stored(privacy: &Privacy, prompt: &str) -> Option<String> {
    match privacy.store_prompts {
        StorePrompts::None => None,
        StorePrompts::Hash if is_hash(prompt) => Some(prompt.to_owned()),
        StorePrompts::Hash => privacy.hash_key.map(|key| hash(&key, prompt)),
        StorePrompts::Redacted => Some(redact(prompt)),
        StorePrompts::Full => Some(prompt.to_owned()),
    }
}

/// SipHash-2-4 of 128 bits: without the key no guess of a prompt can be checked, and by chance two prompts share a hash
/// among some 2⁶⁴.
fn hash(key: &[u8; 16], prompt: &str) -> String {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(prompt.as_bytes());
    format!("{HASH}{:0DIGITS$x}", hasher.finish128().as_u128())
}

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix(HASH).unwrap_or_default().as_bytes();
    digits.len() == DIGITS && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
