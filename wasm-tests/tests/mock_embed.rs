//! Embeddings from elsewhere, and those remembered: what a request waits for, and what it is decided with.

use std::time::Duration;

use dragoman_wasm_tests::mock::{
    Action, EMBEDDING, Host, Plan, chat, chat_headers, embedded, push, route, route_asking, route_with,
};
use serde_json::Value;

/// A filter that asks elsewhere, and whose snapshot favours `strong`.
fn asking(cache: u32) -> Host {
    let host = Host::new().config(route_asking(cache)).configured();
    let pushed = host.plugin(push()).push(&Plan::favouring(1, "strong").blob());
    assert_eq!(pushed.0, 200);
    host
}

fn embedding_of(host: &Host) -> (Vec<f32>, bool) {
    let record = host.flush().pop().expect("a record");
    let context = record.context.expect("it was decided").values().to_vec();
    // The second of the meta features says whether there is an embedding.
    (context[..EMBEDDING].to_vec(), context[EMBEDDING + 32 + 1] == 1.0)
}

#[test]
fn a_request_waits_for_its_embedding_and_is_decided_with_it() {
    let host = asking(0);
    let mut stream = host.ask("Where is Paris?");
    assert!(stream.is_held() && stream.body().is_empty());
    let call = stream.open_call().expect("it asks");
    assert_eq!((call.cluster.as_str(), call.header(":path").as_str()), ("encoder", "/v1/embeddings"));
    assert_eq!(call.header(":authority"), "api.example.com");
    assert_eq!(call.timeout_ms, 50);
    let question: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!((&question["model"], &question["input"]), (&"embed-3".into(), &"Where is Paris?".into()));
    stream.call_answered(200, embedded(5));
    assert!(!stream.is_held());
    assert_eq!(stream.header("x-vsr-cluster").as_deref(), Some("strong"));
    assert_eq!(stream.header("x-vsr-fallback").as_deref(), Some("cheap"));
    let body: Value = serde_json::from_slice(stream.body()).unwrap();
    assert_eq!(
        (&body["model"], &body["messages"][0]["content"]),
        (&"strong-v1".into(), &"Where is Paris?".into())
    );
    let stream = stream.answered("In France.");
    assert_eq!(stream.response_header("x-vsr-selected-model").as_deref(), Some("strong"));
    let (embedding, there) = embedding_of(&host);
    assert!(there && embedding[5] == 1.0);
    assert_eq!((host.metric("dragoman_embed_calls"), host.metric("dragoman_embed_failed")), (1, 0));
}

#[test]
fn without_a_usable_answer_the_request_is_decided_on_the_other_signals_and_counted() {
    let wide = serde_json::json!({"data": [{"embedding": vec![1.0; EMBEDDING + 1]}]}).to_string();
    let answers: [(u16, &str); 7] = [
        (0, ""),
        (503, "no healthy upstream"),
        (429, "{\"error\":{\"message\":\"busy\"}}"),
        (200, "nonsense"),
        (200, "{\"data\":[{\"embedding\":[NaN]}]}"),
        (200, ""),
        (200, &wide),
    ];
    for (status, body) in answers {
        let host = asking(8);
        let mut stream = host.ask("Where is Paris?");
        match status {
            0 => stream.call_failed(),
            status => stream.call_answered(status, body),
        }
        assert_eq!(stream.header("x-vsr-cluster").as_deref(), Some("strong"), "{status} {body}");
        assert!(String::from_utf8_lossy(stream.body()).contains("strong-v1"));
        stream.answered("ok");
        assert!(!embedding_of(&host).1, "{status} {body}");
        let counted = ["embed_calls", "embed_calls_failed", "embed_calls_late", "embed_failed"]
            .map(|name| host.metric(&format!("dragoman_{name}")));
        assert_eq!(counted, [1, 1, 0, 1], "{status} {body}");
        assert!(host.logs().iter().any(|l| l.contains("decided without an embedding")), "{:?}", host.logs());
        // What is no embedding is not remembered as one.
        assert!(host.ask("Where is Paris?").open_call().is_some());
    }
}

#[test]
fn an_answer_past_the_deadline_is_counted_as_late() {
    for status in [None, Some(503), Some(504)] {
        let host = asking(8);
        let mut stream = host.ask("Where is Paris?");
        host.advance(Duration::from_millis(51));
        match status {
            None => stream.call_failed(),
            Some(status) => stream.call_answered(status, "upstream request timeout"),
        }
        assert_eq!(stream.header("x-vsr-cluster").as_deref(), Some("strong"));
        let counted = ["embed_calls_late", "embed_calls_failed", "embed_failed"];
        assert_eq!(counted.map(|name| host.metric(&format!("dragoman_{name}"))), [1, 0, 1]);
        stream.answered("ok");
    }
}

