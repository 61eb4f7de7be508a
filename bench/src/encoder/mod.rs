//! How fast an encoder embeds, runtime beside runtime in one run, and what it costs Envoy to hold.
//!
//! The runtimes take turns, a few texts each, round by round, so that a machine whose speed drifts is unfair to none.
//! All run on one thread. The plugin (`bench/embed`) is the same code in V8 and in wasmtime as natively; onnxruntime
//! comes from PyPI and is skipped with a notice where it is not.

mod contest;
mod envoy;
mod held;
mod onnxruntime;
mod report;
mod run;
mod runtime;

pub use report::Report;
pub use run::{Effort, run};
