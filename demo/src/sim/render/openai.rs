//! OpenAI's chat completions and legacy completions.

use serde_json::{Value, json};

use super::{Events, data};
use crate::sim::outcome::Answer;

pub(super) fn chat(answer: &Answer, created: u64) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": "chat.completion",
        "created": created,
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer.text(), "refusal": null},
            "logprobs": null,
            "finish_reason": finish(answer),
        }],
        "usage": usage(answer),
    })
}

pub(super) fn completion(answer: &Answer, created: u64) -> Value {
    json!({
        "id": format!("cmpl-{}", answer.id),
        "object": "text_completion",
        "created": created,
        "model": answer.model,
        "choices": [{"index": 0, "text": answer.text(), "logprobs": null, "finish_reason": finish(answer)}],
        "usage": usage(answer),
    })
}

pub(super) fn chat_events(answer: &Answer, created: u64, include_usage: bool) -> Events {
    let id = format!("chatcmpl-{}", answer.id);
    let frame = Frame { answer, id, object: "chat.completion.chunk", created, include_usage };
    let choice =
        |delta: Value, finish: Option<&str>| json!({"index": 0, "delta": delta, "finish_reason": finish});
    Events {
        opening: vec![frame.choice(&choice(json!({"role": "assistant", "content": ""}), None))],
        tokens: answer
            .pieces
            .iter()
            .map(|piece| frame.choice(&choice(json!({"content": piece}), None)))
            .collect(),
        closing: frame.closing(&choice(json!({}), Some(finish(answer)))),
    }
}

pub(super) fn completion_events(answer: &Answer, created: u64, include_usage: bool) -> Events {
    let id = format!("cmpl-{}", answer.id);
    let frame = Frame { answer, id, object: "text_completion", created, include_usage };
    let choice =
        |text: &str, finish: Option<&str>| json!({"index": 0, "text": text, "finish_reason": finish});
    Events {
        opening: Vec::new(),
        tokens: answer.pieces.iter().map(|piece| frame.choice(&choice(piece, None))).collect(),
        closing: frame.closing(&choice("", Some(finish(answer)))),
    }
}

/// What all the chunks of a stream have in common.
struct Frame<'a> {
    answer: &'a Answer,
    id: String,
    object: &'static str,
    created: u64,
    include_usage: bool,
}

// === impl Frame ===

impl Frame<'_> {
    fn choice(&self, choice: &Value) -> String {
        self.chunk(&json!([choice]), Value::Null)
    }

    /// The finish, the usage chunk with its empty `choices`, and the end mark.
    fn closing(&self, finish: &Value) -> Vec<String> {
        let mut events = vec![self.choice(finish)];
        if self.include_usage {
            events.push(self.chunk(&json!([]), usage(self.answer)));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn chunk(&self, choices: &Value, usage: Value) -> String {
        let mut chunk = json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.answer.model,
            "choices": choices,
        });
        // With include_usage every chunk has the field, null until the last.
        if self.include_usage {
            chunk["usage"] = usage;
        }
        data(&chunk)
    }
}

fn finish(answer: &Answer) -> &'static str {
    if answer.truncated { "length" } else { "stop" }
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens(),
        "total_tokens": answer.input_tokens + answer.output_tokens(),
    })
}
