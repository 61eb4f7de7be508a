//! Recovery: after a restart of Envoy the shared data is empty; the bootstrap singleton fetches the snapshot.

use std::time::{Duration, Instant};

use dragoman_core::config::PublicKey;
use proxy_wasm::hostcalls::dispatch_http_call;

use crate::headers;
use crate::params::{self, Refused, Store};

/// Fetches the sidecar's snapshot: quickly while there is none, now and then afterwards, in case a push was lost.
pub(crate) struct Recover {
    store: Store,
    sidecar: String,
    known_by: Option<String>,
    waiting: bool,
    asked: Option<Instant>,
    failing: bool,
}

impl Recover {
    /// How often to look whether it is time to ask.
    pub(crate) const PERIOD: Duration = Duration::from_millis(100);
    /// How often to ask once there is a snapshot.
    const RELAXED: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new(key: PublicKey, sidecar: String, token: Option<&str>) -> Self {
        let (store, known_by) = (Store::new(key), headers::bearer(token));
        Self { store, sidecar, known_by, waiting: false, asked: None, failing: false }
    }

    pub(crate) fn on_tick(&mut self) {
        let version = params::stored_version();
        let rested = version == 0 || self.asked.is_none_or(|at| at.elapsed() >= Self::RELAXED);
        if self.waiting || !rested {
            return;
        }
        let path = format!("/v1/snapshot?newer_than={version}");
        let mut headers = vec![(":method", "GET"), (":path", path.as_str()), (":authority", "dragoman")];
        headers.extend(self.known_by.as_deref().map(|value| ("authorization", value)));
        self.asked = Some(Instant::now());
        match dispatch_http_call(&self.sidecar, headers, None, vec![], Self::TIMEOUT) {
            Ok(_) => self.waiting = true,
            Err(status) => self.failed(&format!("Envoy refuses the call ({status:?})")),
        }
    }

    pub(crate) fn on_reply(&mut self, status: Option<u16>, blob: Option<Vec<u8>>) {
        self.waiting = false;
        match (status, blob) {
            (Some(200), Some(blob)) => match self.store.put(&blob) {
                Ok(version) => {
                    self.failing = false;
                    log::info!("snapshot {version} recovered from the sidecar");
                }
                // A push came in between: all is well.
                Err(Refused::NotNewer { .. }) => self.failing = false,
                Err(why) => self.failed(&why.to_string()),
            },
            (Some(304 | 404), _) => self.failing = false,
            (Some(status), _) => self.failed(&format!("the sidecar answers {status}")),
            (None, _) => self.failed("the sidecar cannot be reached"),
        }
    }

    /// Says it once, not at every tick.
    fn failed(&mut self, why: &str) {
        if !self.failing {
            log::warn!(
                "no snapshot from the sidecar yet, requests go by the last one or the default route: {why}"
            );
        }
        self.failing = true;
    }
}
