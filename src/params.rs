//! The snapshot in Envoy's shared data: stored once by push or recovery, read by every worker.
//!
//! Envoy never evicts shared data, so there are exactly three keys: the blob, a version of 8 bytes that costs a
//! worker 0.7 µs to look at per request, and when the sidecar was last asked for a newer one.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use dragoman_core::config::PublicKey;
use dragoman_core::guard::split::Split;
use dragoman_core::guard::{CANARY, LIVE};
use dragoman_core::signals::SignalRules;
use dragoman_core::snapshot::{Canary, Snapshot, SnapshotError};
use proxy_wasm::hostcalls::{get_shared_data, set_shared_data};

const VERSION: &str = "dragoman.version";
const BLOB: &str = "dragoman.snapshot";
const ASKED: &str = "dragoman.asked";

/// A snapshot with its rules over signals compiled.
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    pub(crate) rules: Rc<SignalRules>,
    /// The snapshot on trial beside it.
    canary: Option<(Split, Rc<Loaded>)>,
}

impl Loaded {
    /// A snapshot from its blob, whole or not at all. Compiling rules takes milliseconds and snapshots come every second,
    /// so those of `before` are taken over where they are the same.
    fn new(mut snapshot: Snapshot, before: Option<&Self>) -> Result<Self, String> {
        let canary = match snapshot.take_canary() {
            Some(Canary { split, snapshot }) => Some((split, Rc::new(Self::new(*snapshot, before)?))),
            None => None,
        };
        let arms = [before, canary.as_ref().map(|(_, loaded)| loaded.as_ref())];
        let same = arms.into_iter().flatten().find(|arm| arm.snapshot.reads_as(&snapshot));
        let rules = match same {
            Some(same) => Rc::clone(&same.rules),
            None => Rc::new(snapshot.signal_rules()?),
        };
        Ok(Self { snapshot, rules, canary })
    }

    /// The arm of a request and the snapshot that it sees. `draw` gives a uniform random number in 0..1, for requests
    /// without a session.
    pub(crate) fn arm(
        self: Rc<Self>,
        session: Option<&str>,
        draw: impl FnOnce() -> f64,
    ) -> (&'static str, Rc<Self>) {
        let Some((split, canary)) = &self.canary else { return (LIVE, self) };
        let draw = if session.is_none() { draw() } else { 0.0 };
        match split.takes(session, draw) {
            true => (CANARY, Rc::clone(canary)),
            false => (LIVE, self),
        }
    }
}

/// A worker's copy of the newest snapshot it could read.
#[derive(Default)]
pub(crate) struct Params {
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Version last looked at, readable or not, so that a bad blob is read only once.
    version: u64,
    loaded: Option<Rc<Loaded>>,
}

impl Params {
    /// The newest snapshot; the last good one if the newest cannot be read.
    pub(crate) fn current(&self) -> Option<Rc<Loaded>> {
        let version = stored_version();
        let mut seen = self.seen.borrow_mut();
        if version != seen.version {
            seen.version = version;
            match load(seen.loaded.as_deref()) {
                Ok(loaded) => seen.loaded = Some(Rc::new(loaded)),
                Err(why) => log::error!("snapshot {version} stays unused: {why}"),
            }
        }
        seen.loaded.clone()
    }

    /// Version and build time (ms) of the snapshot in use.
    pub(crate) fn in_use(&self) -> Option<(u64, u64)> {
        let seen = self.seen.borrow();
        seen.loaded.as_ref().map(|l| (l.snapshot.meta.version, l.snapshot.meta.created_ms))
    }
}

fn load(before: Option<&Loaded>) -> Result<Loaded, String> {
    let blob = get_shared_data(BLOB).ok().and_then(|(blob, _)| blob).ok_or("it is not in shared data")?;
    Loaded::new(Snapshot::decode_trusted(&blob).map_err(|e| e.to_string())?, before)
}

/// The stored snapshot's version, 0 if there is none.
pub(crate) fn stored_version() -> u64 {
    number(VERSION).0
}

