//! What responses say, API by API, and that neither chunking nor garbage changes that.

use proptest::prelude::*;

use super::*;

fn observe<'a>(
    api: Api,
    stream: bool,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    end: bool,
) -> ResponseFacts {
    let mut observer = ResponseObserver::new(api, 200, stream);
    chunks.into_iter().for_each(|chunk| observer.on_chunk(chunk));
    observer.finish(end)
}

fn plain(api: Api, body: &str) -> ResponseFacts {
    observe(api, false, [body.as_bytes()], true)
}

fn stream(api: Api, body: &str) -> ResponseFacts {
    observe(api, true, [body.as_bytes()], true)
}

const CHAT_STREAM: &str = concat!(
    ": keep-alive\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\\u00fcße\"}}],\"usage\":null}\r\n\r\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" 日本\"}}]}\r\r",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\n",
    "data: \"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n",
    "data: [DONE]\n\n",
);

const MESSAGES_STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":5,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","input":{}}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

"#;

const RESPONSES_STREAM: &str = r#"event: response.created
data: {"type":"response.created","response":{"status":"in_progress","error":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"abc"}

event: response.incomplete
data: {"type":"response.incomplete","response":{"status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"message","content":[{"type":"output_text","text":"abc"}]}],"usage":{"input_tokens":7,"output_tokens":2,"input_tokens_details":{"cached_tokens":1}}}}

"#;

#[test]
fn a_chat_body_says_its_usage_its_end_and_its_length() {
    let body = r#"{"choices":[{"message":{"content":"Olá!","refusal":null,"tool_calls":[]},"finish_reason":"length"}],
        "usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#;
    let facts = plain(Api::ChatCompletions, body);
    let expected = ResponseFacts {
        status: 200,
        prompt_tokens: Some(5),
        completion_tokens: Some(2),
        cached_tokens: Some(4),
        finish_reason: Some("length".to_owned()),
        truncated: true,
        stream_complete: true,
        body_valid: true,
        has_content: true,
        bytes: body.len() as u64,
        content_chars: 4,
        ..ResponseFacts::default()
    };
    assert_eq!(facts, expected);
}

#[test]
fn a_tool_call_is_content_without_characters() {
    let bodies = [
        (Api::ChatCompletions, r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"1"}]}}]}"#),
        (Api::Responses, r#"{"status":"completed","output":[{"type":"function_call","content":7}]}"#),
        (
            Api::Messages,
            r#"{"content":[{"type":"thinking","text":"hm"},{"type":"tool_use"}],"stop_reason":"tool_use"}"#,
        ),
    ];
    for (api, body) in bodies {
        let facts = plain(api, body);
        assert!(facts.has_content && facts.body_valid && !facts.truncated, "{body}");
        assert_eq!(facts.content_chars, 0);
    }
}

#[test]
fn other_apis_bodies_are_read_too() {
    let facts = plain(Api::Completions, r#"{"choices":[{"text":"abc","finish_reason":"stop"}]}"#);
    assert_eq!((facts.content_chars, facts.completion_tokens, facts.body_valid), (3, None, true));
    let facts = plain(
        Api::Responses,
        r#"{"status":"completed","error":null,"usage":{"input_tokens":1,"output_tokens":2},
            "output":[{"type":"reasoning","content":[{"type":"text","text":"x"}]},
                      {"type":"message","content":[{"type":"output_text","text":"four"}]}]}"#,
    );
    assert_eq!((facts.content_chars, facts.prompt_tokens, facts.completion_tokens), (4, Some(1), Some(2)));
    assert_eq!(facts.finish_reason.as_deref(), Some("completed"));
    let facts = plain(
        Api::Messages,
        r#"{"content":[{"type":"text","text":"four"}],"stop_reason":"max_tokens",
            "usage":{"input_tokens":1,"cache_read_input_tokens":10,"output_tokens":2}}"#,
    );
    assert_eq!((facts.content_chars, facts.prompt_tokens, facts.cached_tokens), (4, Some(11), Some(10)));
    assert!(facts.truncated);
}

#[test]
fn error_reports_empty_bodies_and_garbage_are_not_valid() {
    for body in ["", "  ", "[]", "null", "<html>", "{\"choices\":[", r#"{"error":{"message":"no"}}"#] {
        let facts = plain(Api::ChatCompletions, body);
        assert!(!facts.body_valid && !facts.has_content, "{body}");
    }
}

#[test]
fn a_cut_body_is_not_complete() {
    let facts = observe(Api::ChatCompletions, false, [&b"{\"choices\":[]}"[..]], false);
    assert!(facts.body_valid && !facts.stream_complete);
}

#[test]
fn a_body_over_the_limit_is_counted_but_not_read() {
    let chunk = vec![b' '; MAX_BODY];
    let facts = observe(Api::ChatCompletions, false, [&b"{}"[..], &chunk[..], &b"x"[..]], true);
    assert_eq!(facts.bytes, MAX_BODY as u64 + 3);
    assert!(!facts.body_valid && !facts.stream_complete);
}

#[test]
fn a_chat_stream_is_read_through_every_line_ending() {
    let facts = stream(Api::ChatCompletions, CHAT_STREAM);
    assert!(facts.stream && facts.stream_complete && facts.body_valid && facts.has_content);
    assert_eq!(facts.content_chars, 8);
    assert_eq!(
        (facts.prompt_tokens, facts.completion_tokens, facts.cached_tokens),
        (Some(9), Some(4), Some(3))
    );
    assert_eq!((facts.finish_reason.as_deref(), facts.truncated), (Some("stop"), false));
}

