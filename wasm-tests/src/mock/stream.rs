//! One request through a plugin, driven in an order that Envoy could drive it in.

use wasmtime::WasmParams;

use super::host::Host;
use super::state::{Action, Answer, Call, Callback, Flow, Headers, LocalReply};

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    New,
    RequestBody,
    RequestEnded,
    ResponseBody,
    ResponseEnded,
    Logged,
}

/// A request and its response. Dropping it without [`Stream::log`] is a client that hangs forever.
pub struct Stream {
    host: Host,
    id: u32,
    stage: Stage,
    /// The last request callback said `Pause`.
    held: bool,
    /// The request's body as far as it left for the upstream.
    forwarded: Vec<u8>,
    calls: Vec<String>,
}

impl Stream {
    pub(super) fn new(host: &Host) -> Self {
        let mut vm = host.vm.borrow_mut();
        let id = vm.new_context();
        vm.store.data_mut().flows.insert(id, Flow::default());
        vm.enter::<_, ()>(Callback::Create, id, "proxy_on_context_create", (id, host.root));
        drop(vm);
        Self {
            host: host.clone(),
            id,
            stage: Stage::New,
            held: false,
            forwarded: Vec::new(),
            calls: Vec::new(),
        }
    }

    // === The request ===

    /// The request's headers come, text values.
    pub fn request_headers(&mut self, headers: &[(&str, &str)], end_of_stream: bool) -> Action {
        let bytes: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        self.request_headers_bytes(&bytes, end_of_stream)
    }

    /// The request's headers come, values of any bytes.
    pub fn request_headers_bytes(&mut self, headers: &[(&str, &[u8])], end_of_stream: bool) -> Action {
        assert_eq!(self.stage, Stage::New, "request headers come once and first");
        self.stage = if end_of_stream { Stage::RequestEnded } else { Stage::RequestBody };
        let count = headers.len() as u32;
        self.flow(|flow| (flow.request_headers, flow.request_held) = (owned(headers), true));
        let params = (self.id, count, u32::from(end_of_stream));
        let action = self.call(Callback::RequestHeaders, "proxy_on_request_headers", params);
        self.held = action == Action::Pause;
        self.after_request(action)
    }

    /// A piece of the request's body comes. What is held, Envoy shows as a whole.
    pub fn request_body(&mut self, chunk: impl AsRef<[u8]>, end_of_stream: bool) -> Action {
        assert_eq!(self.stage, Stage::RequestBody, "a body comes after headers that do not end the stream");
        assert_eq!(self.local_reply(), None, "after a local response no request callback follows");
        if end_of_stream {
            self.stage = Stage::RequestEnded;
        }
        let size = self.flow(|flow| {
            flow.request_body.extend_from_slice(chunk.as_ref());
            flow.request_body.len() as u32
        });
        let action = self.call(
            Callback::RequestBody,
            "proxy_on_request_body",
            (self.id, size, u32::from(end_of_stream)),
        );
        self.held = action == Action::Pause;
        if self.held && end_of_stream && self.local_reply().is_none() && self.open_call().is_none() {
            panic!("the filter holds a request that is complete, and has nothing to wait for: it would hang");
        }
        self.after_request(action)
    }

    // === Calls that the request waits for ===

    /// The call that this stream waits for.
    pub fn open_call(&self) -> Option<Call> {
        self.host.calls_of(self.id).into_iter().find(|c| !c.answered)
    }

    /// Answers it.
    pub fn call_answered(&mut self, status: u16, body: impl AsRef<[u8]>) {
        let headers = vec![(":status".to_owned(), status.to_string().into_bytes())];
        self.call_ended(Answer { headers, body: body.as_ref().to_vec() });
    }

    /// Lets it fail: there are no headers then.
    pub fn call_failed(&mut self) {
        self.call_ended(Answer { headers: Vec::new(), body: Vec::new() });
    }

    fn call_ended(&mut self, answer: Answer) {
        let call = self.open_call().expect("the stream waits for a call");
        self.host.reply(self.id, call.token, answer);
        self.calls = self.host.last_calls();
        if self.flow(|flow| std::mem::take(&mut flow.resumed)) {
            self.after_request(Action::Continue);
        }
    }

    /// Trailers end the request.
    pub fn request_trailers(&mut self, count: u32) -> Action {
        assert_eq!(self.stage, Stage::RequestBody, "trailers come after the body, and end the stream");
        self.stage = Stage::RequestEnded;
        let action = self.call(Callback::RequestTrailers, "proxy_on_request_trailers", (self.id, count));
        self.after_request(action)
    }

    /// What Envoy does after a request callback: send on what is not held, or the filter's own response.
    fn after_request(&mut self, action: Action) -> Action {
        if let Some(reply) = self.local_reply() {
            return self.send_local(reply, action);
        }
        if action == Action::Continue {
            self.held = false;
            let body = self.flow(|flow| {
                flow.request_held = false;
                std::mem::take(&mut flow.request_body)
            });
            self.forwarded.extend(body);
        }
        if self.stage == Stage::RequestEnded && !self.held {
            self.check_length();
        }
        action
    }

    /// Where the filter wrote the body it must have written its length, if one is there.
    fn check_length(&mut self) {
        let set = self.flow(|flow| flow.request_body_set);
        let (stated, length) = (self.header("content-length"), self.forwarded.len().to_string());
        if let Some(stated) = stated.filter(|stated| set && *stated != length) {
            panic!("the filter sends a body of {length} bytes with content-length {stated}");
        }
    }

    // === The response ===

    /// The upstream's headers come.
    pub fn response_headers(&mut self, headers: &[(&str, &str)], end_of_stream: bool) -> Action {
        let bytes: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        self.response_headers_bytes(&bytes, end_of_stream)
    }

