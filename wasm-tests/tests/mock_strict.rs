//! The mock itself: a test that drives it in an order Envoy never would does not pass by accident.

use dragoman_wasm_tests::mock::{Host, Plan, chat, chat_headers, push, route};

fn ready() -> Host {
    Host::new().config(route()).configured()
}

#[test]
#[should_panic(expected = "not configured")]
fn traffic_before_configuration_is_impossible() {
    Host::new().config(route()).build().stream();
}

#[test]
#[should_panic(expected = "no upstream answers a request that is held")]
fn a_response_to_a_held_request_is_impossible() {
    let mut stream = ready().stream();
    stream.request_headers(&chat_headers("9"), false);
    stream.response_headers(&[(":status", "200")], true);
}

#[test]
#[should_panic(expected = "a body comes after headers that do not end the stream")]
fn a_body_after_the_end_is_impossible() {
    let mut stream = ready().ask("Hello");
    stream.request_body("more", true);
}

#[test]
#[should_panic(expected = "response headers come once")]
fn two_responses_are_impossible() {
    let mut stream = ready().ask("Hello");
    stream.response_headers(&[(":status", "200")], true);
    stream.response_headers(&[(":status", "200")], true);
}

#[test]
#[should_panic(expected = "a stream ends once")]
fn two_ends_are_impossible() {
    let mut stream = ready().ask("Hello");
    stream.log();
    stream.log();
}

#[test]
#[should_panic(expected = "did not ask for it")]
fn a_tick_nobody_asked_for_is_impossible() {
    Host::new().config("").build().tick();
}

#[test]
#[should_panic(expected = "was answered already")]
fn two_answers_to_one_call_are_impossible() {
    let host = Host::new().config(push()).configured();
    host.tick();
    host.answer(1, 404, b"");
    host.answer(1, 404, b"");
}

#[test]
#[should_panic(expected = "no call 7 was made here")]
fn an_answer_to_no_call_is_impossible() {
    ready().answer(7, 200, b"");
}

#[test]
#[should_panic(expected = "its value would break the message")]
fn a_header_value_that_breaks_the_message_is_refused() {
    let mut plan = Plan::favouring(1, "strong");
    plan.meta.routing.decisions[0].category = "general\r\nset-cookie: a=b".to_owned();
    let host = ready();
    host.plugin(push()).push(&plan.blob());
    host.ask_body(&chat("Hello")).answered("Hi");
}
