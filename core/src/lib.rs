//! What Dragoman decides and learns.
//!
//! The folders follow a request's way: [`request`] → [`signals`] → [`context`] → [`decision`] (with a
//! [`policy`]) → [`response`] → [`replay`] → [`reward`] → [`learner`] → [`snapshot`] → the next request. [`chain`] links the
//! requests of a conversation, because the next turn says what an answer was worth; [`cost`] is
//! what deciding and learning both know of dollars; [`embedding`]
//! asks for embeddings that are made elsewhere; [`evaluate`] judges a policy by the replays of another;
//! [`guard`] says whether a new snapshot may have the traffic. [`sticky`]
//! remembers which model a conversation is on, [`privacy`] says what of a prompt may be written down, and [`trust`] how
//! much the word of one rater counts.
//! [`optimizer`] tunes decisions by what they earned; [`cron`] names times; [`json`] reads what the filter is given.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no global, randomness passed in. The
//! same code runs in the filter (WASM) and in the sidecar (native) and gives the same bits in both, so a
//! decision can be replayed. Arithmetic is therefore plain IEEE `+ - * / sqrt` in a fixed order, and `libm` for
//! the rest. This crate must not know Envoy, sockets, files or the encoder.

pub mod chain;
pub mod config;
pub mod context;
pub mod cost;
pub mod cron;
pub mod decision;
pub mod embedding;
pub mod evaluate;
pub mod guard;
pub mod json;
pub mod learner;
pub mod optimizer;
pub mod policy;
pub mod privacy;
pub mod replay;
pub mod request;
pub mod response;
pub mod reward;
pub mod signals;
pub mod snapshot;
pub mod sticky;
pub mod trust;
