//! The module's imports, bound to this host. What the filter never calls is left out: calling it ends the test
//! with the function's name.

use wasmtime::{Engine, Linker, Module, Result};

use super::state::State;
use super::{buffers, headers, services, wasi};

/// The ABI's answers to host calls.
pub(super) mod status {
    pub(crate) const OK: i32 = 0;
    pub(crate) const NOT_FOUND: i32 = 1;
    pub(crate) const BAD_ARGUMENT: i32 = 2;
    pub(crate) const CAS_MISMATCH: i32 = 8;
}

/// Every import of `module`, resolved.
pub(super) fn linker(engine: &Engine, module: &Module) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    headers::link(&mut linker)?;
    buffers::link(&mut linker)?;
    services::link(&mut linker)?;
    wasi::link(&mut linker)?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}
