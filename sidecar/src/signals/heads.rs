//! Reads the heads: `heads.safetensors` in the encoder's folder.

use std::path::Path;

use dragoman_core::signals::Heads;

/// Name of the file within the encoder's folder.
pub const FILE: &str = "heads.safetensors";

/// Reads the heads of `folder`; `None` if it has none.
///
/// # Errors
///
/// A sentence with the path: the file cannot be read, or is not what an encoder ships.
pub fn load(folder: &Path) -> Result<Option<Heads>, String> {
    let path = folder.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => Heads::parse(&bytes).map(Some).map_err(|why| format!("{}: {why}", path.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("cannot read {}: {e}", path.display())),
    }
}
