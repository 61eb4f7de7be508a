//! Dragoman's native half: it keeps the replay log, learns from it, and pushes what it learned to Envoy.
//!
//! The folders follow a record's way: [`api`] takes it in → [`writer`] puts it into the [`log`] and lets
//! [`learn`] learn from it → [`publish`] signs a snapshot of what is known and pushes it. Beside that way, [`judge`]
//! has a share of the answers scored, [`embed`] encodes prompts with models that are too large for the filter,
//! [`signals`] makes what the filter reads embeddings with, and [`guard`] tries what is new on a share of the sessions.
//! [`document`] and [`key`] are the edges to the files an operator sees, [`client`] the one to other people's servers;
//! [`reload`] takes over a changed configuration; [`access`] knows who may ask for what; [`report`], [`simulate`],
//! [`evaluate`] and [`train`] are commands beside it; [`server`] puts all of it together.
//!
//! Everything that decides or computes stands in `dragoman-core`. This crate owns files, sockets, threads and
//! clocks; it must not know how a model works inside or how Envoy is configured (only `render` does that).
//!
//! Prompt texts never leave the replay log except through `GET /v1/router_replay/{id}`, and samples go to the judge
//! only, if there is one: no metric and no line of
//! the log may hold one.

pub mod access;
pub mod api;
pub mod client;
pub mod clock;
pub mod document;
pub mod embed;
pub mod evaluate;
pub mod guard;
pub mod judge;
pub mod key;
pub mod learn;
pub mod log;
pub mod metrics;
pub mod publish;
pub mod reload;
pub mod render;
pub mod report;
pub mod server;
pub mod signals;
pub mod simulate;
pub mod train;
pub mod writer;

#[cfg(test)]
mod sample;

pub use server::{Server, StartError};
