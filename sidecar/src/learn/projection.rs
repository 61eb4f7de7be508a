//! Reads P's raw material: `projection.safetensors` in the encoder's folder.

use std::path::Path;

use dragoman_core::learner::Base;
use safetensors::tensor::{Dtype, SafeTensors};

/// Name of the file within the encoder's folder.
pub const FILE: &str = "projection.safetensors";

/// Reads `mean` `[D]` and `components` `[C × D]` (both f32) from `folder`.
///
/// # Errors
///
/// A sentence with the path: the file is missing, or is not what an encoder ships.
pub fn load(folder: &Path) -> Result<Base, String> {
    let path = folder.join(FILE);
    let bytes = std::fs::read(&path).map_err(|e| {
        format!("cannot read {}: {e}; point encoder.path at the encoder's folder", path.display())
    })?;
    parse(&bytes).map_err(|why| format!("{}: {why}", path.display()))
}

/// The same from the bytes of the file; an error is a clause that wants the path before it.
pub fn parse(bytes: &[u8]) -> Result<Base, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("is not a safetensors file: {e}"))?;
    let (mean, components) = (read(&file, "mean")?, read(&file, "components")?);
    if mean.is_empty() || !components.len().is_multiple_of(mean.len()) {
        let (numbers, size) = (components.len(), mean.len());
        return Err(format!("has {numbers} component numbers, which is no multiple of the mean's {size}"));
    }
    Base::from_components(&mean, &components).ok_or_else(|| "has a number that is not finite".to_owned())
}

fn read(file: &SafeTensors, name: &str) -> Result<Vec<f32>, String> {
    let tensor = file.tensor(name).map_err(|e| format!("has no usable tensor \"{name}\": {e}"))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("has \"{name}\" as {:?} instead of F32", tensor.dtype()));
    }
    let (words, _) = tensor.data().as_chunks::<4>();
    Ok(words.iter().map(|w| f32::from_le_bytes(*w)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_and_a_broken_one_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap_err().contains("encoder.path"));
        std::fs::write(dir.path().join(FILE), b"nonsense").unwrap();
        let why = load(dir.path()).unwrap_err();
        assert!(why.contains("projection.safetensors: is not a safetensors file"), "{why}");
    }
}
