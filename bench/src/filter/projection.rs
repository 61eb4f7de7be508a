//! Features in the shipped projection, with landmarks as good as any.

use std::path::Path;

use dragoman_bench_decide::kernel_features;
use dragoman_core::learner::Base;
use dragoman_core::policy::Features;
use safetensors::SafeTensors;

use crate::Outcome;

/// The default of `learner.dimensions`.
const DIMENSIONS: usize = 64;

/// Reads the encoder's `projection.safetensors`.
pub(super) fn load(path: &Path) -> Outcome<Features> {
    let read = || -> Result<Features, Box<dyn std::error::Error>> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let numbers = |name: &str| -> Result<Vec<f32>, safetensors::SafeTensorError> {
            let words = file.tensor(name)?.data().chunks_exact(4);
            Ok(words.map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
        };
        let (mean, components) = (numbers("mean")?, numbers("components")?);
        let base = Base::from_components(&mean, &components).ok_or("its shapes do not fit")?;
        Ok(kernel_features(&base.projection, DIMENSIONS).ok_or("its numbers are not finite")?)
    };
    read().map_err(|e| format!("{} gives no projection: {e}", path.display()))
}
