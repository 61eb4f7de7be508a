//! Header names and the few ways the filter touches headers. Values are bytes: a client may send any.

use proxy_wasm::traits::{Context, HttpContext};

/// Which cluster Envoy's route picks.
pub(crate) const CLUSTER: &str = "x-vsr-cluster";
/// Which cluster a retry picks.
pub(crate) const FALLBACK: &str = "x-vsr-fallback";
/// Where the body has the model's name, for a retry that renames it: `FIRST-BEHIND`, in bytes.
pub(crate) const MODEL_AT: &str = "x-vsr-model-at";
/// The replay record's id, for feedback.
pub(crate) const REPLAY_ID: &str = "x-vsr-replay-id";
/// Name of the model that answered.
pub(crate) const SELECTED_MODEL: &str = "x-vsr-selected-model";
/// Name of the decision rule.
pub(crate) const SELECTED_DECISION: &str = "x-vsr-selected-decision";
/// Category of the decision rule.
pub(crate) const SELECTED_CATEGORY: &str = "x-vsr-selected-category";
/// Envoy's count of attempts.
pub(crate) const ATTEMPTS: &str = "x-envoy-attempt-count";

/// Caps Envoy's retries of one request.
pub(crate) const MAX_RETRIES: &str = "x-envoy-max-retries";

const OWN_PREFIX: &str = "x-vsr-";

/// Removes every header a client could steer with. Envoy's early header mutation did it already; a listener
/// configured by hand may have forgotten it.
pub(crate) fn strip_request(stream: &dyn HttpContext) {
    for (name, _) in stream.get_http_request_headers_bytes() {
        if name.starts_with(OWN_PREFIX) || name == ATTEMPTS || name == MAX_RETRIES {
            stream.set_http_request_header_bytes(&name, None);
        }
    }
}

/// Removes what an upstream says in our name.
pub(crate) fn strip_response(stream: &dyn HttpContext) {
    for (name, _) in stream.get_http_response_headers_bytes() {
        if name.starts_with(OWN_PREFIX) || name == ATTEMPTS {
            stream.set_http_response_header_bytes(&name, None);
        }
    }
}

/// The value of `authorization` for a call to the sidecar.
pub(crate) fn bearer(token: Option<&str>) -> Option<String> {
    token.map(|token| format!("Bearer {token}"))
}

/// A number in a header's value.
pub(crate) fn number(value: Option<Vec<u8>>) -> Option<u64> {
    std::str::from_utf8(&value?).ok()?.trim().parse().ok()
}

/// The status of a call's answer; only if there is one (see `on_http_call_response`).
pub(crate) fn call_status(context: &dyn Context) -> Option<u16> {
    number(context.get_http_call_response_header_bytes(":status")).and_then(|s| u16::try_from(s).ok())
}
