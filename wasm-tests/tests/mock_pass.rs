//! What the filter leaves alone, and what it takes away from everybody.

use dragoman_wasm_tests::mock::{Action, Host, MAX_BODY, Plan, answer, chat, chat_headers, push, route};

fn ready() -> Host {
    Host::new().config(route()).configured()
}

/// The reasons for which requests went to the default route, with their counts.
fn reasons(host: &Host) -> Vec<String> {
    host.metrics_with("dragoman_default_")
}

#[test]
fn an_unknown_path_passes_untouched() {
    let host = ready();
    let mut stream = host.stream();
    let headers =
        [(":method", "POST"), (":path", "/v1/embeddings"), (":authority", "gateway"), ("x-mine", "kept")];
    assert_eq!(stream.request_headers(&headers, false), Action::Continue);
    assert_eq!(stream.calls(), ["request headers", "get request :method", "get request :path"]);
    assert_eq!(stream.request_body("{\"input\":", false), Action::Continue);
    assert_eq!(stream.request_body("\"text\"}", true), Action::Continue);
    assert!(stream.calls().is_empty());
    assert_eq!(stream.body(), b"{\"input\":\"text\"}");
    assert_eq!(stream.header_names(), [":method", ":path", ":authority", "x-mine"]);
    stream.response_headers(&[(":status", "200")], false);
    stream.response_body("{}", true);
    stream.log();
    host.tick();
    assert!(host.calls().is_empty(), "there is nothing to report");
}

#[test]
fn only_post_is_routed() {
    let host = ready();
    let mut stream = host.stream();
    let headers = [(":method", "GET"), (":path", "/v1/chat/completions"), (":authority", "gateway")];
    assert_eq!(stream.request_headers(&headers, true), Action::Continue);
    assert!(reasons(&host).is_empty());
}

#[test]
fn a_clients_own_steering_headers_are_taken_away_on_every_path() {
    let host = ready();
    for path in ["/", "/v1/embeddings", "/v1/chat/completions"] {
        let mut stream = host.stream();
        let headers = [
            (":method", "POST"),
            (":path", path),
            (":authority", "gateway"),
            ("x-vsr-cluster", "strong"),
            ("x-vsr-cluster", "twice"),
            ("x-vsr-fallback", "strong"),
            ("x-vsr-anything", "1"),
            ("x-envoy-attempt-count", "1"),
            ("x-envoy-max-retries", "9"),
            ("x-request-id", "kept"),
        ];
        stream.request_headers(&headers, false);
        assert_eq!(stream.header_names(), [":method", ":path", ":authority", "x-request-id"], "{path}");
    }
}

#[test]
fn bytes_that_are_not_text_do_not_trap() {
    let host = ready();
    let body = chat("Hello");
    let length = body.len().to_string();
    let mut stream = host.stream();
    let odd: &[u8] = b"caf\xe9\xff\x80";
    let headers: [(&str, &[u8]); 7] = [
        (":method", b"POST"),
        (":path", b"/v1/chat/completions"),
        (":authority", odd),
        ("x-session-id", odd),
        ("x-vsr-cluster", odd),
        ("cookie", odd),
        ("content-length", length.as_bytes()),
    ];
    assert_eq!(stream.request_headers_bytes(&headers, false), Action::Pause);
    assert_eq!(stream.request_body(&body, true), Action::Continue);
    assert_eq!(stream.header("x-vsr-cluster"), None);
    stream.response_headers_bytes(&[(":status", b"200"), ("content-type", odd), ("x-cache", odd)], false);
    stream.response_body(answer("Hi"), true);
    stream.log();
    let records = host.flush();
    assert_eq!(records[0].session.as_deref(), Some("caf\u{fffd}\u{fffd}\u{fffd}"));
}

#[test]
fn an_odd_path_or_method_does_not_trap() {
    let host = ready();
    let mut stream = host.stream();
    let headers: [(&str, &[u8]); 3] =
        [(":method", b"P\xffST"), (":path", b"/v1/\xc3\x28?\xff"), (":authority", b"\xff")];
    assert_eq!(stream.request_headers_bytes(&headers, false), Action::Continue);
}

/// Sends a chat request whose headers alone tell that it cannot be read.
fn unread(host: &Host, extra: (&str, &str), end_of_stream: bool) -> Vec<String> {
    let mut stream = host.stream();
    let mut headers = chat_headers("20").to_vec();
    headers.retain(|(name, _)| *name != extra.0);
    headers.push(extra);
    assert_eq!(stream.request_headers(&headers, end_of_stream), Action::Continue);
    assert_eq!(stream.header("x-vsr-cluster"), None);
    if !end_of_stream {
        stream.request_body("0123456789", false);
        stream.request_body("0123456789", true);
        assert_eq!(stream.body(), b"01234567890123456789");
    }
    stream.answered("ok");
    reasons(host)
}

