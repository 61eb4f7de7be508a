//! What one VM's host side knows: its contexts, the callback under way, what was called.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wasmtime::{Memory, TypedFunc};

use super::shared::Shared;

/// What a stream callback tells Envoy to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Go on.
    Continue,
    /// Hold the headers or the body here.
    Pause,
}

/// Headers in order; values are bytes.
pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// The callback the module is in; host calls are allowed by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Callback {
    Start,
    Configure,
    Tick,
    CallResponse,
    Create,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Done,
    Log,
    Delete,
}

/// An HTTP call of the module, as it asked for it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the answer refers to.
    pub token: u32,
    /// Envoy's cluster.
    pub cluster: String,
    /// Headers, `:method` and `:path` among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it may take, milliseconds.
    pub timeout_ms: u32,
    pub(super) context: u32,
    pub(super) answered: bool,
}

impl Call {
    /// A header's value as text; empty if there is none.
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or_else(String::new, |(_, v)| String::from_utf8_lossy(v).into_owned())
    }

    /// The body's lines; a batch has a record in each.
    pub fn lines(&self) -> Vec<&str> {
        std::str::from_utf8(&self.body).expect("the body is text").lines().collect()
    }
}

/// A response the module made itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status.
    pub status: u32,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The answer to a call while its callback runs. A failed call has no headers.
pub(super) struct Answer {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

/// One plugin on the VM.
pub(super) struct Root {
    pub(super) configuration: Vec<u8>,
    pub(super) tick_ms: Option<u32>,
}

/// One stream, as far as host calls touch it.
#[derive(Default)]
pub(super) struct Flow {
    pub(super) request_headers: Headers,
    /// The request's headers have not left for the upstream yet.
    pub(super) request_held: bool,
    /// What the body callback sees: all that is held, or the chunk.
    pub(super) request_body: Vec<u8>,
    pub(super) request_body_set: bool,
    pub(super) response_headers: Headers,
    pub(super) response_body: Vec<u8>,
    pub(super) local_reply: Option<LocalReply>,
    /// The module let the held request go.
    pub(super) resumed: bool,
}

/// The store's data.
pub(super) struct State {
    pub(super) shared: Rc<RefCell<Shared>>,
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    pub(super) callback: Callback,
    /// The context the callback is about.
    pub(super) context: u32,
    pub(super) roots: BTreeMap<u32, Root>,
    pub(super) flows: BTreeMap<u32, Flow>,
    pub(super) calls: Vec<Call>,
    /// Status with which calls are refused at once.
    pub(super) refuse_calls: Option<i32>,
    pub(super) answer: Option<Answer>,
    pub(super) logs: Vec<(String, String)>,
    /// The host calls of the callback under way, or of the last one.
    pub(super) trace: Vec<String>,
    pub(super) random: u64,
}

impl State {
    pub(super) fn new(shared: Rc<RefCell<Shared>>, seed: u64) -> Self {
        Self {
            shared,
            memory: None,
            allocate: None,
            callback: Callback::Start,
            context: 0,
            roots: BTreeMap::new(),
            flows: BTreeMap::new(),
            calls: Vec::new(),
            refuse_calls: None,
            answer: None,
            logs: Vec::new(),
            trace: Vec::new(),
            random: seed.max(1),
        }
    }

    /// The stream the callback is about.
    pub(super) fn flow(&mut self) -> wasmtime::Result<&mut Flow> {
        let (callback, context) = (self.callback, self.context);
        self.flows.get_mut(&context).ok_or_else(|| refused(callback, "touches a stream", "there is none"))
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    /// The next of a seeded sequence (xorshift64*).
    pub(super) fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// The error of a host call that Envoy would not take in this callback; it ends the test.
pub(super) fn refused(callback: Callback, what: &str, why: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("in {callback:?} the filter {what}: {why}"))
}
