//! Recovery: after a restart of Envoy the shared data is empty, and one of the workers fetches the snapshot.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls::dispatch_http_call;

use crate::headers;
use crate::params::{self, Refused, Store};
use crate::worker::now_ms;

/// Fetches the sidecar's snapshot: quickly while there is none, now and then afterwards, in case a push was lost. Every
/// worker has one, and they take turns.
pub(crate) struct Recover {
    store: Rc<Store>,
    sidecar: String,
    known_by: Option<String>,
    waiting: bool,
    failing: bool,
}

impl Recover {
    /// How often to look whether it is time to ask, and to ask while there is no snapshot.
    pub(crate) const PERIOD: Duration = Duration::from_millis(100);
    /// How often to ask once there is a snapshot.
    const RELAXED: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new(store: Rc<Store>, sidecar: String, token: Option<&str>) -> Self {
        Self { store, sidecar, known_by: headers::bearer(token), waiting: false, failing: false }
    }

    /// Where a snapshot is put, fetched or pushed.
    pub(crate) fn store(&self) -> Rc<Store> {
        Rc::clone(&self.store)
    }

    pub(crate) fn on_tick(&mut self) {
        let version = params::stored_version();
        let pause = if version == 0 { Self::PERIOD } else { Self::RELAXED };
        if self.waiting || !params::take_turn(now_ms(), pause) {
            return;
        }
        let path = format!("/v1/snapshot?newer_than={version}");
        let mut headers = vec![(":method", "GET"), (":path", path.as_str()), (":authority", "dragoman")];
        headers.extend(self.known_by.as_deref().map(|value| ("authorization", value)));
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