#[test]
fn a_request_without_a_body_goes_to_the_default_route() {
    assert_eq!(unread(&ready(), ("x-none", ""), true), ["dragoman_default_no_body 1"]);
}

#[test]
fn a_body_too_large_by_its_stated_length_is_not_waited_for() {
    let length = (MAX_BODY + 1).to_string();
    assert_eq!(unread(&ready(), ("content-length", &length), false), ["dragoman_default_too_large 1"]);
}

#[test]
fn a_compressed_body_is_not_waited_for() {
    assert_eq!(unread(&ready(), ("content-encoding", "gzip"), false), ["dragoman_default_encoded 1"]);
}

#[test]
fn a_chunked_body_that_grows_too_large_is_let_go() {
    let host = ready();
    let mut stream = host.stream();
    stream.request_headers(&chat_headers("1")[..4], false);
    let chunk = vec![b' '; MAX_BODY / 2];
    assert_eq!(stream.request_body(&chunk, false), Action::Pause);
    assert_eq!(stream.request_body(&chunk, false), Action::Pause);
    assert_eq!(stream.request_body(&chunk, false), Action::Continue);
    assert_eq!(stream.request_body(&chunk, true), Action::Continue);
    assert_eq!(stream.body().len(), 4 * chunk.len(), "nothing is lost");
    assert_eq!(reasons(&host), ["dragoman_default_too_large 1"]);
}

#[test]
fn a_body_that_cannot_be_read_goes_to_the_default_route_unchanged() {
    let bodies = [
        ("", "not_json"),
        ("hello", "not_json"),
        ("{\"messages\":[", "not_json"),
        ("\u{0}\u{1}", "not_json"),
        ("{\"messages\":7}", "bad_type"),
        ("{\"messages\":[]}", "no_prompt"),
        ("{\"messages\":[{\"role\":\"user\",\"content\":\"  \"}]}", "no_prompt"),
    ];
    for (body, reason) in bodies {
        let host = ready();
        host.plugin(push()).push(&Plan::favouring(1, "strong").blob());
        let stream = host.ask_body(body).answered("ok");
        assert_eq!(stream.body(), body.as_bytes());
        assert_eq!(stream.header("x-vsr-cluster"), None);
        assert_eq!(stream.header("content-length"), Some(body.len().to_string()));
        assert_eq!(reasons(&host), [format!("dragoman_default_{reason} 1")], "{body}");
        let records = host.flush();
        assert_eq!(records[0].default_reason.as_deref(), Some(reason));
        assert_eq!((records[0].response.status, records[0].model.as_str()), (200, "cheap"));
        assert!(
            host.logs().iter().any(|l| l.starts_with("warn: request to the default route")),
            "{:?}",
            host.logs()
        );
    }
}

#[test]
fn a_request_with_trailers_goes_to_the_default_route_unchanged() {
    let host = ready();
    let body = chat("Hello");
    let mut stream = host.stream();
    stream.request_headers(&chat_headers("1")[..4], false);
    assert_eq!(stream.request_body(&body, false), Action::Pause);
    assert_eq!(stream.request_trailers(1), Action::Continue);
    assert_eq!(stream.body(), body.as_bytes());
    assert_eq!(reasons(&host), ["dragoman_default_trailers 1"]);
}

#[test]
fn a_client_that_leaves_while_its_body_is_read_leaves_no_trace() {
    let host = ready();
    let mut stream = host.stream();
    stream.request_headers(&chat_headers("100"), false);
    stream.request_body("{", false);
    stream.log();
    assert!(host.flush().is_empty());
}

#[test]
fn envoys_own_answer_to_a_held_request_passes() {
    let host = ready();
    let mut stream = host.stream();
    stream.request_headers(&chat_headers("100"), false);
    stream.request_body("{", false);
    stream.envoy_answers(408);
    stream.log();
    assert!(host.flush().is_empty());
}

#[test]
fn many_bad_requests_do_not_flood_the_log() {
    let host = ready();
    for _ in 0..40 {
        host.ask_body("not json").log();
    }
    let warnings = host.logs().iter().filter(|l| l.starts_with("warn")).count();
    assert_eq!(warnings, 6, "the 1st, 2nd, 4th, 8th, 16th and 32nd");
    assert_eq!(host.metric("dragoman_default_not_json"), 40);
}
