//! A canary on a real Envoy: who sees it, and how fast it is gone. The first system has snapshots made by hand, the
//! second the sidecar's own.

use std::collections::BTreeSet;
use std::time::Duration;

use dragoman_core::guard::split::Split;
use dragoman_core::snapshot::Canary;
use dragoman_demo::sim::ModelConfig;
use dragoman_wasm_tests::system::*;
use serde_json::json;

fn main() {
    in_turn([
        ("sessions_are_split_by_their_share_and_a_canary_goes_with_the_next_request", split_by_hand),
        ("the_sidecar_tries_what_it_learned_and_a_rollback_acts_on_the_next_request", tried_by_the_sidecar),
    ]);
}

/// Four standard deviations of 400 sessions at 10 % are 6 %.
const SESSIONS: std::ops::Range<u32> = 0..400;

fn plan() -> Plan {
    Plan::default().models(vec![ModelConfig::named("a"), ModelConfig::named("b")]).workers(2)
}

fn ask(system: &System, session: &str) -> Reply {
    let reply = chat(system.listen.gateway, "hello", &[("x-session-id", session)]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

/// The sessions that model `b` answers.
fn on_b(system: &System) -> BTreeSet<u32> {
    let b = |n: &u32| ask(system, &format!("session {n}")).header("x-vsr-selected-model") == Some("b");
    SESSIONS.filter(b).collect()
}

fn split_by_hand() {
    let system = plan().start();
    let routing = system.config().routing;
    let snapshot =
        |version, model, then| favouring(&routing, version, &Favour { model, then, dimensions: 4 });
    let push = |version, share: u8| {
        let split = Split { share, salt: [5, 6] };
        let canary = Canary { split, snapshot: Box::new(snapshot(2, "b", "a")) };
        let live =
            snapshot(version, "a", "b").with_canary((share > 0).then_some(canary)).expect("a snapshot");
        let reply = system.push(&sign(&system, &live));
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    push(3, 10);
    let first = on_b(&system);
    assert!((16..=64).contains(&first.len()), "{} of 400 sessions at 10 %", first.len());
    assert_eq!(on_b(&system), first, "a session keeps its arm, whichever worker answers");
    push(4, 25);
    let wider = on_b(&system);
    assert!((65..=135).contains(&wider.len()), "{} of 400 sessions at 25 %", wider.len());
    assert!(wider.is_superset(&first), "who was in stays in");
    push(5, 0);
    assert_eq!(on_b(&system), BTreeSet::new(), "from the very next request on");
}

fn tried_by_the_sidecar() {
    let system = plan()
        .set("learner", json!({"publish_ms": 50}))
        .set("replay", json!({"flush_ms": 20}))
        .set("guard", json!({"canary": "all"}))
        .with_sidecar()
        .start();
    let guard = || get(system.listen.sidecar, "/v1/guard").expect("the sidecar answers").json();
    let requests = |arm: &str| guard()["trial"]["evidence"]["requests"][arm].as_u64().unwrap_or(0);
    (0..20).for_each(|n| drop(ask(&system, &format!("before {n}"))));
    wait_until("a canary", Duration::from_secs(15), || guard()["trial"].is_object());
    let on_trial = guard()["trial"]["version"].clone();
    wait_until("it is in Envoy", Duration::from_secs(15), || {
        let version = system.snapshot_version();
        let list = get(system.listen.sidecar, "/v1/snapshots").expect("the sidecar answers").json();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().any(|i| i["tag"] == "canary" && i["version"].as_u64() <= Some(version))
    });
    SESSIONS.for_each(|n| drop(ask(&system, &format!("session {n}"))));
    wait_until("all records are in", Duration::from_secs(15), || {
        requests("live") + requests("canary") >= 400
    });
    let canary = requests("canary");
    assert!((16..=64).contains(&canary), "{canary} of 400 sessions at 10 %");
    assert_eq!(guard()["trial"]["version"], on_trial, "two arms that are alike: undecided");

    let back = post_json(system.listen.sidecar, "/v1/rollback", &json!({}));
    assert_eq!(back.status, 200, "{}", back.text());
    let version = back.json()["version"].as_u64().expect("a version");
    wait_until("the rollback is in Envoy", Duration::from_secs(5), || system.snapshot_version() == version);
    let id = ask(&system, "after").header("x-vsr-replay-id").expect("an id").to_owned();
    let path = format!("/v1/router_replay/{id}");
    wait_until("its record", Duration::from_secs(10), || {
        get(system.listen.sidecar, &path).is_some_and(|r| r.status == 200)
    });
    let record = get(system.listen.sidecar, &path).expect("the sidecar answers").json();
    let told = record.to_string();
    assert!(
        told.contains(&format!("\"snapshot_version\":{version}")) && told.contains("\"arm\":\"live\""),
        "{told}"
    );
    (0..20).for_each(|n| drop(ask(&system, &format!("later {n}"))));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(system.snapshot_version(), version, "nothing else is published");
}