    /// The upstream's headers come, values of any bytes.
    pub fn response_headers_bytes(&mut self, headers: &[(&str, &[u8])], end_of_stream: bool) -> Action {
        assert!(!self.held, "no upstream answers a request that is held");
        self.respond(owned(headers), end_of_stream)
    }

    /// Envoy answers by itself (413, 408 …), also while the filter holds the request.
    pub fn envoy_answers(&mut self, status: u16) {
        self.respond(vec![(":status".to_owned(), status.to_string().into_bytes())], true);
    }

    fn respond(&mut self, headers: Headers, end_of_stream: bool) -> Action {
        assert!(
            (Stage::RequestBody..=Stage::RequestEnded).contains(&self.stage),
            "response headers come once, after the request's ({:?})",
            self.stage
        );
        self.stage = if end_of_stream { Stage::ResponseEnded } else { Stage::ResponseBody };
        let count = headers.len() as u32;
        self.flow(|flow| (flow.response_headers, flow.request_held) = (headers, false));
        let params = (self.id, count, u32::from(end_of_stream));
        self.call(Callback::ResponseHeaders, "proxy_on_response_headers", params)
    }

    /// A piece of the response passes; the filter must not hold it back.
    pub fn response_body(&mut self, chunk: impl AsRef<[u8]>, end_of_stream: bool) {
        assert_eq!(self.stage, Stage::ResponseBody, "a response body comes after response headers");
        if end_of_stream {
            self.stage = Stage::ResponseEnded;
        }
        let chunk = chunk.as_ref();
        self.flow(|flow| flow.response_body = chunk.to_vec());
        let params = (self.id, chunk.len() as u32, u32::from(end_of_stream));
        let action = self.call(Callback::ResponseBody, "proxy_on_response_body", params);
        assert_eq!(action, Action::Continue, "a chunk of the response is held back");
        self.flow(|flow| flow.response_body.clear());
    }

    /// Trailers end the response.
    pub fn response_trailers(&mut self, count: u32) -> Action {
        assert_eq!(self.stage, Stage::ResponseBody, "trailers come after the body");
        self.stage = Stage::ResponseEnded;
        self.call(Callback::ResponseTrailers, "proxy_on_response_trailers", (self.id, count))
    }

    /// A local response passes the filter's own response callbacks, as in Envoy.
    fn send_local(&mut self, reply: LocalReply, action: Action) -> Action {
        let request_calls = self.calls.clone();
        let mut headers = vec![(":status".to_owned(), reply.status.to_string().into_bytes())];
        headers.extend(reply.headers);
        self.respond(headers, reply.body.is_empty());
        if !reply.body.is_empty() {
            self.response_body(&reply.body, true);
        }
        self.calls = request_calls;
        action
    }

    /// The stream is over, complete or broken off: access log, then the context goes.
    pub fn log(&mut self) {
        assert!(self.stage < Stage::Logged, "a stream ends once");
        self.stage = Stage::Logged;
        let id = self.id;
        self.run::<_, u32>(Callback::Done, "proxy_on_done", (id,));
        self.run::<_, ()>(Callback::Log, "proxy_on_log", (id,));
        self.calls = self.host.last_calls();
        self.run::<_, ()>(Callback::Delete, "proxy_on_delete", (id,));
    }

    // === What came of it ===

    /// A request header as it goes to the upstream.
    pub fn header(&self, name: &str) -> Option<String> {
        self.flow(|flow| find(&flow.request_headers, name))
    }

    /// Every request header's name, in order.
    pub fn header_names(&self) -> Vec<String> {
        self.flow(|flow| flow.request_headers.iter().map(|(n, _)| n.clone()).collect())
    }

    /// A response header as it goes to the client.
    pub fn response_header(&self, name: &str) -> Option<String> {
        self.flow(|flow| find(&flow.response_headers, name))
    }

    /// The request's body as far as it went to the upstream.
    pub fn body(&self) -> &[u8] {
        &self.forwarded
    }

    /// Whether the filter holds the request.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The response the filter made itself.
    pub fn local_reply(&self) -> Option<LocalReply> {
        self.flow(|flow| flow.local_reply.clone())
    }

    /// The host calls of this stream's last callback, as short strings (metrics, logs and clocks left out).
    pub fn calls(&self) -> &[String] {
        &self.calls
    }

    fn call<P: WasmParams>(&mut self, callback: Callback, export: &str, params: P) -> Action {
        let action: u32 = self.run(callback, export, params);
        self.calls = self.host.last_calls();
        match action {
            0 => Action::Continue,
            1 => Action::Pause,
            other => panic!("{export} answers {other}, which is no action"),
        }
    }

    fn run<P: WasmParams, R: wasmtime::WasmResults>(&self, callback: Callback, export: &str, params: P) -> R {
        self.host.vm.borrow_mut().enter(callback, self.id, export, params)
    }

    fn flow<T>(&self, with: impl FnOnce(&mut Flow) -> T) -> T {
        let mut vm = self.host.vm.borrow_mut();
        with(vm.store.data_mut().flows.get_mut(&self.id).expect("a stream has its state as long as it lives"))
    }
}

fn owned(headers: &[(&str, &[u8])]) -> Headers {
    let own = |(name, value): &(&str, &[u8])| {
        assert_eq!(*name, name.to_ascii_lowercase(), "Envoy's header names are lower case");
        ((*name).to_owned(), value.to_vec())
    };
    headers.iter().map(own).collect()
}

fn find(headers: &Headers, name: &str) -> Option<String> {
    let found = headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}
