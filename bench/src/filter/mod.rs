//! What the filter costs: bare Envoy and Envoy with the filter, side by side in one run.
//!
//! Both run the same rendered configuration on one worker, in front of the same instant upstream; the bare one has
//! every wasm part taken out. The load goes to one, then the other, then the first again, so that a machine whose
//! speed drifts is unfair to neither.

mod bare;
mod projection;
mod records;
mod report;
mod routes;
mod run;
mod setups;

pub use report::Report;
pub use run::{Effort, run};
