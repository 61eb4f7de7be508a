//! What a request body says, API by API, and that no bytes can make it panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(api: Api, body: &Value) -> PromptRequest {
    parse(api, body.to_string().as_bytes()).unwrap()
}

fn refuse(api: Api, body: &str) -> RequestError {
    parse(api, body.as_bytes()).unwrap_err()
}

fn chat(body: &str) -> PromptRequest {
    parse(Api::ChatCompletions, body.as_bytes()).unwrap()
}

#[test]
fn only_the_four_paths_are_known_and_their_query_is_ignored() {
    assert_eq!(Api::from_path(b"/v1/chat/completions"), Some(Api::ChatCompletions));
    assert_eq!(Api::from_path(b"/v1/completions?beta=true"), Some(Api::Completions));
    assert_eq!(Api::from_path(b"/v1/responses"), Some(Api::Responses));
    assert_eq!(Api::from_path(b"/v1/messages?"), Some(Api::Messages));
    for path in
        [&b""[..], b"/v1/messages/", b"/v1/messages/count_tokens", b"/V1/messages", b"/v1/responses/x"]
    {
        assert_eq!(Api::from_path(path), None);
    }
}

#[test]
fn an_api_is_written_by_its_name() {
    for (api, _, name) in APIS {
        assert_eq!(serde_json::to_value(api).unwrap(), json!(name));
        assert_eq!(api.name(), name);
    }
}

#[test]
fn the_prompt_of_a_chat_is_its_last_user_turn_with_text() {
    let request = read(
        Api::ChatCompletions,
        &json!({"model": "gpt-4o", "stream": true, "max_completion_tokens": 99, "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": "Capital of Peru?"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function"}]},
            {"role": "tool", "tool_call_id": "1", "content": "Lima"},
            {"role": "assistant", "content": "Quito."},
            {"role": "user", "content": "That’s wrong!"},
            {"role": "assistant", "content": "Lima."},
            {"role": "user", "content": [
                {"type": "text", "text": " Now\tdescribe "},
                {"type": "image_url", "image_url": {"url": "data:,"}},
                {"type": "text", "text": "this. "}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}),
    );
    assert_eq!(request.prompt, "Now\tdescribe \nthis.");
    assert_eq!(request.model.as_deref(), Some("gpt-4o"));
    let facts = &request.facts;
    assert!(request.stream && facts.stream && !facts.json_output);
    assert_eq!((facts.user_turns, facts.turns, facts.complaints, facts.images), (3, 6, 1, 2));
    assert_eq!(
        (facts.prompt_chars, facts.system_chars, facts.total_chars),
        (19, 8, 8 + 16 + 4 + 6 + 13 + 5 + 20)
    );
    assert_eq!(facts.max_output_tokens, Some(99));
    assert_eq!(facts.token_estimate, 19 + 9 * 4 + 2 * 765);
}

#[test]
fn neither_the_first_turn_nor_the_last_counts_as_complaint() {
    let request = chat(
        r#"{"messages":[{"role":"user","content":"It doesn't work"},{"role":"user","content":"try again"},
            {"role":"assistant","content":"ok"},{"role":"user","content":"still wrong"}]}"#,
    );
    assert_eq!(request.facts.complaints, 0);
}

#[test]
fn completions_take_a_string_or_strings_but_no_token_numbers() {
    assert_eq!(read(Api::Completions, &json!({"prompt": "once"})).prompt, "once");
    let request = read(Api::Completions, &json!({"prompt": ["once", "twice"], "max_tokens": 5}));
    assert_eq!((request.prompt.as_str(), request.facts.max_output_tokens), ("once\ntwice", Some(5)));
    assert_eq!((request.facts.user_turns, request.facts.turns), (1, 1));
    assert_eq!(refuse(Api::Completions, r#"{"prompt":[1,2,3]}"#), RequestError::NoPrompt);
}

#[test]
fn responses_take_a_string_or_items() {
    let request = read(Api::Responses, &json!({"input": "hi", "instructions": "be kind", "tools": [{}, {}]}));
    assert_eq!((request.prompt.as_str(), request.facts.system_chars, request.facts.tools), ("hi", 7, 2));
    let request = read(
        Api::Responses,
        &json!({"previous_response_id": "resp_1", "text": {"format": {"type": "json_schema"}},
            "max_output_tokens": 7_000_000_000_u64, "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image"}]},
            {"type": "reasoning", "summary": [], "content": {"any": 1}},
            {"type": "function_call", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "12345"},
            {"type": "computer_call_output", "output": {"type": "computer_screenshot"}},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}]}),
    );
    assert_eq!(request.prompt, "look");
    assert_eq!(request.thread.previous_response.as_deref(), Some("resp_1"));
    let facts = request.facts;
    assert_eq!((facts.turns, facts.user_turns, facts.images, facts.total_chars), (2, 1, 1, 11));
    assert_eq!((facts.json_output, facts.max_output_tokens), (true, Some(u32::MAX)));
}

