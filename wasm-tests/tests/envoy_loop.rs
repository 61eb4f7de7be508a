//! The whole circle on real parts: Envoy with the shipped filter, the sidecar's binary, stand-in models. What the
//! users say changes where the next requests go; killed parts come back without losing what they acknowledged.

use std::process::Command;
use std::time::{Duration, Instant};

use dragoman_demo::sim::{ModelConfig, Price};
use dragoman_wasm_tests::system::*;
use serde_json::{Value, json};

fn main() {
    in_turn([
        ("what_users_say_changes_where_the_next_requests_go", the_circle_turns),
        ("what_the_next_turn_says_of_an_answer_is_heard_without_a_rating", next_turn),
        ("a_killed_sidecar_delays_nothing_and_loses_nothing_it_acknowledged", killed_sidecar),
        ("a_hung_sidecar_delays_nothing_and_gets_everything_later", hung_sidecar),
        ("envoy_takes_the_ready_configuration_with_tls_and_keys", ready_configuration),
        ("after_a_restart_of_envoy_the_parameters_are_back_within_a_second", restarted_envoy),
        ("an_escalated_request_is_explained_with_both_attempts", escalated_record),
    ]);
}

fn plan() -> Plan {
    let model =
        |name, output| ModelConfig { price: Price { input: 0.1, output }, ..ModelConfig::named(name) };
    Plan::default()
        .models(vec![model("a", 0.4), model("b", 0.5)])
        .set("learner", json!({"publish_ms": 50}))
        .set("replay", json!({"flush_ms": 20}))
        .set("policy", json!({"kind": "linucb", "alpha": 0.2, "epsilon": 0.0, "cost_weight": 0.0}))
        .with_sidecar()
}

fn replay_id(reply: &Reply) -> String {
    reply.header("x-vsr-replay-id").expect("every decided answer has a replay id").to_owned()
}

fn selected(reply: &Reply) -> String {
    reply.header("x-vsr-selected-model").unwrap_or_default().to_owned()
}

fn rate(system: &System, id: &str, good: bool) -> Reply {
    let body = json!({"rating": if good { 5 } else { 1 }, "correct": good});
    post_json(system.listen.sidecar, &format!("/v1/router_replay/{id}/feedback"), &body)
}

fn explained(system: &System, id: &str) -> Value {
    let path = format!("/v1/router_replay/{id}");
    wait_until("the record is in the log", Duration::from_secs(10), || {
        get(system.listen.sidecar, &path).is_some_and(|r| r.status == 200)
    });
    get(system.listen.sidecar, &path).expect("the sidecar answers").json()
}

/// Asks, rates `good_model` good and all others bad, until the router has had time to learn it.
fn teach(system: &System, good_model: &str, rounds: usize) {
    let prompts =
        ["write a sorting function", "how are you today?", "what is 12 times 7?", "who was Ada Lovelace?"];
    for i in 0..rounds {
        let reply = chat(system.listen.gateway, prompts[i % prompts.len()], &[]);
        let before = system.snapshot_version();
        let feedback = rate(system, &replay_id(&reply), selected(&reply) == good_model);
        assert!(matches!(feedback.status, 200 | 202), "{}", feedback.text());
        wait_until("a newer snapshot", Duration::from_secs(15), || system.snapshot_version() > before);
    }
}

fn share_of(system: &System, model: &str, requests: usize) -> f64 {
    let hits = (0..requests)
        .filter(|i| selected(&chat(system.listen.gateway, &format!("tell me about topic {i}"), &[])) == model)
        .count();
    hits as f64 / requests as f64
}

fn the_circle_turns() {
    // An answer counts half after seven more, so that users need not change their minds a thousand times.
    let system = plan().set("learner", json!({"publish_ms": 50, "forgetting": 0.9})).start();
    teach(&system, "b", 24);
    assert!(share_of(&system, "b", 20) >= 0.9, "users like b");
    // The users change their minds: what was learned is revised, not only added to.
    teach(&system, "a", 60);
    assert!(share_of(&system, "a", 20) >= 0.9, "users like a now");

    let reply = chat(system.listen.gateway, "why was this route chosen?", &[]);
    let id = replay_id(&reply);
    let record = explained(&system, &id);
    let text = record.to_string();
    for part in ["explanation", "utility", "bonus", "propensity", "candidates"] {
        assert!(text.contains(part), "the explanation has {part}: {text}");
    }
    assert!(!text.contains("why was this route chosen"), "prompts are not stored unless asked for");
}

