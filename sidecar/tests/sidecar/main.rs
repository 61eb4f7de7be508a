//! The whole sidecar, as its neighbours see it: real SQLite files, real HTTP on an ephemeral port.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in a test that is how to fail

mod access;
mod common;

mod chain;
mod cli;
mod durability;
mod embeddings;
mod evaluate;
mod feedback;
mod guard;
mod ingest;
mod judge;
mod publish;
mod reload;
mod replays;
mod report;
mod retention;
mod signals;
mod steps;
mod tls;
mod train;
mod tuning;
