//! Nobody rates anything: what users say in their next turn, or that they say nothing more, is enough for the router
//! to learn from. Real Envoy, the shipped filter, the sidecar's binary, stand-in models.

use std::time::Duration;

use dragoman_demo::sim::{ModelConfig, Price};
use dragoman_wasm_tests::system::*;
use serde_json::{Value, json};

fn main() {
    in_turn([
        ("what_users_say_next_changes_where_requests_go", next_turns_teach),
        ("a_conversation_without_a_name_is_known_by_what_was_said", nameless_conversation),
        ("a_conversation_stays_on_its_model", sticky_conversation),
        ("asking_the_same_again_counts_against_the_answer", asked_again),
    ]);
}

const PROMPTS: [&str; 4] =
    ["write a sorting function", "how are you today?", "what is 12 times 7?", "who was Ada Lovelace?"];

fn plan() -> Plan {
    let model =
        |name, output| ModelConfig { price: Price { input: 0.1, output }, ..ModelConfig::named(name) };
    Plan::default()
        .models(vec![model("a", 0.4), model("b", 0.5)])
        .set("learner", json!({"publish_ms": 50}))
        .set("replay", json!({"flush_ms": 20}))
        .set("policy", json!({"kind": "linucb", "alpha": 0.2, "epsilon": 0.0, "cost_weight": 0.0}))
        .set("sticky", json!({"enabled": false}))
        .with_sidecar()
}

/// One turn of a conversation; `said` are the texts so far, of user and assistant by turns.
fn turn(system: &System, said: &[&str], session: Option<&str>) -> Reply {
    let role = |i: usize| if i.is_multiple_of(2) { "user" } else { "assistant" };
    let messages: Vec<Value> =
        said.iter().enumerate().map(|(i, text)| json!({"role": role(i), "content": text})).collect();
    let body = json!({"model": "auto", "messages": messages}).to_string();
    let headers: Vec<(&str, &str)> = session.map(|name| ("x-session-id", name)).into_iter().collect();
    let reply = send(system.listen.gateway, "POST", "/v1/chat/completions", &headers, body.as_bytes());
    reply.expect("an answer")
}

fn model_of(reply: &Reply) -> String {
    reply.header("x-vsr-selected-model").unwrap_or_default().to_owned()
}

/// The record of an answer, once its satisfaction is known.
fn judged(system: &System, reply: &Reply) -> f64 {
    let id = reply.header("x-vsr-replay-id").expect("an id");
    let satisfaction = || {
        let record = get(system.listen.sidecar, &format!("/v1/router_replay/{id}"))?.json();
        record["reward"]["satisfaction"].as_f64().filter(|s| *s != 0.0)
    };
    wait_until("the next turn has counted", Duration::from_secs(10), || satisfaction().is_some());
    satisfaction().expect("a satisfaction")
}

fn share_of(system: &System, model: &str, requests: usize) -> f64 {
    let ask =
        |i: &usize| model_of(&chat(system.listen.gateway, &format!("tell me about topic {i}"), &[])) == model;
    (0..requests).filter(ask).count() as f64 / requests as f64
}

fn next_turns_teach() {
    let system = plan().start();
    for i in 0..40 {
        let (prompt, session) = (PROMPTS[i % PROMPTS.len()], format!("session-{i}"));
        let first = turn(&system, &[prompt], Some(&session));
        let says = if model_of(&first) == "b" {
            "Perfect, thank you so much!"
        } else {
            "No, that's wrong. This is not what I asked for."
        };
        turn(&system, &[prompt, "an answer", says], Some(&session));
        judged(&system, &first);
    }
    let before = system.snapshot_version();
    wait_until("a newer snapshot", Duration::from_secs(15), || system.snapshot_version() > before);
    assert!(share_of(&system, "b", 20) >= 0.9, "users thank b");
}

fn nameless_conversation() {
    let system = plan().start();
    let prompt = "name a river that flows through three capitals, please";
    let first = turn(&system, &[prompt], None);
    turn(&system, &[prompt, "The Danube", "That is wrong, it flows through four."], None);
    assert!(judged(&system, &first) < 0.0, "a complaint in the next turn");
}

fn sticky_conversation() {
    let system = plan()
        .set("sticky", json!({"enabled": true, "margin": 2.0}))
        .set("policy", json!({"epsilon": 1.0, "cost_weight": 0.0}))
        .start();
    for i in 0..8 {
        let session = format!("sticky-{i}");
        let first = model_of(&turn(&system, &[PROMPTS[i % 4]], Some(&session)));
        for next in PROMPTS {
            let now = turn(&system, &[PROMPTS[i % 4], "an answer", next], Some(&session));
            assert_eq!(model_of(&now), first, "conversation {i} stays");
        }
    }
    let models: std::collections::BTreeSet<String> =
        (0..20).map(|i| model_of(&turn(&system, &["hello"], Some(&format!("other-{i}"))))).collect();
    assert_eq!(models.len(), 2, "others are free to go elsewhere");
}

fn asked_again() {
    let system = plan().start();
    let session = Some("again");
    let first = turn(&system, &["tell me a joke about bandits"], session);
    turn(&system, &["tell me a joke about bandits"], session);
    assert!(judged(&system, &first) < 0.0, "the same prompt again");
}
