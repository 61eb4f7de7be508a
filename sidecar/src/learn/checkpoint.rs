//! The state written down: with it a rebuild needs only the events after it, so that older ones may go.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use dragoman_core::learner::Saved;
use dragoman_core::optimizer::Tuner;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{RouteTotals, State};

#[derive(Serialize, Deserialize)]
struct Written {
    learner: Saved,
    totals: BTreeMap<String, RouteTotals>,
    tuner: Tuner,
}

// === impl State ===

impl State {
    /// The state as compressed JSON; `blank` is the state that nothing is known to, by the same configuration.
    ///
    /// # Errors
    ///
    /// A clause: it does not read back the same, bit for bit, so it must not stand in for its events.
    pub fn written(&self, blank: &Self) -> Result<Vec<u8>, String> {
        let written =
            Written { learner: self.learner.save(), totals: self.totals.clone(), tuner: self.tuner.clone() };
        let mut bytes = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut bytes, &written).map_err(|e| format!("cannot be written down: {e}"))?;
        bytes.flush().map_err(|e| e.to_string())?;
        let bytes = bytes.finish().map_err(|e| e.to_string())?;
        match blank.read(&bytes)? == *self {
            true => Ok(bytes),
            false => Err("is not the same when it is read back; please report this".into()),
        }
    }

    /// What [`State::written`] wrote, by the configuration of `self`, which knows nothing.
    ///
    /// # Errors
    ///
    /// A clause: it is damaged, or of another encoder.
    pub fn read(&self, bytes: &[u8]) -> Result<Self, String> {
        let mut text = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut text).map_err(|e| format!("is damaged: {e}"))?;
        let written: Written = serde_json::from_slice(&text).map_err(|e| format!("is damaged: {e}"))?;
        let learner = self.learner.restored(written.learner)?;
        Ok(Self { config: self.config, learner, totals: written.totals, tuner: written.tuner })
    }
}
