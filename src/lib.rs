//! Dragoman's Envoy filter: a thin shell of host calls around [`dragoman_core`].
//!
//! This room owns the conversation with Envoy: headers, bodies, shared data, metrics, calls to the sidecar. It
//! must not decide anything; it gathers what the core needs, asks it, and does what it says. Nothing here may
//! panic: a trap takes every stream of the worker down.
//!
//! One `.wasm` plays two roles, by its plugin configuration ([`dragoman_core::config::FilterConfig`]): `route` decides
//! requests, `push` takes snapshots from the sidecar and fetches one after a restart of Envoy.

#![deny(
    clippy::indexing_slicing,
    reason = "an index out of range is a trap, and a trap ends every stream of the worker"
)]
#![allow(missing_docs, reason = "a cdylib has no public API; the lint sees the macro's entry point")]

mod decide;
mod embed;
mod headers;
mod outbox;
mod params;
mod push;
mod recover;
mod response;
mod root;
mod sessions;
mod stats;
mod stream;
mod worker;

use proxy_wasm::types::LogLevel;

/// The encoder that the filter holds, graph and tokenizer: those of `make filter MODEL=FOLDER`, else of
/// `.cargo/config.toml`.
#[cfg(not(feature = "tract"))]
const ENCODER_MODEL: &[u8] = include_bytes!(concat!(env!("DRAGOMAN_MODEL"), "/model.fused"));
#[cfg(feature = "tract")]
const ENCODER_MODEL: &[u8] = include_bytes!(concat!(env!("DRAGOMAN_MODEL"), "/model.onnx"));
const ENCODER_TOKENIZER: &[u8] = include_bytes!(concat!(env!("DRAGOMAN_MODEL"), "/tokenizer.json"));

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}
