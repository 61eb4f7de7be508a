//! In a model's cluster: the second attempt of an escalated request reaches another upstream than the one whose
//! model name stands in its body. Only that attempt is read and renamed; all others pass untouched.

use std::rc::Rc;

use dragoman_core::request::{Api, parse, rewrite_model};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::headers;

/// Where this stands, and what `model` must be called here.
pub(crate) struct Attempt {
    pub(crate) cluster: String,
    pub(crate) upstream_model: String,
}

impl Attempt {
    pub(crate) fn stream(self: &Rc<Self>) -> Box<dyn HttpContext> {
        Box::new(Upstream { attempt: Rc::clone(self), renaming: None })
    }
}

struct Upstream {
    attempt: Rc<Attempt>,
    renaming: Option<Api>,
}

impl HttpContext for Upstream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        // The fallback is never the first choice: where it stands, this is the second attempt.
        let fallback = self.get_http_request_header_bytes(headers::FALLBACK);
        if fallback.as_deref() != Some(self.attempt.cluster.as_bytes()) || end_of_stream {
            return Action::Continue;
        }
        self.set_http_request_header_bytes(headers::FALLBACK, None);
        self.renaming = self.get_http_request_header_bytes(":path").and_then(|path| Api::from_path(&path));
        if self.renaming.is_some() { Action::Pause } else { Action::Continue }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Some(api) = self.renaming else { return Action::Continue };
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        if let Ok(request) = parse(api, &body) {
            let renamed = rewrite_model(&body, &request, &self.attempt.upstream_model);
            let length = renamed.len().to_string();
            self.set_http_request_header_bytes("content-length", Some(length.as_bytes()));
            self.set_http_request_body(0, size, &renamed);
        }
        Action::Continue
    }
}

impl Context for Upstream {}
