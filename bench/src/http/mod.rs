//! The least HTTP/1.1 that a benchmark needs: keep-alive connections, bodies with a content-length, one blocking
//! thread per connection. What it costs is far below what is measured with it.

mod client;
mod server;
mod wire;

pub use client::{Client, Load, Measured};
pub use server::serve;
