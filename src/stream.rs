//! One request and its response: which host call follows which event.

use std::rc::Rc;
use std::time::Instant;

use dragoman_core::request::Api;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::decide::{Question, Verdict};
use crate::embed::{Call, Embedding};
use crate::headers;
use crate::response::Watching;
use crate::worker::Worker;

/// A stream's way through the filter.
pub(crate) struct Stream {
    worker: Rc<Worker>,
    phase: Phase,
}

enum Phase {
    /// Not ours: passes untouched.
    Untouched,
    /// Its body is being collected.
    Reading { api: Api, since: Instant },
    /// It is complete and held until its embedding is there.
    Waiting(Box<Waiting>),
    /// Decided; its response is being watched.
    Decided(Box<Watching>),
}

struct Waiting {
    question: Question,
    call: Call,
    since: Instant,
    size: usize,
}

impl Stream {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { worker, phase: Phase::Untouched }
    }

    fn routed_api(&self) -> Option<Api> {
        let post = self.get_http_request_header_bytes(":method").as_deref() == Some(b"POST");
        let path = self.get_http_request_header_bytes(":path").filter(|_| post)?;
        Api::from_path(&path)
    }

    /// Why the body is not worth waiting for, if the headers already say so.
    fn unreadable(&self, end_of_stream: bool) -> Option<&'static str> {
        let length = headers::number(self.get_http_request_header_bytes("content-length"));
        let encoding = self.get_http_request_header_bytes("content-encoding");
        if end_of_stream {
            Some("no_body")
        } else if length.is_some_and(|n| n > self.worker.config.max_body_bytes as u64) {
            Some("too_large")
        } else if encoding.is_some_and(|e| !e.eq_ignore_ascii_case(b"identity")) {
            Some("encoded")
        } else {
            None
        }
    }

    fn take_default_route(&mut self, api: Api, since: Instant, reason: &'static str) {
        self.worker.warn(reason);
        let verdict = Verdict::default_route(&self.worker, api, reason);
        self.phase = Phase::Decided(Box::new(Watching::new(verdict, since)));
    }

    fn session(&self) -> Option<String> {
        let value = |name: &String| self.get_http_request_header_bytes(name);
        let bytes = self.worker.config.session_headers.iter().find_map(value)?;
        // A session is a name, not a place to store things.
        let bytes = bytes.get(..bytes.len().min(256))?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The request is complete: decides it, or holds it until its embedding is there.
    fn ask(&mut self, api: Api, since: Instant, size: usize) -> Action {
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let (session, loaded) = (self.session(), self.worker.params.current());
        let question = match Verdict::read(&self.worker, api, &body, session, loaded.as_deref()) {
            Ok(question) => question,
            Err(verdict) => {
                self.settle(*verdict, since, size);
                return Action::Continue;
            }
        };
        let start = Instant::now();
        // Without a snapshot nothing is decided, with or without an embedding.
        let vector = match loaded.as_ref().map_or(Ok(None), |_| self.worker.embed(question.prompt())) {
            Ok(vector) => vector,
            Err(call) => {
                self.phase = Phase::Waiting(Box::new(Waiting { question, call, since, size }));
                return Action::Pause;
            }
        };
        let embedding = Embedding { vector, micros: start.elapsed().as_micros() as u64 };
        let verdict = Verdict::of(&self.worker, question, &body, loaded, &embedding);
        self.settle(verdict, since, size);
        Action::Continue
    }

    /// The answer to the question for an embedding: decides, and lets the request go.
    fn go_on(&mut self, waiting: Waiting, answer: Option<(u16, Vec<u8>)>) {
        let Waiting { question, call, since, size } = waiting;
        let loaded = self.worker.params.current();
        let vector = loaded.as_ref().and_then(|loaded| {
            let size = loaded.snapshot.embedding_size();
            self.worker.embedded(&call, answer, size)
        });
        let embedding = Embedding { vector, micros: call.micros() };
        // Still in Envoy's buffer, and still to be changed there, until the request goes on.
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let verdict = Verdict::of(&self.worker, question, &body, loaded, &embedding);
        self.settle(verdict, since, size);
        self.resume_http_request();
    }

    /// Puts what was decided into the request, whose body has `size` bytes.
    fn settle(&mut self, verdict: Verdict, since: Instant, size: usize) {
        self.set_header(headers::CLUSTER, verdict.cluster.as_deref());
        self.set_header(headers::FALLBACK, verdict.fallback.as_deref());
        let model_at = verdict.fallback.as_ref().and(verdict.model_at.as_ref());
        let model_at = model_at.map(|place| format!("{}-{}", place.start, place.end));
        self.set_header(headers::MODEL_AT, model_at.as_deref());
        if verdict.fallback.is_none() {
            // Nowhere else to go: trying the same model again would only be paid twice.
            self.set_header(headers::MAX_RETRIES, Some("0"));
        }
        // A compressed answer could not be observed.
        self.set_header("accept-encoding", None);
        if let Some(body) = &verdict.body {
            if self.get_http_request_header_bytes("content-length").is_some() {
                self.set_header("content-length", Some(&body.len().to_string()));
            }
            self.set_http_request_body(0, size, body);
        }
        self.phase = Phase::Decided(Box::new(Watching::new(verdict, since)));
    }

    fn set_header(&self, name: &str, value: Option<&str>) {
        self.set_http_request_header_bytes(name, value.map(str::as_bytes));
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        headers::strip_request(self);
        let Some(api) = self.routed_api() else { return Action::Continue };
        let since = Instant::now();
        match self.unreadable(end_of_stream) {
            Some(reason) => {
                self.take_default_route(api, since, reason);
                Action::Continue
            }
            None => {
                self.phase = Phase::Reading { api, since };
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Phase::Reading { api, since } = self.phase else { return Action::Continue };
        if size > self.worker.config.max_body_bytes {
            self.take_default_route(api, since, "too_large");
            Action::Continue
        } else if end_of_stream {
            self.ask(api, since, size)
        } else {
            Action::Pause
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        // The body may no longer be changed once trailers are here.
        if let Phase::Reading { api, since } = self.phase {
            self.take_default_route(api, since, "trailers");
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        // Taken out for the call, so that the stream itself can be asked for its headers.
        if let Phase::Decided(mut watching) = std::mem::replace(&mut self.phase, Phase::Untouched) {
            watching.on_headers(self, end_of_stream);
            self.phase = Phase::Decided(watching);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !matches!(self.phase, Phase::Decided(_)) {
            return Action::Continue;
        }
        // Observed as it passes: no chunk is held back.
        let chunk = self.get_http_response_body(0, size).unwrap_or_default();
        if let Phase::Decided(watching) = &mut self.phase {
            watching.on_chunk(&chunk, end_of_stream);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        // Trailers end a response whose last chunk did not say so.
        if let Phase::Decided(watching) = &mut self.phase {
            watching.on_chunk(&[], true);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Phase::Decided(watching) = std::mem::replace(&mut self.phase, Phase::Untouched) {
            watching.finish(&self.worker);
        }
    }
}

impl Context for Stream {
    // When the client leaves first Envoy drops the call with the stream and this is never called; all that is left then
    // is the SDK's note of the call, some 16 bytes.
    fn on_http_call_response(&mut self, _token: u32, headers: usize, body: usize, _trailers: usize) {
        // A stream asks once. When Envoy has answered the client itself meanwhile, nobody waits any more.
        match std::mem::replace(&mut self.phase, Phase::Untouched) {
            Phase::Waiting(waiting) => {
                // A failed call has no headers at all, and asking for them would panic (FACTS.md).
                let status = if headers == 0 { None } else { headers::call_status(self) };
                let answer =
                    status.map(|s| (s, self.get_http_call_response_body(0, body).unwrap_or_default()));
                self.go_on(*waiting, answer);
            }
            other => self.phase = other,
        }
    }
}