#[test]
fn tool_results_are_no_prompt_in_messages() {
    let request = read(
        Api::Messages,
        &json!({"system": [{"type": "text", "text": "sys"}], "max_tokens": 10, "messages": [
            {"role": "user", "content": "What time is it?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "clock", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t",
                "content": [{"type": "text", "text": "noon"}, {"type": "image", "source": {}}]}]}]}),
    );
    assert_eq!(request.prompt, "What time is it?");
    let facts = request.facts;
    assert_eq!((facts.user_turns, facts.turns, facts.images), (1, 2, 1));
    assert_eq!((facts.system_chars, facts.total_chars), (3, 23));
}

#[test]
fn the_first_field_of_the_table_names_the_session() {
    let session = |fields: Value| {
        let mut body = json!({"input": "x", "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        read(Api::Responses, &body).session
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(session(json!({"conversation": "c", "previous_response_id": "p"})), named("c"));
    assert_eq!(session(json!({"conversation": {"id": "c"}, "metadata": {"session_id": "s"}})), named("c"));
    assert_eq!(session(json!({"metadata": {"user_id": "u", "session_id": "s"}})), named("s"));
    assert_eq!(session(json!({"prompt_cache_key": "k", "previous_response_id": "p"})), named("p"));
    assert_eq!(session(json!({"metadata": {"user_id": "u", "session_id": 7}})), named("u"));
    assert_eq!(session(json!({"user": "u", "metadata": null})), None);
    assert_eq!(session(json!({"conversation": "x".repeat(257), "prompt_cache_key": " "})), None);
}

#[test]
fn the_top_level_must_be_an_object() {
    assert_eq!(refuse(Api::ChatCompletions, "[]").reason(), "bad_type");
    assert_eq!(refuse(Api::ChatCompletions, "[").reason(), "bad_type", "whatever it would have become");
    assert_eq!(refuse(Api::ChatCompletions, "{").reason(), "not_json");
    assert_eq!(refuse(Api::ChatCompletions, "7").reason(), "bad_type");
    assert_eq!(refuse(Api::ChatCompletions, "").reason(), "not_json");
    assert_eq!(refuse(Api::ChatCompletions, "{} {}").reason(), "not_json");
    assert_eq!(parse(Api::Messages, b"{\"a\":\"\xff\"}").unwrap_err().reason(), "not_json");
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    let table = [
        (r#"{"messages":"hi"}"#, "messages", "array"),
        (r#"{"messages":["hi"]}"#, "messages[]", "an object"),
        (r#"{"messages":[{"role":1}]}"#, "messages[].role", "a string"),
        (r#"{"messages":[{"role":"user","content":{}}]}"#, "messages[].content", "null"),
        (r#"{"messages":[{"role":"user","content":[1]}]}"#, "messages[].content[]", "an object"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":1}]}]}"#,
            "content[].text",
            "a string",
        ),
        (r#"{"model":5,"messages":[]}"#, "model", "a string"),
        (r#"{"stream":"yes"}"#, "line 1 column 15", "a boolean"),
        (r#"{"max_tokens":-1}"#, "line 1 column 16", "u64"),
        (r#"{"stream":true,"stream":false}"#, "line 1", "each field once"),
    ];
    for (body, place, expected) in table {
        let sentence = refuse(Api::ChatCompletions, body).to_string();
        assert!(sentence.contains(place) && sentence.contains(expected), "{body}: {sentence}");
        assert_eq!(refuse(Api::ChatCompletions, body).reason(), "bad_type");
    }
}

#[test]
fn errors_never_repeat_the_body() {
    let sentence = refuse(Api::ChatCompletions, r#"{"stream":"my secret, expected never"}"#).to_string();
    assert!(!sentence.contains("secret") && !sentence.contains("never"), "{sentence}");
}

#[test]
fn no_text_of_a_user_is_no_prompt() {
    for body in [
        "{}",
        r#"{"messages":[]}"#,
        r#"{"messages":null}"#,
        r#"{"messages":[{"role":"system","content":"x"}]}"#,
        r#"{"messages":[{"role":"user","content":" \n"},{"role":"user","content":null},{"role":"user"}]}"#,
    ] {
        assert_eq!(refuse(Api::ChatCompletions, body), RequestError::NoPrompt, "{body}");
    }
}

#[test]
fn of_doubled_keys_in_a_message_the_last_counts() {
    let request = chat(r#"{"messages":[{"role":"system","content":"a","role":"user","content":"b"}]}"#);
    assert_eq!(request.prompt, "b");
}

#[test]
fn deep_nesting_is_refused_instead_of_overflowing_the_stack() {
    let body = format!(r#"{{"messages":{}"#, "[".repeat(200_000));
    assert_eq!(refuse(Api::ChatCompletions, &body).reason(), "not_json");
}

#[test]
fn the_model_is_replaced_in_place_or_inserted_first() {
    let table = [
        (r#"{ "model" : "a" ,"prompt":"x"}"#, r#"{ "model" : "n\"1" ,"prompt":"x"}"#),
        (r#"{"prompt":"x","model":null}"#, r#"{"prompt":"x","model":"n\"1"}"#),
        (
            r#"{"metadata":{"model":"in"},"prompt":"x"}"#,
            r#"{"model":"n\"1","metadata":{"model":"in"},"prompt":"x"}"#,
        ),
        (" \n{\"prompt\":\"x\"}", " \n{\"model\":\"n\\\"1\",\"prompt\":\"x\"}"),
        (r#"{"prompt":"x","mod\u0065l":"\u0061"}"#, r#"{"prompt":"x","mod\u0065l":"n\"1"}"#),
    ];
    for (body, rewritten) in table {
        let request = parse(Api::Completions, body.as_bytes()).unwrap();
        let got = rewrite_model(body.as_bytes(), &request, "n\"1").unwrap();
        assert_eq!(&got.body[got.model], br#""n\"1""#);
        assert_eq!(String::from_utf8(got.body).unwrap(), rewritten);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "model", "messages", "content", "role", "type", "text", "input", "prompt", "system", "metadata",
        "tools", "x",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Value>()),
        ]
    })
}

const ALL: [Api; 4] = [Api::ChatCompletions, Api::Completions, Api::Responses, Api::Messages];

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for api in ALL {
            let _ = parse(api, &bytes);
        }
    }

    #[test]
    fn arbitrary_json_never_panics_and_a_request_always_has_a_prompt(body in any_json()) {
        for api in ALL {
            if let Ok(request) = parse(api, body.to_string().as_bytes()) {
                prop_assert!(!request.prompt.trim().is_empty());
            }
        }
    }

    #[test]
    fn rewriting_changes_nothing_but_the_model(
        extra in any_json(), old in proptest::option::of(".{0,8}"), new in ".{0,12}", prompt in "[a-z]{1,9}",
    ) {
        let mut body = json!({"x": extra, "messages": [{"role": "user", "content": prompt}]});
        if let Some(old) = old {
            body["model"] = Value::from(old);
        }
        let bytes = serde_json::to_vec_pretty(&body).unwrap();
        let request = parse(Api::ChatCompletions, &bytes).unwrap();
        let Rewritten { body: rewritten, model: place } = rewrite_model(&bytes, &request, &new).unwrap();
        body["model"] = Value::from(new.clone());
        prop_assert_eq!(serde_json::from_slice::<Value>(&rewritten).unwrap(), body);
        let again = parse(Api::ChatCompletions, &rewritten).unwrap();
        prop_assert_eq!((again.model, again.model_span), (Some(new), Some(place)));
        prop_assert_eq!((again.prompt, again.facts), (request.prompt, request.facts));
    }

    #[test]
    fn rewriting_an_unrelated_body_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
        let request = chat(r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#);
        let _ = rewrite_model(&bytes, &request, "n");
    }
}
