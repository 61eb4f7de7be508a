//! A stand-in for the sidecar that takes replay records and gives their stage times: exact, where Envoy's
//! histograms only have buckets.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dragoman_core::replay::Stages;
use serde::Deserialize;

use crate::{Outcome, http};

/// Records leave the filter every 200 ms.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The records that arrived.
#[derive(Clone, Default)]
pub(super) struct Records {
    /// As they came: they are read later, when nothing is measured.
    batches: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Record {
    default_reason: Option<String>,
    stages: Stages,
}

impl Records {
    /// Serves at the sidecar's address.
    pub(super) fn collect(at: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind(at).map_err(|e| {
            format!("cannot listen in the sidecar's place at {at}: {e}; run the benchmark again")
        })?;
        let records = Self::default();
        let batches = Arc::clone(&records.batches);
        http::serve(listener, move |line, body| {
            if line.starts_with("POST /v1/replays ") {
                batches.lock().unwrap_or_else(PoisonError::into_inner).push(body.to_vec());
                return ("200 OK", "{}");
            }
            // There is no snapshot to recover: the benchmark pushes its own.
            ("404 Not Found", "{}")
        });
        Ok(records)
    }

    /// Waits for as many records as requests were sent, and takes their stage times. Fails if one of them was not
    /// decided: then its embedding was not measured.
    pub(super) fn take(&self, expected: usize) -> Outcome<Vec<Stages>> {
        let start = Instant::now();
        while self.count() < expected {
            if start.elapsed() > ARRIVAL {
                let arrived = self.count();
                return Err(format!("{arrived} of {expected} replay records arrived within {ARRIVAL:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let batches = std::mem::take(&mut *self.batches.lock().unwrap_or_else(PoisonError::into_inner));
        let lines = batches.iter().flat_map(|b| b.split(|c| *c == b'\n')).filter(|l| !l.is_empty());
        lines.map(stages).collect()
    }

    fn count(&self) -> usize {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.iter().map(|b| b.iter().filter(|c| **c == b'\n').count()).sum()
    }
}

fn stages(line: &[u8]) -> Outcome<Stages> {
    let record: Record = serde_json::from_slice(line)
        .map_err(|e| format!("a replay record cannot be read: {e}; rebuild the filter with `make filter`"))?;
    match record.default_reason {
        None => Ok(record.stages),
        Some(reason) => Err(format!("a request was not decided ({reason}), so there is nothing to measure")),
    }
}
