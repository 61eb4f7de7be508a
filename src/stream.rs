//! One request and its response: which host call follows which event.

use std::rc::Rc;
use std::time::Instant;

use dragoman_core::request::Api;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::decide::Verdict;
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
    /// Decided; its response is being watched.
    Decided(Box<Watching>),
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

    fn decide(&mut self, api: Api, since: Instant, size: usize) {
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let verdict = Verdict::of(&self.worker, api, &body, self.session());
        self.set_header(headers::CLUSTER, verdict.cluster.as_deref());
        self.set_header(headers::FALLBACK, verdict.fallback.as_deref());
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
        } else if end_of_stream {
            self.decide(api, since, size);
        } else {
            return Action::Pause;
        }
        Action::Continue
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

impl Context for Stream {}
