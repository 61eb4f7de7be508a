//! Puts another model's name into a request body.

use super::PromptRequest;

/// The body with `model` as the value of its top-level `model`, which is inserted as the first field when
/// there was none; all other bytes stay as they were.
///
/// `request` must be what [`super::parse`] made of this very `body`; another body comes back with an
/// arbitrary splice, or unchanged where the old value's place lies outside of it.
pub fn rewrite_model(body: &[u8], request: &PromptRequest, model: &str) -> Vec<u8> {
    let value = serde_json::Value::from(model).to_string();
    let splice = match &request.model_span {
        Some(span) => body.get(..span.start).zip(body.get(span.end..)).map(|halves| (halves, value)),
        None => after_brace(body).map(|halves| (halves, format!("\"model\":{value},"))),
    };
    let Some(((before, after), middle)) = splice else { return body.to_vec() };
    [before, middle.as_bytes(), after].concat()
}

/// The body in two, behind its opening brace. The object is never empty: it holds a prompt.
fn after_brace(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let brace = body.iter().position(|&b| b == b'{')?;
    body.split_at_checked(brace + 1)
}
