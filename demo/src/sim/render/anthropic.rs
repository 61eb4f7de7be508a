//! Anthropic's Messages.

use serde_json::{Value, json};

use super::{Events, named};
use crate::sim::outcome::Answer;

pub(super) fn whole(answer: &Answer) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [{"type": "text", "text": answer.text()}],
        "stop_reason": stop(answer),
        "stop_sequence": null,
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens()},
    })
}

pub(super) fn events(answer: &Answer) -> Events {
    let mut begun = whole(answer);
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    begun["usage"]["output_tokens"] = json!(1);
    let delta = |piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}});
    Events {
        opening: vec![
            named(&json!({"type": "message_start", "message": begun})),
            named(&json!({
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            })),
            named(&json!({"type": "ping"})),
        ],
        tokens: answer.pieces.iter().map(|piece| named(&delta(piece))).collect(),
        closing: vec![
            named(&json!({"type": "content_block_stop", "index": 0})),
            named(&json!({
                "type": "message_delta",
                "delta": {"stop_reason": stop(answer), "stop_sequence": null},
                "usage": {"output_tokens": answer.output_tokens()},
            })),
            named(&json!({"type": "message_stop"})),
        ],
    }
}

fn stop(answer: &Answer) -> &'static str {
    if answer.truncated { "max_tokens" } else { "end_turn" }
}
