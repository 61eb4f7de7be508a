//! Whether filters hold the encoder that `encoder.path` names. Vectors of two encoders may have as many numbers and still
//! mean different things: nothing else would tell, and routing would only be worse.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dragoman_core::config::{EncoderConfig, EncoderMode};
use dragoman_encoder::checksum;
use log::error;

use super::FUSED;

/// What `encoder.path` holds, to compare with what filters say they hold.
#[derive(Debug)]
pub struct Twin {
    path: String,
    /// The checksum of its `model.fused`; none if there is none, or filters do not embed themselves.
    own: Option<String>,
    said: AtomicBool,
}

// === impl Twin ===

impl Twin {
    /// By the file as it is now.
    pub fn of(EncoderConfig { mode, path, .. }: &EncoderConfig) -> Self {
        let here = *mode == EncoderMode::Local;
        let file = here.then(|| std::fs::read(Path::new(path).join(FUSED)).ok()).flatten();
        Self { path: path.clone(), own: file.as_deref().and_then(checksum), said: AtomicBool::new(false) }
    }

    /// Whether a filter that says it holds `theirs` holds another one. The log is told once.
    pub fn differs(&self, theirs: Option<&str>) -> bool {
        let (Some(own), Some(theirs)) = (&self.own, theirs) else { return false };
        let differs = own != theirs;
        if differs && !self.said.swap(true, Ordering::Relaxed) {
            error!(
                "a filter embeds with another encoder than that of encoder.path, {}: what was learned with one means \
                 nothing with the other; set encoder.path to the filter's model, or build the filter anew with `make filter \
                 MODEL={}`",
                self.path, self.path
            );
        }
        differs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mode: EncoderMode, path: &str) -> Twin {
        Twin::of(&EncoderConfig {
            mode,
            path: path.into(),
            max_tokens: 3,
            cache: 0,
            deadline_ms: 1,
            threads: 1,
        })
    }

    #[test]
    fn only_a_filter_with_another_model_differs() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dragoman-small");
        let own = checksum(&std::fs::read(Path::new(folder).join(FUSED)).unwrap()).unwrap();
        let twin = of(EncoderMode::Local, folder);
        assert!(!twin.differs(Some(&own)) && !twin.differs(None));
        assert!(twin.differs(Some("00000000")) && twin.differs(Some("")));
        assert!(!of(EncoderMode::Sidecar, folder).differs(Some("00000000")), "filters do not embed");
        assert!(!of(EncoderMode::Local, "/nowhere").differs(Some("00000000")), "nothing to compare with");
    }
}
