//! Conversations that stay on their model, and the table in shared data that remembers them.

use std::time::Duration;

use dragoman_core::config::StorePrompts;
use dragoman_core::replay::ReplayRecord;
use dragoman_wasm_tests::mock::{
    Host, Plan, Stream, answer, chat, chat_headers, push, route, route_asking, route_with,
};

/// A deciding plugin with this snapshot in use.
fn with(plan: &Plan) -> Host {
    let host = Host::new().config(route()).configured();
    assert_eq!(host.plugin(push()).push(&plan.blob()).0, 200);
    host
}

/// Models of these values; conversations move for a gain of more than 0.05.
fn worth(version: u64, worth: [f32; 3]) -> Plan {
    Plan { worth, ..Plan::favouring(version, "cheap") }
}

fn turn(host: &Host, session: &str) -> Stream {
    let body = chat("Hello");
    let length = body.len().to_string();
    let mut headers = chat_headers(&length).to_vec();
    headers.push(("x-session-id", session));
    let mut stream = host.stream();
    stream.request_headers(&headers, false);
    stream.request_body(&body, true);
    stream
}

fn answered(mut stream: Stream, headers: &[(&str, &str)]) {
    stream.response_headers(headers, false);
    stream.response_body(answer("Hi"), true);
    stream.log();
}

fn cluster(stream: &Stream) -> String {
    stream.header("x-vsr-cluster").expect("a decided request has its cluster")
}

fn model(host: &Host, session: &str) -> String {
    let stream = turn(host, session);
    let model = cluster(&stream);
    stream.answered("Hi");
    model
}

fn last(host: &Host) -> ReplayRecord {
    host.flush().pop().expect("a record")
}

fn push_plan(host: &Host, plan: &Plan) {
    assert_eq!(host.plugin(push()).push(&plan.blob()).0, 200);
}

#[test]
fn a_conversation_stays_until_moving_gains_more_than_the_margin() {
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    assert_eq!(model(&host, "a"), "cheap");
    let record = last(&host);
    assert!(!record.sticky, "its first turn was free");
    push_plan(&host, &worth(2, [0.5, 0.54, 0.3]));
    assert_eq!((model(&host, "a").as_str(), model(&host, "b").as_str()), ("cheap", "strong"));
    let records = host.flush();
    assert_eq!((records[0].sticky, records[0].propensity, records[0].explored), (true, 1.0, false));
    let propensities: Vec<f32> = records[0].candidates.iter().map(|c| c.propensity).collect();
    assert_eq!((propensities, records[0].session.as_deref()), (vec![1.0, 0.0, 0.0], Some("a")));
    push_plan(&host, &worth(3, [0.5, 0.56, 0.3]));
    assert_eq!(model(&host, "a"), "strong", "0.06 is more than the margin");
    push_plan(&host, &worth(4, [0.6, 0.56, 0.3]));
    assert_eq!(model(&host, "a"), "strong", "and there it stays");
    assert_eq!((host.metric("dragoman_sticky_held"), host.metric("dragoman_sticky_moved")), (2, 1));
}

#[test]
fn a_held_conversation_explores_nothing() {
    let mut plan = worth(1, [0.5, 0.5, 0.5]);
    plan.meta.routing.policy.epsilon = 1.0;
    let host = with(&plan);
    let first = model(&host, "a");
    assert!((0..30).all(|_| model(&host, "a") == first));
    assert_eq!(host.metric("dragoman_sticky_held"), 30);
    let others = (0..30).filter(|n| model(&host, &format!("other {n}")) != first).count();
    assert!(others > 5, "first turns do: {others}");
}

#[test]
fn every_worker_knows_the_conversation_and_another_envoy_does_not() {
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    model(&host, "a");
    push_plan(&host, &worth(2, [0.5, 0.54, 0.3]));
    let second = Host::new().config(route()).beside(&host).seed(2).configured();
    assert_eq!(model(&second, "a"), "cheap");
    assert_eq!(model(&with(&worth(2, [0.5, 0.54, 0.3])), "a"), "strong");
}

#[test]
fn after_half_an_hour_of_silence_it_is_a_new_conversation() {
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    model(&host, "a");
    push_plan(&host, &worth(2, [0.5, 0.54, 0.3]));
    for _ in 0..3 {
        host.advance(Duration::from_secs(29 * 60));
        assert_eq!(model(&host, "a"), "cheap", "every turn begins the time anew");
    }
    host.advance(Duration::from_secs(30 * 60 + 1));
    assert_eq!(model(&host, "a"), "strong");
}

#[test]
fn a_failed_model_lets_go_and_one_that_helped_out_takes_over() {
    let host = with(&worth(1, [0.5, 0.48, 0.3]));
    model(&host, "a");
    answered(turn(&host, "a"), &[(":status", "503")]);
    push_plan(&host, &worth(2, [0.5, 0.52, 0.3]));
    assert_eq!(model(&host, "a"), "strong", "free to go");
    let stream = turn(&host, "b");
    assert_eq!(
        (cluster(&stream).as_str(), stream.header("x-vsr-fallback").as_deref()),
        ("strong", Some("cheap"))
    );
    answered(stream, &[(":status", "200"), ("x-envoy-attempt-count", "2")]);
    assert_eq!(model(&host, "b"), "cheap", "it answered the last turn");
}

