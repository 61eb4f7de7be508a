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
    let built = || system::root().join("target/wasm32-wasip1/wasm/dragoman.wasm");
    let path = std::env::var_os("DRAGOMAN_WASM").map_or_else(built, PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make filter` first", path.display());
    path
}
