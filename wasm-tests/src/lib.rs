//! The shipped `.wasm` under test: on a mock host here, on a real Envoy in `system`.
//!
//! This room owns fakes and drivers only; the tests themselves are in `tests/`, and what is right or wrong is said
//! there. It must not know how the filter works inside: it sees what Envoy sees.

pub mod cases;
pub mod large;
pub mod mock;
pub mod system;

use std::path::PathBuf;

/// The filter under test: `$DRAGOMAN_WASM`, or what `make filter` built.
pub fn wasm_path() -> PathBuf {
    built("DRAGOMAN_WASM", "target/wasm32-wasip1/wasm/dragoman.wasm", "make filter")
}

/// The filter that runs any ONNX encoder: `$DRAGOMAN_TRACT_WASM`, or what `make filter-tract` built.
pub fn tract_wasm_path() -> PathBuf {
    built("DRAGOMAN_TRACT_WASM", "target/tract/wasm32-wasip1/wasm-tract/dragoman.wasm", "make filter-tract")
}

fn built(variable: &str, path: &str, command: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| system::root().join(path), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `{command}` first", path.display());
    path
}
