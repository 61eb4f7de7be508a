//! A mock of Envoy's side of proxy-wasm (ABI 0.2.1), strict about order.
//!
//! [`Host`] is one plugin on one VM, [`Stream`] one request through it. Both play Envoy: they make the callbacks
//! that Envoy would make, in an order that it could make them, and they answer the module's host calls as Envoy
//! does. Whatever Envoy would refuse — a body read outside its callback, a header set after the headers left, the
//! headers of a failed call — ends the test with a sentence. A test that drives a stream in an order that cannot
//! happen ends likewise.
//!
//! ```no_run
//! use dragoman_wasm_tests::mock::{Action, Host, chat, route};
//!
//! let host = Host::new().config(&route()).configured();
//! let mut stream = host.stream();
//! let action = stream.request_headers(&[(":method", "POST"), (":path", "/v1/chat/completions")], false);
//! assert_eq!(action, Action::Pause);
//! stream.request_body(chat("Hello").as_bytes(), true);
//! assert_eq!(host.metric("dragoman_default_no_snapshot"), 1);
//! ```

mod abi;
mod buffers;
mod clock;
mod fixtures;
mod headers;
mod host;
mod memory;
mod module;
mod services;
mod shared;
mod state;
mod stream;
mod wasi;

pub use fixtures::*;
pub use host::{Builder, Host};
pub use module::Code;
pub use state::{Action, Call, LocalReply};
pub use stream::Stream;
