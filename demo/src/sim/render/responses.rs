//! OpenAI's Responses.

use serde_json::{Value, json};

use super::{Events, named};
use crate::sim::outcome::Answer;

pub(super) fn whole(answer: &Answer, created: u64) -> Value {
    let status = if answer.truncated { "incomplete" } else { "completed" };
    let mut response = envelope(answer, created, status);
    response["output"] = json!([item(answer, status, &json!([part(&answer.text())]))]);
    response["usage"] = json!({
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens(),
        "total_tokens": answer.input_tokens + answer.output_tokens(),
    });
    if answer.truncated {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    response
}

pub(super) fn events(answer: &Answer, created: u64) -> Events {
    let mut sequence = 0..;
    let mut event = |kind: &str, mut fields: Value| {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(sequence.next());
        named(&fields)
    };
    let id = format!("msg_{}", answer.id);
    let at = || json!({"item_id": id, "output_index": 0, "content_index": 0});
    let with = |name: &str, value: Value| {
        let mut fields = at();
        fields[name] = value;
        fields
    };
    let begun = envelope(answer, created, "in_progress");
    let done = whole(answer, created);
    let status = if answer.truncated { "incomplete" } else { "completed" };
    let opening = vec![
        event("response.created", json!({"response": begun})),
        event("response.in_progress", json!({"response": begun})),
        event(
            "response.output_item.added",
            json!({"output_index": 0, "item": item(answer, "in_progress", &json!([]))}),
        ),
        event("response.content_part.added", with("part", part(""))),
    ];
    let tokens = answer
        .pieces
        .iter()
        .map(|piece| event("response.output_text.delta", with("delta", json!(piece))))
        .collect();
    let closing = vec![
        event("response.output_text.done", with("text", json!(answer.text()))),
        event("response.content_part.done", with("part", part(&answer.text()))),
        event("response.output_item.done", json!({"output_index": 0, "item": done["output"][0]})),
        event(&format!("response.{status}"), json!({"response": done})),
    ];
    Events { opening, tokens, closing }
}

fn envelope(answer: &Answer, created: u64, status: &str) -> Value {
    json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": created,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "model": answer.model,
        "output": [],
        "usage": null,
    })
}

fn item(answer: &Answer, status: &str, content: &Value) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    })
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}
