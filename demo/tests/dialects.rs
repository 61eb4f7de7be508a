//! The simulator speaks four dialects, whole and streamed.

mod support;

use std::time::Duration;

use dragoman_demo::marker::Marker;
use dragoman_demo::sim::BreakStream;
use serde_json::{Value, json};
use support::{chat, post, small, streamed};

/// The concatenated text of a stream's events, wherever the dialect keeps it.
fn text(events: &[Value]) -> String {
    let piece = |event: &Value| {
        [
            &event["choices"][0]["delta"]["content"],
            &event["choices"][0]["text"],
            &event["delta"],
            &event["delta"]["text"],
        ]
        .into_iter()
        .find_map(|piece| piece.as_str().map(ToOwned::to_owned))
    };
    events.iter().filter_map(piece).collect()
}

#[tokio::test]
async fn a_chat_completion_has_a_marked_message_and_its_usage() {
    let sim = small(|_| ());
    let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &chat("Hello there")).await;
    let body = heard.json();
    let content = body["choices"][0]["message"]["content"].as_str().unwrap();
    let marker = Marker::read(content).unwrap();
    assert_eq!((marker.model.as_str(), marker.category.as_str()), ("small", "default"));
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 3);
    let total = body["usage"]["completion_tokens"].as_u64().unwrap() + 3;
    assert_eq!(body["usage"]["total_tokens"], total);
}

#[tokio::test]
async fn whole_and_streamed_answers_say_the_same_in_every_dialect() {
    let turns = json!([{"role": "user", "content": "why"}]);
    let cases = [
        ("/v1/chat/completions", json!({"messages": turns}), "/choices/0/message/content"),
        ("/v1/completions", json!({"prompt": "why"}), "/choices/0/text"),
        ("/v1/responses", json!({"input": "why"}), "/output/0/content/0/text"),
        ("/v1/messages", json!({"messages": turns, "max_tokens": 500}), "/content/0/text"),
    ];
    for (path, mut body, place) in cases {
        body["model"] = json!("small");
        // A fresh simulator each time: the n-th asking of a prompt is what decides the answer.
        let whole = post(&(small(|_| ()).url("small") + path), &[], &body).await.json();
        let sim = small(|_| ());
        let stream = post(&(sim.url("small") + path), &[], &streamed(body)).await;
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        assert_eq!(whole.pointer(place).unwrap().as_str().unwrap(), text(&stream.events()), "{path}");
    }
}

#[tokio::test]
async fn a_stream_arrives_token_by_token() {
    let sim = small(|model| {
        model.latency_ms.first = 30.0;
        model.latency_ms.per_token = 10.0;
        model.output_tokens.mean = 20.0;
        model.output_tokens.spread = 0.0;
    });
    let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &streamed(chat("slowly"))).await;
    let (first, last) = (heard.arrivals[0], *heard.arrivals.last().unwrap());
    assert!(first >= Duration::from_millis(29), "the first token came after {first:?}");
    assert!(last - first >= Duration::from_millis(190), "the last came {:?} after the first", last - first);
    assert!(heard.arrivals.len() >= 10, "{} chunks", heard.arrivals.len());
}

#[tokio::test]
async fn a_chat_stream_ends_with_finish_usage_and_done() {
    let sim = small(|_| ());
    let mut body = streamed(chat("hi"));
    body["stream_options"] = json!({"include_usage": true});
    let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &body).await;
    let events = heard.events();
    let [.., finish, usage] = events.as_slice() else { panic!("too few events") };
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["completion_tokens"].as_u64().unwrap() > 1);
    assert!(heard.text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_chat_stream_tells_no_usage_unasked() {
    let sim = small(|_| ());
    let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &streamed(chat("hi"))).await;
    assert!(!heard.text.contains("usage"));
}

#[tokio::test]
async fn responses_and_messages_streams_have_their_named_events() {
    let sim = small(|_| ());
    let body = json!({"model": "small", "input": "why", "stream": true});
    let heard = post(&(sim.url("small") + "/v1/responses"), &[], &body).await;
    assert!(heard.text.starts_with("event: response.created\ndata: "));
    let last = heard.events().pop().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert!(last["response"]["usage"]["output_tokens"].as_u64().unwrap() > 1);

    let heard = post(&(sim.url("small") + "/v1/messages"), &[], &streamed(chat("why"))).await;
    assert!(heard.text.starts_with("event: message_start\ndata: "));
    assert!(heard.text.contains("event: message_delta\n"));
    assert_eq!(heard.events().pop().unwrap()["type"], "message_stop");
}

#[tokio::test]
async fn a_truncated_answer_says_so_in_each_dialect() {
    let sim = small(|model| model.truncation_rate = 1.0);
    let url = sim.url("small");
    let ask = async |path: &str, body: Value| post(&format!("{url}{path}"), &[], &body).await.json();
    let body = ask("/v1/chat/completions", chat("why")).await;
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    let body = ask("/v1/responses", json!({"model": "small", "input": "why"})).await;
    assert_eq!(
        (&body["status"], &body["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let body = ask("/v1/messages", chat("why")).await;
    assert_eq!(body["stop_reason"], "max_tokens");
    assert!(Marker::read(body["content"][0]["text"].as_str().unwrap()).is_some(), "the marker survives");
}

#[tokio::test]
async fn a_broken_stream_ends_early_or_breaks_the_connection() {
    for (how, ended) in [(BreakStream::End, true), (BreakStream::Reset, false)] {
        let sim = small(|model| {
            model.break_stream_rate = 1.0;
            model.break_stream = how;
        });
        let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &streamed(chat("why"))).await;
        assert!(Marker::read(&text(&heard.events())).is_some());
        assert!(!heard.text.contains("[DONE]") && !heard.text.contains("\"stop\""));
        assert_eq!(heard.ended, ended, "{how:?}");
    }
}
