//! Deciding: what a request carries when it leaves for the upstream, with and without a snapshot.

use dragoman_core::config::{Condition, SignalName};
use dragoman_wasm_tests::mock::{Action, Host, Plan, chat, chat_headers, push, route, route_with};
use serde_json::Value;

/// A deciding plugin with this snapshot in use.
fn with(plan: &Plan) -> Host {
    let host = Host::new().config(route()).configured();
    assert_eq!(host.plugin(push()).push(&plan.blob()).0, 200);
    host
}

fn model(body: &[u8]) -> Value {
    serde_json::from_slice::<Value>(body).expect("the body is JSON")["model"].clone()
}

#[test]
fn without_a_snapshot_the_default_models_name_is_put_into_the_body() {
    let host = Host::new().config(route()).configured();
    let stream = host.ask("Hello");
    assert_eq!(stream.header("x-vsr-cluster"), None, "Envoy's own default route");
    assert_eq!(model(stream.body()), "cheap-v0");
    assert_eq!(stream.body(), chat("Hello").replace("auto", "cheap-v0").as_bytes(), "nothing else changes");
    assert_eq!(stream.header("content-length"), Some(stream.body().len().to_string()));
    assert_eq!(host.metrics_with("dragoman_default_"), ["dragoman_default_no_snapshot 1"]);
    assert_eq!(host.metric("dragoman_decisions"), 0);
}

#[test]
fn with_a_snapshot_the_best_route_gets_the_request() {
    let host = with(&Plan::favouring(1, "strong"));
    let stream = host.ask("Hello");
    assert_eq!(stream.header("x-vsr-cluster").as_deref(), Some("strong"));
    assert_eq!(
        stream.header("x-vsr-fallback").as_deref(),
        Some("cheap"),
        "the next best by utility per dollar"
    );
    assert_eq!(model(stream.body()), "strong-v1");
    assert_eq!(host.metric("dragoman_decisions"), 1);
    assert!(host.metrics_with("dragoman_default_").is_empty());
    for stage in ["parse", "embed", "signals", "decide", "total"] {
        assert_eq!(host.metric(&format!("dragoman_stage_{stage}_us")), 1, "{stage}");
    }
}

#[test]
fn the_host_calls_of_a_decision_are_few_and_in_order() {
    let host = with(&Plan::favouring(1, "strong"));
    host.ask("Hello").log();
    let stream = host.ask("Hello");
    let length = stream.body().len();
    assert_eq!(
        stream.calls(),
        [
            "get request body".to_owned(),
            "get request x-session-id".to_owned(),
            "get shared dragoman.version".to_owned(),
            "set request x-vsr-cluster=strong".to_owned(),
            "set request x-vsr-fallback=cheap".to_owned(),
            "set request x-vsr-model-at=9-20".to_owned(),
            "remove request accept-encoding".to_owned(),
            "get request content-length".to_owned(),
            format!("set request content-length={length}"),
            "set request body".to_owned(),
        ]
    );
}

#[test]
fn a_body_in_pieces_is_held_until_it_is_whole() {
    let host = with(&Plan::favouring(1, "strong"));
    let body = chat("Hello, world");
    let mut stream = host.stream();
    assert_eq!(stream.request_headers(&chat_headers("1")[..4], false), Action::Pause);
    for byte in body.as_bytes() {
        assert_eq!(stream.request_body([*byte], false), Action::Pause);
        assert_eq!(stream.calls(), [""; 0], "nothing is read before the end");
    }
    assert_eq!(stream.request_body("", true), Action::Continue);
    assert_eq!(model(stream.body()), "strong-v1");
    assert_eq!(stream.header("content-length"), None, "a chunked request stays one");
}

