//! What signals of an embedding are read with, and `dragoman signals`, which shows the signals of a text.
//!
//! This room owns the file of heads, and embedding the example texts of embedding rules: with the encoder's files, or by
//! asking the endpoint that the filter asks. It must not know routes, records or snapshots; what a signal is stands in
//! `dragoman_core::signals`.

mod args;
mod ask;
mod embedder;
pub mod heads;
mod models;
mod show;

#[cfg(test)]
mod tests;

pub use args::Args;
pub use models::Models;
pub use show::run;
