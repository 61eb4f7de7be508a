//! The demo's stage: simulated LLMs ([`sim`]), the prompts asked of them ([`prompts`]), simulated
//! users who rate the answers ([`users`]) and the driver that sends the traffic through a gateway
//! and watches whether it learns ([`driver`]).
//!
//! Nothing here knows how Dragoman decides: the stage meets the router only over HTTP, so that a
//! figure the demo prints cannot lean on the router's own opinion of itself.

#![warn(missing_docs, unreachable_pub)]
#![forbid(unsafe_code)]

pub mod driver;
pub mod marker;
pub mod prompts;
pub mod sim;
pub mod users;
