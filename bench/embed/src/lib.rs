//! Embedding, timed: the same code on the same texts natively, in Envoy's V8 and in wasmtime.
//!
//! This room owns the questions, the loop that times an encoder, and the form in which a model travels to the plugin:
//! the plugin embeds no model, so that one build serves all. The clock comes from outside. It must not know who asks:
//! `bench-encoder` does natively; [`plugin`](self), built for wasm32-wasip1, answers over HTTP.

mod measure;
mod model;
#[cfg(target_arch = "wasm32")]
mod plugin;

pub use measure::{Answer, Clock, Question, Work, measure};
pub use model::Model;

/// Where the plugin takes the [`Model`] that it is asked about from then on.
pub const LOAD: &str = "/load";
/// Where the plugin takes a [`Question`]; it answers with an [`Answer`].
pub const MEASURE: &str = "/measure";
