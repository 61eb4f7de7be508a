//! How fast Dragoman decides and learns, beside its peers in one run.
//!
//! Deciding is timed natively and in Envoy's V8 by the same code (`bench/decide`); learning natively, where the
//! sidecar does it. The peers come from PyPI and run in `bench/peers`, each in its own fastest way.

mod learn;
mod peers;
mod report;
mod run;
mod v8;

pub use report::Report;
pub use run::{Effort, run};
