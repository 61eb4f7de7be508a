//! The guard at work: what is on trial, what is watched, who is told.
//!
//! This room owns the trial under way and its memory over a restart, whether anything may be published, alerts on their
//! way out, and the commands by which people look and step in. What follows from what was seen is
//! `dragoman_core::guard`'s to say; doing it is the loop's ([`crate::writer`]). It must not know how a snapshot is made
//! or pushed.

pub mod cli;
pub mod metrics;
mod state;
pub mod webhook;

pub(crate) use state::Memory;
pub use state::{Guard, Held, Notice, Trial};
