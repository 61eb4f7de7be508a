//! Puts another model's name into a request body.

use std::ops::Range;

use super::PromptRequest;

/// A body with another model's name.
pub struct Rewritten {
    /// The whole body.
    pub body: Vec<u8>,
    /// Where the value of its top-level `model` lies in it, in bytes.
    pub model: Range<usize>,
}

/// The body with `model` as the value of its top-level `model`, which is inserted as the first field when
/// there was none; all other bytes stay as they were.
///
/// `request` must be what [`super::parse`] made of this very `body`; another body comes back with an
/// arbitrary splice, or as `None` where the old value's place lies outside of it.
pub fn rewrite_model(body: &[u8], request: &PromptRequest, model: &str) -> Option<Rewritten> {
    let value = serde_json::Value::from(model).to_string();
    let (before, name, after, comma) = match &request.model_span {
        Some(span) => (body.get(..span.start)?, "", body.get(span.end..)?, ""),
        None => {
            let (before, after) = after_brace(body)?;
            (before, "\"model\":", after, ",")
        }
    };
    let start = before.len() + name.len();
    let body = [before, name.as_bytes(), value.as_bytes(), comma.as_bytes(), after].concat();
    Some(Rewritten { body, model: start..start + value.len() })
}

/// The body in two, behind its opening brace. The object is never empty: it holds a prompt.
fn after_brace(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let brace = body.iter().position(|&b| b == b'{')?;
    body.split_at_checked(brace + 1)
}