#[test]
fn a_messages_stream_adds_up_its_input() {
    let facts = stream(Api::Messages, MESSAGES_STREAM);
    assert!(facts.stream_complete && facts.body_valid);
    assert_eq!(
        (facts.prompt_tokens, facts.cached_tokens, facts.completion_tokens),
        (Some(115), Some(100), Some(15))
    );
    assert_eq!((facts.content_chars, facts.finish_reason.as_deref()), (5, Some("tool_use")));
}

#[test]
fn a_cut_messages_stream_has_no_output_count() {
    let cut = MESSAGES_STREAM.split("event: message_delta").next().unwrap();
    let facts = stream(Api::Messages, cut);
    assert_eq!((facts.completion_tokens, facts.stream_complete, facts.body_valid), (None, false, true));
}

#[test]
fn a_responses_stream_counts_its_text_once() {
    let facts = stream(Api::Responses, RESPONSES_STREAM);
    assert!(facts.stream_complete && facts.body_valid && facts.truncated);
    assert_eq!((facts.content_chars, facts.finish_reason.as_deref()), (3, Some("max_output_tokens")));
    assert_eq!(
        (facts.prompt_tokens, facts.completion_tokens, facts.cached_tokens),
        (Some(7), Some(2), Some(1))
    );
    let only_last = RESPONSES_STREAM.rsplit_once("event: ").unwrap().1;
    assert_eq!(stream(Api::Responses, &format!("event: {only_last}")).content_chars, 3);
}

#[test]
fn an_error_in_a_stream_makes_it_invalid() {
    let streams = [
        (Api::ChatCompletions, "data: {\"error\":{\"code\":500}}\n\n"),
        (Api::Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n"),
        (Api::Responses, "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\"}}\n\n"),
        (Api::ChatCompletions, "data: {\"choices\":[]}\n\ndata: {\"choi\n\n"),
    ];
    for (api, text) in streams {
        let facts = stream(api, text);
        assert!(!facts.body_valid && !facts.stream_complete, "{text}");
    }
}

#[test]
fn a_last_event_without_a_blank_line_counts_and_a_cut_one_does_not() {
    let whole = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    assert!(stream(Api::ChatCompletions, &format!("{whole}data: [DONE]")).stream_complete);
    let facts = stream(Api::ChatCompletions, &format!("{whole}data: {{\"choices\":[{{"));
    assert!(facts.body_valid && !facts.stream_complete);
    assert_eq!(facts.content_chars, 1);
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_its_event_name_still_ends_the_stream() {
    let text = format!(
        "data: {{\"type\":\"response.output_text.delta\",\"delta\":\"a\"}}\n\n\
         event: response.completed\ndata: {}\n\n",
        "x".repeat(300 * 1024)
    );
    for size in [1000, text.len()] {
        let facts = observe(Api::Responses, true, text.as_bytes().chunks(size), true);
        assert_eq!((facts.content_chars, facts.stream_complete, facts.body_valid), (1, true, false));
    }
}

fn sample() -> impl Strategy<Value = (Api, String)> {
    prop_oneof![
        Just((Api::ChatCompletions, CHAT_STREAM.to_owned())),
        Just((Api::Messages, MESSAGES_STREAM.to_owned())),
        Just((Api::Messages, MESSAGES_STREAM.replace('\n', "\r\n"))),
        Just((
            Api::ChatCompletions,
            "data: {\"choices\":\r\ndata: []}\r\n\r\ndata: [DONE]\r\n\r\n".to_owned()
        )),
        Just((Api::Responses, RESPONSES_STREAM.replace('\n', "\r"))),
        "([a-z :{}\\[\\]\"]{0,9}|data: |\r|\n|\r\n){0,30}".prop_map(|text| (Api::ChatCompletions, text)),
    ]
}

proptest! {
    #[test]
    fn chunking_never_changes_the_facts((api, text) in sample(), sizes in proptest::collection::vec(0_usize..40, 1..60)) {
        let whole = stream(api, &text);
        let mut rest = text.as_bytes();
        let mut chunks = Vec::new();
        for size in sizes {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        prop_assert_eq!(observe(api, true, chunks, true), whole.clone());
        prop_assert_eq!(observe(api, true, text.as_bytes().chunks(1), true), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), stream: bool, end: bool) {
        for api in [Api::ChatCompletions, Api::Completions, Api::Responses, Api::Messages] {
            observe(api, stream, [&bytes[..]], end);
        }
    }
}

#[test]
fn an_answer_is_known_by_its_own_name_in_every_format() {
    let id = |facts: ResponseFacts| facts.id;
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(id(plain(Api::ChatCompletions, r#"{"id":"chatcmpl-1","choices":[]}"#)), named("chatcmpl-1"));
    assert_eq!(id(plain(Api::Responses, r#"{"id":"resp_1","output":[]}"#)), named("resp_1"));
    assert_eq!(id(plain(Api::Messages, r#"{"id":"msg_1","content":[]}"#)), named("msg_1"));
    let chunk = "data: {\"id\":\"chatcmpl-1\",\"choices\":[]}\n\ndata: {\"id\":\"other\",\"choices\":[]}\n\n";
    assert_eq!(id(stream(Api::ChatCompletions, chunk)), named("chatcmpl-1"));
    let created = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
    assert_eq!(id(stream(Api::Responses, created)), named("resp_1"), "also of a stream that broke off");
    let start = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n";
    assert_eq!(id(stream(Api::Messages, start)), named("msg_1"));
}

#[test]
fn a_name_that_is_none_costs_the_answer_nothing() {
    for id in ["7", "\"\"", "null", &format!("\"{}\"", "x".repeat(300))] {
        let facts = plain(Api::ChatCompletions, &format!("{{\"id\":{id},\"choices\":[]}}"));
        assert_eq!((facts.id, facts.body_valid), (None, true), "{id}");
    }
}
