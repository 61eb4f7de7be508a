//! The shipped projection.

use std::path::Path;

use dragoman_core::policy::Projection;
use safetensors::SafeTensors;

use crate::Outcome;

/// The default of `learner.dimensions`.
const DIMENSIONS: usize = 64;

/// Reads the encoder's `projection.safetensors`.
pub(super) fn load(path: &Path) -> Outcome<Projection> {
    let read = || -> Result<Projection, Box<dyn std::error::Error>> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let numbers = |name: &str| -> Result<Vec<f32>, safetensors::SafeTensorError> {
            let words = file.tensor(name)?.data().chunks_exact(4);
            Ok(words.map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
        };
        let (mean, components, scale) = (numbers("mean")?, numbers("components")?, numbers("scale")?);
        Ok(Projection::from_components(DIMENSIONS, &mean, &components, &scale)
            .ok_or("its shapes do not fit")?)
    };
    read().map_err(|e| format!("{} gives no projection: {e}", path.display()))
}