/// Whether it is for this worker to ask the sidecar now: for one of all, and not before `pause` is over.
pub(crate) fn take_turn(now_ms: u64, pause: Duration) -> bool {
    let (asked, cas) = number(ASKED);
    // A clock that was put back must not end recovery: what was asked in the future is over.
    let rested = now_ms.checked_sub(asked).is_none_or(|ms| u128::from(ms) >= pause.as_millis());
    rested && set_shared_data(ASKED, Some(&now_ms.to_le_bytes()), cas).is_ok()
}

/// A number in shared data, 0 if there is none, and what guards it against another writer.
fn number(key: &str) -> (u64, Option<u32>) {
    let (bytes, cas) = get_shared_data(key).unwrap_or_default();
    (bytes.and_then(|b| Some(u64::from_le_bytes(b.try_into().ok()?))).unwrap_or(0), cas)
}

/// The way into shared data, for blobs from outside.
pub(crate) struct Store {
    key: PublicKey,
    /// What was checked last: its rules do for the next snapshot, as those of `before` in [`Loaded::new`].
    last: RefCell<Option<Loaded>>,
}

// === impl Store ===

impl Store {
    /// Takes blobs that are signed by the owner of `key`.
    pub(crate) fn new(key: PublicKey) -> Self {
        Self { key, last: RefCell::default() }
    }

    /// Checks a blob and stores it for every worker. Returns its version.
    pub(crate) fn put(&self, blob: &[u8]) -> Result<u64, Refused> {
        let snapshot = Snapshot::decode(blob, &self.key.0).map_err(Refused::Bad)?;
        let version = snapshot.meta.version;
        let mut last = self.last.borrow_mut();
        let loaded = Loaded::new(snapshot, last.as_ref());
        *last = Some(loaded.map_err(|why| Refused::Bad(SnapshotError::Malformed(why)))?);
        put(blob, version)
    }
}

/// Stores a blob that was checked, if it is newer.
fn put(blob: &[u8], version: u64) -> Result<u64, Refused> {
    // The blob's CAS number is taken before the version is compared: a writer in between makes this one fail.
    let (_, cas) = get_shared_data(BLOB).map_err(|_| Refused::Busy)?;
    let current = stored_version();
    if version <= current {
        return Err(Refused::NotNewer { version, current });
    }
    set_shared_data(BLOB, Some(blob), cas).map_err(|_| Refused::Busy)?;
    raise_version(version)?;
    // Envoy's CAS does not guard a key that is not there yet: of two first writers both may think they won. The
    // version says which one did, and that one makes sure that the blob is its own.
    let stored = get_shared_data(BLOB).ok().and_then(|(stored, _)| stored);
    if stored_version() == version && stored.as_deref() != Some(blob) {
        set_shared_data(BLOB, Some(blob), None).map_err(|_| Refused::Busy)?;
    }
    Ok(version)
}

/// Raises the stored version, never lowers it.
fn raise_version(version: u64) -> Result<(), Refused> {
    const TRIES: usize = 4;
    for _ in 0..TRIES {
        let (_, cas) = get_shared_data(VERSION).map_err(|_| Refused::Busy)?;
        if stored_version() >= version || set_shared_data(VERSION, Some(&version.to_le_bytes()), cas).is_ok()
        {
            return Ok(());
        }
    }
    Err(Refused::Busy)
}

/// Why a snapshot was not stored.
pub(crate) enum Refused {
    /// It is not usable.
    Bad(SnapshotError),
    /// What is stored is as new or newer.
    NotNewer { version: u64, current: u64 },
    /// Another writer was faster; the sender tries again.
    Busy,
}

impl Refused {
    /// HTTP status of the refusal.
    pub(crate) fn status(&self) -> u32 {
        match self {
            Self::Bad(SnapshotError::NotAuthentic) => 403,
            Self::Bad(SnapshotError::TooLarge(_)) => 413,
            Self::Bad(_) => 400,
            Self::NotNewer { .. } => 409,
            Self::Busy => 503,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(why) => why.fmt(f),
            Self::NotNewer { version, current } => {
                write!(f, "snapshot {version} is not newer than {current}, which is in use")
            }
            Self::Busy => f.write_str("another snapshot was being stored; try again"),
        }
    }
}
