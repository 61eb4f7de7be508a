//! The shipped projection.

use std::path::Path;

use dragoman_core::learner::Base;
use dragoman_core::policy::Projection;
use safetensors::SafeTensors;

use crate::Outcome;

/// Reads the encoder's `projection.safetensors`.
pub(super) fn load(path: &Path) -> Outcome<Projection> {
    let read = || -> Result<Projection, Box<dyn std::error::Error>> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let numbers = |name: &str| -> Result<Vec<f32>, safetensors::SafeTensorError> {
            let words = file.tensor(name)?.data().chunks_exact(4);
            Ok(words.map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
        };
        let base = Base::from_components(&numbers("mean")?, &numbers("components")?);
        Ok(base.ok_or("it has a number that is not finite")?.projection)
    };
    read().map_err(|e| format!("{} gives no projection: {e}", path.display()))
}
