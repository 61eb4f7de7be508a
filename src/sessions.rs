//! The table of conversations in Envoy's shared data: a fixed set of keys, which all workers write and none evicts.
//!
//! Read only for requests with a session, two slots of 24 bytes; written when something changes. Two workers may write
//! one slot at the same moment: then one conversation is forgotten, which costs it no more than a free choice.

use dragoman_core::config::{Routing, Sticky};
use dragoman_core::sticky::{Slot, is_news, model_hash, places, seat, session_hash};
use proxy_wasm::hostcalls::{get_shared_data, set_shared_data};
use rand::TryRngCore;
use rand::rngs::OsRng;

/// What keys the hashes of sessions: made once by the first worker that needs it, and gone with Envoy.
const SECRET: &str = "dragoman.secret";

/// A conversation's place in the table.
pub(crate) struct Seat {
    session: u64,
    key: String,
    held: Option<Slot>,
}

impl Seat {
    /// Where `session` sits at `now` (milliseconds since the Unix epoch), or may sit down; `None` if conversations are
    /// not held, or this Envoy has no secret.
    pub(crate) fn find(session: &str, sticky: &Sticky, now: u64) -> Option<Self> {
        let secret = sticky.enabled.then(secret)??;
        let session = session_hash(&secret, session);
        let keys = places(session, sticky.slots).map(|n| format!("dragoman.session.{n}"));
        let found = [0, 1].map(|i| Slot::from_bytes(&stored(keys.get(i)?)?));
        let (at, held) = seat(found, session, sticky, now);
        Some(Self { session, key: keys.into_iter().nth(at)?, held })
    }

    /// The model that answered this conversation last, as an index of the models of today.
    pub(crate) fn model(&self, routing: &Routing) -> Option<usize> {
        let held = self.held?.model;
        routing.models.iter().position(|m| model_hash(&m.name) == held)
    }

    /// Whether the conversation was on a model.
    pub(crate) fn is_taken(&self) -> bool {
        self.held.is_some()
    }

    /// The conversation is on `model` now.
    pub(crate) fn take(&mut self, model: &str, now: u64) {
        let slot = Slot { session: self.session, model: model_hash(model), time_ms: now };
        if is_news(self.held, slot.model, now) {
            self.write(slot);
            self.held = Some(slot);
        }
    }

    /// Its model failed: the next turn is free to go anywhere.
    pub(crate) fn leave(self) {
        self.write(Slot { session: self.session, model: 0, time_ms: 0 });
    }

    fn write(&self, slot: Slot) {
        // A table is never worth failing a request for.
        let _ = set_shared_data(&self.key, Some(&slot.to_bytes()), None);
    }
}

/// Read anew each time: of two first workers both may think that theirs is the secret (Envoy's compare-and-swap does
/// not guard a key that is not there), and only what is stored is the same for all.
fn secret() -> Option<[u8; 16]> {
    if let Some(secret) = stored(SECRET) {
        return secret.try_into().ok();
    }
    let mut fresh = [0; 16];
    OsRng.try_fill_bytes(&mut fresh).ok()?;
    set_shared_data(SECRET, Some(&fresh), None).ok()?;
    stored(SECRET)?.try_into().ok()
}

fn stored(key: &str) -> Option<Vec<u8>> {
    get_shared_data(key).ok()?.0
}