#[test]
fn a_model_that_is_gone_or_a_switch_leaves_the_choice_free() {
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    model(&host, "a");
    let mut renamed = worth(2, [0.5, 0.52, 0.3]);
    renamed.meta.routing.models[0].name = "other".into();
    push_plan(&host, &renamed);
    assert_eq!(model(&host, "a"), "strong");
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    model(&host, "a");
    let mut off = worth(2, [0.5, 0.52, 0.3]);
    off.meta.routing.sticky.enabled = false;
    push_plan(&host, &off);
    assert_eq!(model(&host, "a"), "strong");
    assert!(
        !turn(&host, "a").calls().iter().any(|c| c.contains("dragoman.session")),
        "nor is the table read"
    );
}

#[test]
fn the_table_is_bounded_costs_a_few_reads_and_tells_nobodys_name() {
    let mut plan = worth(1, [0.5, 0.3, 0.3]);
    plan.meta.routing.sticky.slots = 4;
    let host = with(&plan);
    for n in 0..50 {
        model(&host, &format!("session {n}"));
    }
    let stream = turn(&host, "session 49");
    let calls: Vec<&String> = stream.calls().iter().filter(|c| c.contains("shared")).collect();
    let reads = calls.iter().filter(|c| c.starts_with("get shared")).count();
    assert_eq!(
        (reads, calls.len()),
        (4, 4),
        "version, secret and two slots; nothing new is written: {calls:?}"
    );
    let slots: Vec<Vec<u8>> =
        (0..100).filter_map(|n| host.shared_data(&format!("dragoman.session.{n}"))).collect();
    assert_eq!(slots.len(), 4);
    assert!(slots.iter().all(|slot| slot.len() == 24));
    assert_eq!(host.shared_data("dragoman.secret").map(|secret| secret.len()), Some(16));
}

#[test]
fn without_a_session_the_table_is_not_touched() {
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    host.ask("Hello").answered("Hi");
    assert_eq!(host.shared_data("dragoman.secret"), None);
}

#[test]
fn nonsense_in_the_table_is_a_free_choice() {
    let host = with(&worth(1, [0.5, 0.3, 0.3]));
    model(&host, "a");
    for n in 0..4096 {
        host.set_shared_data(&format!("dragoman.session.{n}"), b"nonsense");
    }
    push_plan(&host, &worth(2, [0.5, 0.52, 0.3]));
    assert_eq!(model(&host, "a"), "strong");
    host.set_shared_data("dragoman.secret", b"short");
    assert_eq!(model(&host, "a"), "strong");
}

#[test]
fn a_prompt_leaves_the_filter_only_as_the_configuration_has_it() {
    for (mode, expected) in [
        (StorePrompts::None, None),
        (StorePrompts::Redacted, Some("Write to [email]")),
        (StorePrompts::Full, Some("Write to jane@example.com")),
    ] {
        let mut plan = worth(1, [0.5, 0.3, 0.3]);
        plan.meta.routing.privacy.store_prompts = mode;
        let host = with(&plan);
        host.ask("Write to jane@example.com").answered("Hi");
        assert_eq!(last(&host).prompt.as_deref(), expected, "{mode:?}");
    }
    let mut plan = worth(1, [0.5, 0.3, 0.3]);
    plan.meta.routing.privacy.store_prompts = StorePrompts::Hash;
    plan.meta.routing.privacy = plan.meta.routing.privacy.keyed([1; 16]);
    let host = with(&plan);
    host.ask("Hello").answered("Hi");
    host.ask("Hello").answered("Hi");
    let records = host.flush();
    let hash = records[0].prompt.clone().expect("a hash");
    assert!(hash.starts_with("hash:") && hash.len() == 37, "{hash}");
    assert_eq!(records[1].prompt, Some(hash), "the same prompt");
}

#[test]
fn the_sidecar_is_told_who_is_calling() {
    let token = || Some("t0ken".to_owned());
    let bearer = |host: &Host, call: usize| {
        let calls = host.calls();
        let found = calls[call].headers.iter().find(|(name, _)| name == "authorization");
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let host = Host::new().config(route_with(|role| role.sidecar_token = token())).configured();
    push_plan(&host, &worth(1, [0.5, 0.3, 0.3]));
    host.ask("Hello").answered("Hi");
    host.tick();
    assert_eq!(bearer(&host, 0).as_deref(), Some("Bearer t0ken"));
    let recovering = push().replace("\"sidecar\":", "\"sidecar_token\":\"t0ken\",\"sidecar\":");
    let host = Host::new().config(recovering).configured();
    host.tick();
    assert_eq!(bearer(&host, 0).as_deref(), Some("Bearer t0ken"));
    let asking = route_asking(0).replace("\"deadline_ms\":", "\"token\":\"t0ken\",\"deadline_ms\":");
    let host = Host::new().config(asking).configured();
    push_plan(&host, &worth(1, [0.5, 0.3, 0.3]));
    let stream = host.ask("Hello");
    let headers = stream.open_call().expect("it asks for the embedding").headers;
    assert!(headers.iter().any(|(name, value)| name == "authorization" && value == b"Bearer t0ken"));
}
