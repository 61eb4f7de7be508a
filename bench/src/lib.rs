//! Benchmarks of Dragoman.
//!
//! This room owns measuring and reporting; one folder per benchmark, one binary in `bin/` each. What is measured is
//! always the shipped artefact on a real Envoy, started by `dragoman_wasm_tests::system`. It must not know how the
//! filter works inside: it reads what Envoy, its clients and the sidecar see.

pub mod filter;
pub mod http;
pub mod learner;
pub mod numbers;

/// Why a benchmark stopped: a sentence that says what to do.
pub type Outcome<T> = Result<T, String>;