#[test]
fn a_call_that_envoy_refuses_holds_nothing_up() {
    let host = asking(8);
    host.refuse_calls(true);
    let stream = host.ask("Where is Paris?");
    assert_eq!((stream.is_held(), stream.header("x-vsr-cluster").as_deref()), (false, Some("strong")));
    assert_eq!(host.metric("dragoman_embed_calls_failed"), 1);
    stream.answered("ok");
}

#[test]
fn a_remembered_embedding_asks_nobody() {
    let host = asking(8);
    let mut first = host.ask("Where is Paris?");
    first.call_answered(200, embedded(5));
    first.answered("ok");
    host.flush();
    let second = host.ask("Where is Paris?");
    assert_eq!((second.is_held(), second.open_call().is_none()), (false, true));
    second.answered("ok");
    let (embedding, there) = embedding_of(&host);
    assert!(there && embedding[5] == 1.0);
    let counted = ["cache_hits", "cache_misses", "calls"];
    assert_eq!(counted.map(|name| host.metric(&format!("dragoman_embed_{name}"))), [1, 1, 1]);
}

#[test]
fn prompts_that_agree_in_what_is_read_share_their_embedding() {
    let host = asking(8);
    let words = "word ".repeat(1000);
    let mut first = host.ask(&format!("{words} one middle {words}"));
    let question: Value = serde_json::from_slice(&first.open_call().unwrap().body).unwrap();
    assert!(question["input"].as_str().unwrap().len() <= 128 * 8, "only what is read is sent");
    first.call_answered(200, embedded(5));
    assert!(host.ask(&format!("{words} another middle {words}")).open_call().is_none());
    assert!(host.ask(&format!("{words} another end")).open_call().is_some());
}

#[test]
fn the_filters_own_encoder_remembers_too() {
    let config = route_with(|role| role.encoder.cache = 8);
    let host = Host::new().config(config).configured();
    host.plugin(push()).push(&Plan::favouring(1, "strong").blob());
    let contexts = ["Where is Paris?", "Where is Paris?"].map(|prompt| {
        host.ask(prompt).answered("ok");
        embedding_of(&host)
    });
    assert_eq!(contexts[0], contexts[1]);
    assert_eq!(["cache_hits", "cache_misses"].map(|n| host.metric(&format!("dragoman_embed_{n}"))), [1, 1]);
    let host = Host::new().config(route()).configured();
    host.plugin(push()).push(&Plan::favouring(1, "strong").blob());
    host.ask("Where is Paris?").answered("ok");
    host.ask("Where is Paris?").answered("ok");
    assert_eq!(host.metric("dragoman_embed_cache_hits"), 0, "a cache of 0 is off");
}

#[test]
fn without_a_snapshot_nobody_is_asked() {
    let host = Host::new().config(route_asking(8)).configured();
    let stream = host.ask("Where is Paris?");
    assert_eq!((stream.is_held(), stream.open_call().is_none()), (false, true));
    assert_eq!((host.metric("dragoman_default_no_snapshot"), host.metric("dragoman_embed_failed")), (1, 0));
    stream.answered("ok");
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    let host = asking(8);
    let mut gone = host.ask("Where is Paris?");
    gone.log();
    assert!(host.flush().is_empty(), "nothing was decided");
    let mut next = host.ask("Where is Paris?");
    next.call_answered(200, embedded(5));
    assert_eq!(next.header("x-vsr-cluster").as_deref(), Some("strong"));
    next.answered("ok");
}

#[test]
fn an_answer_after_envoys_own_changes_nothing() {
    let host = asking(8);
    let mut stream = host.ask("Where is Paris?");
    stream.envoy_answers(408);
    stream.call_answered(200, embedded(5));
    assert!(stream.calls().iter().all(|call| !call.starts_with("set ") && call != "continue request"));
    stream.log();
    assert!(host.flush().is_empty());
}

#[test]
fn a_request_in_pieces_waits_as_a_whole() {
    let host = asking(8);
    let body = chat("Where is Paris?");
    let mut stream = host.stream();
    stream.request_headers(&chat_headers(&body.len().to_string()), false);
    let (one, other) = body.as_bytes().split_at(20);
    assert_eq!(stream.request_body(one, false), Action::Pause);
    assert!(stream.open_call().is_none());
    assert_eq!(stream.request_body(other, true), Action::Pause);
    stream.call_answered(200, embedded(0));
    let sent: Value = serde_json::from_slice(stream.body()).unwrap();
    assert_eq!(sent["model"], "strong-v1");
    assert_eq!(stream.header("content-length"), Some(stream.body().len().to_string()));
}