fn next_turn() {
    let system = plan().start();
    wait_until("parameters with the secret", Duration::from_secs(10), || system.snapshot_version() > 0);
    let say = |messages: &Value, headers: &[(&str, &str)]| {
        let body = json!({"model": "auto", "messages": messages});
        let sent =
            send(system.listen.gateway, "POST", "/v1/chat/completions", headers, body.to_string().as_bytes());
        replay_id(&sent.expect("an answer"))
    };
    let (question, answer) = (said("user", "What is the capital of Peru?"), said("assistant", "Quito."));
    let complaint = said("user", "That's wrong.");
    let heard = |id: &str, what: &str, by: &str| {
        wait_until(what, Duration::from_secs(10), || {
            let evidence = explained(&system, id)["evidence"][0].clone();
            // Of a follow-up its kind tells more.
            let named = evidence.get("kind").unwrap_or(&evidence["source"]);
            (named, &evidence["by"]) == (&json!(what), &json!(by))
        });
    };
    let first = say(&json!([question]), &[]);
    let second = say(&json!([question, answer, complaint]), &[]);
    heard(&first, "wrong_answer", &second);
    let again = say(&json!([question, answer, complaint]), &[]);
    heard(&second, "regenerated", &again);
    // A session needs no history.
    let named = [("x-session-id", "s1")];
    let first = say(&json!([question]), &named);
    let second = say(&json!([complaint]), &named);
    heard(&first, "complaint", &second);
    assert!(explained(&system, &first)["reward"]["satisfaction"].as_f64() < Some(0.0));
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

fn killed_sidecar() {
    let mut system = plan().start();
    teach(&system, "b", 12);
    let ids: Vec<String> =
        (0..20).map(|_| replay_id(&chat(system.listen.gateway, "an acknowledged request", &[]))).collect();
    for id in &ids {
        explained(&system, id);
    }
    let route_before = selected(&chat(system.listen.gateway, "hello", &[]));

    system.kill_sidecar();
    served_without_waiting(&system, &route_before);
    let while_away = replay_id(&chat(system.listen.gateway, "asked while the sidecar was away", &[]));

    system.start_sidecar();
    for id in &ids {
        assert_eq!(explained(&system, id)["id"], json!(id), "what was acknowledged is there");
    }
    explained(&system, &while_away);
    let before = system.snapshot_version();
    teach(&system, "b", 2);
    assert!(system.snapshot_version() > before, "and it goes on learning");
}

fn served_without_waiting(system: &System, model: &str) {
    let slowest = (0..30)
        .map(|_| {
            let start = Instant::now();
            let reply = chat(system.listen.gateway, "hello", &[]);
            assert_eq!((reply.status, selected(&reply).as_str()), (200, model));
            start.elapsed()
        })
        .max();
    assert!(slowest < Some(Duration::from_secs(1)), "no request waits for the sidecar: {slowest:?}");
}

fn hung_sidecar() {
    let mut system = plan().start();
    teach(&system, "b", 12);
    system.hang_sidecar();
    served_without_waiting(&system, "b");
    let id = replay_id(&chat(system.listen.gateway, "asked while the sidecar hung", &[]));
    system.wake_sidecar();
    assert_eq!(explained(&system, &id)["id"], json!(id));
    assert!(system.stop_sidecar(), "SIGTERM ends it in order");
    system.start_sidecar();
    assert_eq!(explained(&system, &id)["id"], json!(id), "and the log has it");
}

/// Envoy itself says that what `dragoman render envoy` writes for real providers is valid.
fn ready_configuration() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let config = folder.path().join("dragoman.yaml");
    let ready = std::fs::read_to_string(workspace("envoy/dragoman.yaml")).expect("the ready configuration");
    std::fs::write(&config, format!("{ready}data_dir: {:?}\n", folder.path())).expect("written");
    let bootstrap = folder.path().join("envoy.yaml");
    let rendered = Command::new(binary("dragoman"))
        .args(["render", "envoy", "--config"])
        .arg(&config)
        .arg("--wasm")
        .arg(dragoman_wasm_tests::wasm_path())
        .arg("--out")
        .arg(&bootstrap)
        .status();
    assert!(rendered.is_ok_and(|s| s.success()), "`dragoman render envoy`");
    let output = Command::new(envoy())
        .args(["--mode", "validate", "-c"])
        .arg(&bootstrap)
        .envs([("OPENAI_API_KEY", "x"), ("ANTHROPIC_API_KEY", "y")])
        .output()
        .expect("Envoy runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("OK"), "{said}");
}

fn restarted_envoy() {
    let mut system = plan().start();
    teach(&system, "b", 12);
    let route = selected(&chat(system.listen.gateway, "hello", &[]));
    assert_eq!(route, "b");
    system.kill_envoy();
    let ready = system.start_envoy();
    wait_until("the parameters are back", Duration::from_secs(1), || system.snapshot_version() > 0);
    println!("parameters back {:?} after Envoy was ready", ready.elapsed());
    assert_eq!(selected(&chat(system.listen.gateway, "hello", &[])), route);
}

fn escalated_record() {
    let system = plan().start();
    teach(&system, "b", 12);
    let failing = dragoman_demo::sim::Control { error_rate: Some(1.0), ..Default::default() };
    system.sims.control("b", &failing).expect("b fails from now on");
    let reply = chat(system.listen.gateway, "hello", &[]);
    assert_eq!((reply.status, selected(&reply)), (200, "a".to_owned()));
    let record = explained(&system, &replay_id(&reply)).to_string();
    assert!(record.contains("escalated_to"), "{record}");
    // The failures teach: soon b is not even tried.
    for i in 0..40 {
        chat(system.listen.gateway, &format!("tell me about topic {i}"), &[]);
    }
    std::thread::sleep(Duration::from_millis(300));
    let asked = |system: &System| system.hits()[1].1;
    let before = asked(&system);
    share_of(&system, "a", 20);
    assert!(asked(&system) - before <= 4, "b is tried {} times in 20", asked(&system) - before);
}