#[test]
fn a_body_that_names_no_model_gets_one_and_the_right_one_stays_as_it_is() {
    let host = with(&Plan::favouring(1, "strong"));
    let stream = host.ask_body(r#" { "messages":[{"role":"user","content":"Hi"}]}"#);
    assert_eq!(stream.body(), br#" {"model":"strong-v1", "messages":[{"role":"user","content":"Hi"}]}"#);
    let right = chat("Hi").replace("auto", "strong-v1");
    let stream = host.ask_body(&right);
    assert_eq!(stream.body(), right.as_bytes());
    assert!(!stream.calls().iter().any(|c| c == "set request body"));
}

#[test]
fn every_api_is_routed() {
    let host = with(&Plan::favouring(1, "coder"));
    let bodies = [
        ("/v1/chat/completions", chat("Hi")),
        ("/v1/completions?x=1", r#"{"model":"auto","prompt":"Hi"}"#.to_owned()),
        ("/v1/responses", r#"{"model":"auto","input":"Hi"}"#.to_owned()),
        (
            "/v1/messages",
            r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#.to_owned(),
        ),
    ];
    for (path, body) in bodies {
        let mut stream = host.stream();
        stream.request_headers(&[(":method", "POST"), (":path", path), (":authority", "g")], false);
        stream.request_body(&body, true);
        assert_eq!(stream.header("x-vsr-cluster").as_deref(), Some("coder"), "{path}");
        assert_eq!(model(stream.body()), "coder-v1", "{path}");
    }
}

#[test]
fn the_prompt_decides_where_the_parameters_say_so() {
    let mut plan = Plan::favouring(1, "cheap");
    plan.worth_in_code = [-1.0, 0.0, 1.0];
    let host = with(&plan);
    assert_eq!(host.ask("What is the capital of France?").header("x-vsr-cluster").as_deref(), Some("cheap"));
    let code = "Fix this:\n```rust\nfn main() {\n    let x: u32 = \"1\";\n    println!(\"{}\", x);\n}\n```";
    assert_eq!(host.ask(code).header("x-vsr-cluster").as_deref(), Some("coder"));
}

#[test]
fn where_no_route_is_worth_it_the_default_model_answers() {
    let mut plan = Plan::favouring(1, "strong");
    plan.worth = [-0.1, -0.2, -0.3];
    let host = with(&plan);
    let stream = host.ask("Hello");
    assert_eq!(stream.header("x-vsr-cluster").as_deref(), Some("cheap"));
    assert_eq!(model(stream.body()), "cheap-v1");
}

#[test]
fn no_rule_and_no_candidate_go_to_the_default_route_with_its_model() {
    let mut no_rule = Plan::favouring(1, "strong");
    no_rule.meta.routing.decisions[0].when = vec![Condition::Above(SignalName::Code, 0.9)];
    let mut no_candidate = Plan::favouring(1, "strong");
    no_candidate.meta.routing.models.iter_mut().for_each(|m| m.apis.clear());
    for (plan, reason) in [(no_rule, "no_rule"), (no_candidate, "no_candidate")] {
        let host = with(&plan);
        let stream = host.ask("Hello").answered("Hi");
        assert_eq!((stream.header("x-vsr-cluster"), stream.header("x-vsr-fallback")), (None, None));
        assert_eq!(model(stream.body()), "cheap-v1");
        assert_eq!(host.metrics_with("dragoman_default_"), [format!("dragoman_default_{reason} 1")]);
        assert_eq!(host.flush()[0].default_reason.as_deref(), Some(reason));
    }
}

#[test]
fn without_escalation_no_fallback_is_named() {
    let host = Host::new().config(route_with(|r| r.escalation = false)).configured();
    host.plugin(push()).push(&Plan::favouring(1, "strong").blob());
    let stream = host.ask("Hello");
    assert_eq!(stream.header("x-vsr-fallback"), None);
    assert_eq!(stream.header("x-envoy-max-retries").as_deref(), Some("0"), "nowhere else to go");
}

#[test]
fn exploration_takes_other_routes_as_often_as_it_says() {
    let mut plan = Plan::favouring(1, "strong");
    plan.meta.routing.policy.epsilon = 0.6;
    let host = with(&plan);
    let others =
        (0..60).filter(|_| host.ask("Hi").header("x-vsr-cluster").as_deref() != Some("strong")).count();
    assert_eq!(host.metric("dragoman_explored"), others as u64);
    assert!((12..=36).contains(&others), "about 0.6 · 2/3 of 60: {others}");
}

#[test]
fn a_bad_blob_in_shared_data_leaves_the_last_good_one_deciding() {
    let host = with(&Plan::favouring(1, "strong"));
    host.ask("Hello");
    host.set_shared_data("dragoman.snapshot", b"DRAGOMAN and then nothing of use");
    host.set_shared_data("dragoman.version", &2u64.to_le_bytes());
    for _ in 0..3 {
        assert_eq!(host.ask("Hello").header("x-vsr-cluster").as_deref(), Some("strong"));
    }
    let errors = host.logs().iter().filter(|l| l.starts_with("error: snapshot 2 stays unused")).count();
    assert_eq!(errors, 1, "said once: {:?}", host.logs());
}

#[test]
fn a_retry_is_told_where_the_models_name_lies() {
    let named = |name: &str| chat("Hello").replace("\"auto\"", name);
    let unnamed = chat("Hello").replace("\"model\":\"auto\",", "");
    // To be renamed, named already, named by nobody.
    for body in [named("\"auto\""), named("\"strong-v1\""), named("null"), unnamed] {
        let stream = with(&Plan::favouring(1, "strong")).ask_body(&body);
        assert!(stream.header("x-vsr-fallback").is_some());
        let place = stream.header("x-vsr-model-at").expect("it says where");
        let (from, to) = place.split_once('-').expect("from and to");
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(&stream.body()[from..to], b"\"strong-v1\"", "{body}");
    }
}
