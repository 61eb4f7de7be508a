//! What the streams of one worker share: embedder, snapshot, outbox, metrics, randomness.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dragoman_core::config::RouteRole;
use dragoman_core::replay::{ENCODER_HEADER, ReplayRecord, replay_id};
use proxy_wasm::hostcalls::dispatch_http_call;
use rand::rngs::{OsRng, SmallRng};
use rand::{Rng, SeedableRng, TryRngCore};

use crate::embed::{Asked, Call, Embedder};
use crate::headers;
use crate::outbox::Outbox;
use crate::params::Params;
use crate::stats::Stats;

/// How long the sidecar may take to acknowledge a batch.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(5);

/// Shared by the streams of one worker; Envoy runs them one at a time.
pub(crate) struct Worker {
    pub(crate) config: RouteRole,
    embedder: Embedder,
    pub(crate) params: Params,
    pub(crate) stats: Stats,
    outbox: RefCell<Outbox>,
    random: RefCell<SmallRng>,
    undecided: Warnings,
    unembedded: Warnings,
}

impl Worker {
    pub(crate) fn new(config: RouteRole) -> Result<Self, String> {
        Ok(Self {
            embedder: Embedder::new(&config.encoder)?,
            params: Params::default(),
            stats: Stats::define(),
            outbox: RefCell::new(Outbox::new(config.replay)),
            random: RefCell::new(SmallRng::from_os_rng()),
            undecided: Warnings::default(),
            unembedded: Warnings::default(),
            config,
        })
    }

    pub(crate) fn flush_period(&self) -> Duration {
        Duration::from_millis(self.config.replay.flush_ms.into())
    }

    /// A new replay id for a request of this time. Who knows it may rate the answer, so it must not be told from others:
    /// its bits are the host's, and those of the generator only where the host has none.
    pub(crate) fn new_id(&self, time_ms: u64) -> String {
        let mut bits: [u8; 10] = self.random.borrow_mut().random();
        // What it failed to fill stays as it was drawn.
        let _ = OsRng.try_fill_bytes(&mut bits);
        replay_id(time_ms, bits)
    }

    /// A uniform random number in 0..1.
    pub(crate) fn draw(&self) -> f64 {
        self.random.borrow_mut().random()
    }

    /// Says why a request was not decided. Counts are in the metrics; the log gets the 1st, 2nd, 4th, 8th … of
    /// them, so that bad clients cannot flood it.
    pub(crate) fn warn(&self, why: &str) {
        self.undecided.warn("request to the default route", why);
    }

    /// Counts a request that is decided without an embedding, and says why in the same way.
    fn warn_of_no_embedding(&self, why: &str) {
        self.stats.embed_failed.add(1);
        self.unembedded.warn("request decided without an embedding", why);
    }

    /// The embedding of `prompt`, none if there is none to be had; or the call that its stream waits for.
    pub(crate) fn embed(&self, prompt: &str) -> Result<Option<Rc<[f32]>>, Call> {
        match self.embedder.ask(prompt, &self.stats) {
            Asked::Here(vector) => Ok(Some(vector)),
            Asked::UnderWay(call) => Err(call),
            Asked::Failed(why) => {
                self.warn_of_no_embedding(&why);
                Ok(None)
            }
        }
    }

    /// What came of `call`, which must have `size` numbers.
    pub(crate) fn embedded(
        &self,
        call: &Call,
        answer: Option<(u16, Vec<u8>)>,
        size: usize,
    ) -> Option<Rc<[f32]>> {
        let read = self.embedder.answered(call, answer, size, &self.stats);
        read.inspect_err(|why| self.warn_of_no_embedding(why)).ok()
    }

    /// Queues a record for the sidecar.
    pub(crate) fn record(&self, record: &ReplayRecord) {
        let queued = serde_json::to_vec(record).is_ok_and(|line| self.outbox.borrow_mut().push(line));
        if !queued {
            self.stats.replays_dropped.add(1);
        }
    }

    /// Sends what waits and keeps the gauges fresh.
    pub(crate) fn on_tick(&self) {
        self.params.current();
        if let Some((version, created_ms)) = self.params.in_use() {
            self.stats.snapshot_version.record(version);
            self.stats.snapshot_age.record(now_ms().saturating_sub(created_ms) / 1000);
        }
        self.flush();
    }

    fn flush(&self) {
        let Some((count, body)) = self.outbox.borrow().batch() else { return };
        let mut headers = vec![
            (":method", "POST"),
            (":path", "/v1/replays"),
            (":authority", "dragoman"),
            ("content-type", "application/x-ndjson"),
        ];
        let known_by = headers::bearer(self.config.sidecar_token.as_deref());
        headers.extend(known_by.as_deref().map(|value| ("authorization", value)));
        headers.extend(self.embedder.checksum().map(|value| (ENCODER_HEADER, value)));
        match dispatch_http_call(&self.config.sidecar, headers, Some(&body), vec![], REPLAY_TIMEOUT) {
            Ok(token) => self.outbox.borrow_mut().sent(token, count),
            Err(_) => self.stats.replay_calls_failed.add(1),
        }
    }

    /// The sidecar's answer to a batch; `None` if there was none.
    pub(crate) fn on_reply(&self, token: u32, status: Option<u16>) {
        let settled = match status {
            Some(200..=299) => Some(self.stats.replays_sent),
            // Too busy: the same batch may be taken later.
            Some(429) => None,
            // Refused for good: sending it again would only block the others.
            Some(400..=499) => Some(self.stats.replays_refused),
            _ => None,
        };
        let gone = self.outbox.borrow_mut().reply(token, settled.is_some());
        match settled {
            Some(metric) => metric.add(gone),
            None => self.stats.replay_calls_failed.add(1),
        }
        // A backlog after the sidecar's return leaves at once, not one batch per tick.
        if settled.is_some() && self.outbox.borrow().len() > 0 {
            self.flush();
        }
    }
}

/// Warnings of one kind, ever more seldom.
#[derive(Default)]
struct Warnings(Cell<u64>);

impl Warnings {
    fn warn(&self, what: &str, why: &str) {
        let count = self.0.get().saturating_add(1);
        self.0.set(count);
        if count.is_power_of_two() {
            log::warn!("{what}: {why} ({count} such warnings on this worker)");
        }
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
