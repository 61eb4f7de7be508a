//! In the models' clusters: the second attempt of an escalated request reaches another upstream than the one whose
//! model name stands in its body. Only that attempt is read and renamed; all others pass untouched.
//!
//! The name is the cluster's metadata and not the plugin's configuration, so that the plugin is the same in all
//! clusters: Envoy tries each different one on a VM of its own when it starts.

use dragoman_core::config::{METADATA_NAMESPACE, METADATA_UPSTREAM_MODEL};
use dragoman_core::request::{Api, parse, rewrite_model};
use proxy_wasm::hostcalls::get_property;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::headers;

/// Where Envoy keeps what `model` must be called in the attempt's cluster.
const UPSTREAM_MODEL: [&str; 5] =
    ["xds", "cluster_metadata", "filter_metadata", METADATA_NAMESPACE, METADATA_UPSTREAM_MODEL];

/// One attempt at an upstream.
#[derive(Default)]
pub(crate) struct Attempt {
    renaming: Option<(Api, String)>,
}

impl Attempt {
    /// What the request is and what its model is called here, if it is an escalated one.
    fn renaming(&self) -> Option<(Api, String)> {
        let attempts = headers::number(self.get_http_request_header_bytes(headers::ATTEMPTS))?;
        if attempts < 2 || self.get_http_request_header_bytes(headers::FALLBACK).is_none() {
            return None;
        }
        let api = Api::from_path(&self.get_http_request_header_bytes(":path")?)?;
        // The trait's method would panic on a status of the host that the hostcall only returns.
        let model = get_property(UPSTREAM_MODEL.to_vec()).ok().flatten();
        let model = model.and_then(|name| String::from_utf8(name).ok());
        if model.is_none() {
            log::warn!(
                "a cluster does not say what its model is called; write it with `dragoman render envoy`"
            );
        }
        Some((api, model?))
    }
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            return Action::Continue;
        }
        self.renaming = self.renaming();
        if self.renaming.is_none() {
            return Action::Continue;
        }
        self.set_http_request_header_bytes(headers::FALLBACK, None);
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Some((api, model)) = &self.renaming else { return Action::Continue };
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        if let Ok(request) = parse(*api, &body) {
            let renamed = rewrite_model(&body, &request, model);
            let length = renamed.len().to_string();
            self.set_http_request_header_bytes("content-length", Some(length.as_bytes()));
            self.set_http_request_body(0, size, &renamed);
        }
        Action::Continue
    }
}

impl Context for Attempt {}
