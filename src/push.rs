//! The push listener: `POST` of a snapshot stores it for every worker; `GET` says which version is stored.

use std::rc::Rc;

use dragoman_core::snapshot::MAX_BYTES;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::params::{self, Store};
use crate::stats::count_refused;

pub(crate) struct Push {
    store: Rc<Store>,
    posting: bool,
}

impl Push {
    pub(crate) fn new(store: Rc<Store>) -> Self {
        Self { store, posting: false }
    }

    fn answer(&self, status: u32, body: &serde_json::Value) {
        let text = body.to_string();
        self.send_http_response(status, vec![("content-type", "application/json")], Some(text.as_bytes()));
    }

    fn refuse(&self, status: u32, reason: &str, message: &str) {
        log::warn!("push refused: {message}");
        count_refused();
        let version = params::stored_version();
        let error = serde_json::json!({"reason": reason, "message": message});
        self.answer(status, &serde_json::json!({"error": error, "version": version}));
    }

    fn take(&self, blob: &[u8]) {
        match self.store.put(blob) {
            Ok(version) => {
                log::info!("snapshot {version} stored ({} bytes)", blob.len());
                self.answer(200, &serde_json::json!({"version": version}));
            }
            Err(why) => {
                let reason = match &why {
                    params::Refused::Bad(error) => error.reason(),
                    params::Refused::NotNewer { .. } => "not_newer",
                    params::Refused::Busy => "busy",
                };
                self.refuse(why.status(), reason, &why.to_string());
            }
        }
    }
}

impl HttpContext for Push {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.posting = self.get_http_request_header_bytes(":method").as_deref() == Some(b"POST");
        match (self.posting, end_of_stream) {
            (true, false) => {}
            (true, true) => self.refuse(400, "not_a_snapshot", "the push has no body"),
            (false, _) => self.answer(200, &serde_json::json!({"version": params::stored_version()})),
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.posting {
            return Action::Pause;
        }
        if size > MAX_BYTES {
            self.posting = false;
            self.refuse(413, "too_large", &format!("the snapshot has more than {MAX_BYTES} bytes"));
        } else if end_of_stream {
            self.posting = false;
            self.take(&self.get_http_request_body(0, size).unwrap_or_default());
        }
        Action::Pause
    }
}

impl Context for Push {}
