//! The guard: whether a new snapshot may have the traffic, and whether what is in use still does well.
//!
//! This room owns which sessions see a canary ([`split`]), the evidence that is collected of both arms and the tests
//! on it ([`rollout`], [`test`]), what the log says before any traffic ([`holdout`]), and the watch over traffic as a
//! whole ([`watch`]). It must not know where records come from, how snapshots are made or who hears an alert. All of
//! it is a function of the records and their times; no clock.
#![deny(clippy::indexing_slicing)]

pub mod holdout;
pub mod rollout;
mod sessions;
pub mod split;
pub mod test;
pub mod watch;

/// The arm that every request is in unless a canary has it; `ReplayRecord::arm`.
pub const LIVE: &str = "live";

/// The arm whose snapshot is on trial.
pub const CANARY: &str = "canary";
