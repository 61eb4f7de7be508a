//! Benchmarks of Dragoman.
//!
//! This room owns measuring and reporting; one folder per benchmark, one binary in `bin/` each. What is measured is
//! always the shipped artefact on a real Envoy, started by `dragoman_wasm_tests::system`. It must not know how the
//! filter works inside: it reads what Envoy, its clients and the sidecar see. ([`loops`] is the exception: pure parts in
//! simulated worlds.)

pub mod encoder;
pub mod filter;
pub mod http;
pub mod learner;
pub mod loops;
pub mod numbers;
pub mod prompts;

/// Why a benchmark stopped: a sentence that says what to do.
pub type Outcome<T> = Result<T, String>;

/// Writes a report as JSON, with the folders it needs.
///
/// # Errors
///
/// A sentence with the path.
pub fn write(report: &impl serde::Serialize, path: &std::path::Path) -> Outcome<()> {
    let text =
        serde_json::to_string_pretty(report).map_err(|e| format!("the report has no JSON form: {e}"))?;
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text + "\n"))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}
