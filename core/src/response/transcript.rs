//! The text of an answer, for the few answers that are to be judged. All others are counted, not copied.
//!
//! It is read a second time, from plain JSON values: that is slow, and seldom done.

use serde_json::Value;

use crate::request::Api;

/// An answer's text as it comes in, up to a number of characters.
#[derive(Debug)]
pub(super) struct Transcript {
    text: String,
    /// Characters that still fit.
    room: usize,
}

// === impl Transcript ===

impl Transcript {
    pub(super) fn new(max_chars: usize) -> Self {
        Self { text: String::new(), room: max_chars }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Takes in a plain body.
    pub(super) fn read_body(&mut self, api: Api, body: &[u8]) {
        let Some(body) = parsed(body) else { return };
        match api {
            Api::ChatCompletions => self.add(body.pointer("/choices/0/message/content")),
            Api::Completions => self.add(body.pointer("/choices/0/text")),
            Api::Responses => {
                let items = body.pointer("/output").and_then(Value::as_array);
                items.into_iter().flatten().for_each(|item| self.add(item.get("content")));
            }
            Api::Messages => self.add(body.get("content")),
        }
    }

    /// Takes in the data of one event.
    pub(super) fn read_event(&mut self, api: Api, data: &[u8]) {
        if self.room == 0 {
            return;
        }
        let Some(event) = parsed(data) else { return };
        let kind = event.get("type").and_then(Value::as_str);
        match (api, kind) {
            (Api::ChatCompletions, _) => self.add(event.pointer("/choices/0/delta/content")),
            (Api::Completions, _) => self.add(event.pointer("/choices/0/text")),
            (Api::Responses, Some("response.output_text.delta")) => self.add(event.get("delta")),
            (Api::Messages, Some("content_block_delta")) => self.add(event.pointer("/delta/text")),
            _ => {}
        }
    }

    /// A text, or a list of parts with texts.
    fn add(&mut self, content: Option<&Value>) {
        match content {
            Some(Value::String(text)) => {
                let end = text.char_indices().nth(self.room).map_or(text.len(), |(at, _)| at);
                let fits = text.get(..end).unwrap_or_default();
                self.text.push_str(fits);
                self.room -= fits.chars().count();
            }
            Some(Value::Array(parts)) => parts.iter().for_each(|part| self.add(part.get("text"))),
            _ => {}
        }
    }
}

fn parsed(json: &[u8]) -> Option<Value> {
    serde_json::from_str(std::str::from_utf8(json).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::ResponseObserver;
    use super::*;

    fn text(api: Api, stream: bool, body: &str, max_chars: usize) -> Option<String> {
        let mut observer = ResponseObserver::new(api, 200, stream);
        observer.keep_text(max_chars);
        body.as_bytes().chunks(7).for_each(|chunk| observer.on_chunk(chunk));
        observer.finish_with_text(true).1
    }

    #[test]
    fn the_text_of_an_answer_is_the_same_streamed_or_not_in_every_format() {
        let cases = [
            (Api::ChatCompletions, false, r#"{"choices":[{"message":{"content":"Lima è"}}]}"#),
            (
                Api::ChatCompletions,
                true,
                "data: {\"choices\":[{\"delta\":{\"content\":\"Lima\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\" è\"}}]}\n\ndata: [DONE]\n\n",
            ),
            (Api::Completions, false, r#"{"choices":[{"text":"Lima è"}]}"#),
            (
                Api::Responses,
                false,
                r#"{"output":[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"Lima è"}]}]}"#,
            ),
            (
                Api::Responses,
                true,
                "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Lima è\"}\n\n",
            ),
            (Api::Messages, false, r#"{"content":[{"type":"tool_use"},{"type":"text","text":"Lima è"}]}"#),
            (
                Api::Messages,
                true,
                "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Lima è\"}}\n\n",
            ),
        ];
        for (api, stream, body) in cases {
            assert_eq!(text(api, stream, body, 100).as_deref(), Some("Lima è"), "{body}");
            assert_eq!(text(api, stream, body, 6).as_deref(), Some("Lima è"), "{body}");
            assert_eq!(text(api, stream, body, 3).as_deref(), Some("Lim"), "{body}");
        }
    }

    #[test]
    fn nothing_is_kept_unless_asked_for_and_garbage_holds_no_text() {
        let mut observer = ResponseObserver::new(Api::ChatCompletions, 200, false);
        observer.on_chunk(br#"{"choices":[{"message":{"content":"Lima"}}]}"#);
        assert_eq!(observer.finish_with_text(true).1, None);
        assert_eq!(text(Api::Messages, false, "[1,", 9).as_deref(), Some(""));
    }
}
