//! What is written down about people, on real parts: a string that stands in prompts is looked for in every file, log,
//! metric, statistic, snapshot and answer of the sidecar. And a locked sidecar, which knows its filters.

use std::path::Path;
use std::time::Duration;

use dragoman_demo::sim::ModelConfig;
use dragoman_wasm_tests::system::*;
use serde_json::{Value, json};

fn main() {
    in_turn([
        ("without_asking_a_prompt_is_found_nowhere", || searched("none")),
        ("a_hashed_prompt_is_found_nowhere", || searched("hash")),
        ("a_redacted_prompt_is_in_the_log_alone_and_without_its_address", || searched("redacted")),
        ("a_full_prompt_is_in_the_log_alone", || searched("full")),
        ("a_locked_sidecar_knows_its_filters_and_its_admin", locked),
    ]);
}

fn plan() -> Plan {
    Plan::default()
        .models(["a", "b"].map(ModelConfig::named).to_vec())
        .set("learner", json!({"publish_ms": 50}))
        .set("replay", json!({"flush_ms": 20}))
        .with_sidecar()
}

const CANARY: &str = "canary-7Qx3f9";
const ADDRESS: &str = "me@canary-7Qx3f9.com";
const PATH: &str = "/v1/chat/completions";

/// Every file below `dir` with its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![(path.display().to_string(), std::fs::read(&path).expect("a file"))],
        })
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Sends the canary wherever a user can put a text, good requests and bad ones; gives the replay id of the good one.
fn sing(system: &System) -> String {
    let gateway = system.listen.gateway;
    let body = json!({"model": "auto", "messages": [
        {"role": "system", "content": format!("You are {CANARY}.")},
        {"role": "user", "content": format!("Earlier, {CANARY} asked.")},
        {"role": "assistant", "content": format!("{CANARY}, yes.")},
        {"role": "user", "content": format!("Tell {CANARY} at {ADDRESS} a story.")},
    ]});
    let reply = post(gateway, PATH, body.to_string().as_bytes());
    let id = reply.header("x-vsr-replay-id").expect("a replay id").to_owned();
    for bad in [
        format!("{{\"model\": \"auto\", \"messages\": \"{CANARY}\"}}"),
        format!("{{\"{CANARY}\": {CANARY}"),
        format!(
            "{{\"model\": \"auto\", \"stream\": \"{CANARY}\", \"messages\": [{{\"role\": \"{CANARY}\"}}]}}"
        ),
        format!("{{\"model\": \"auto\", \"{CANARY}\": 1, \"messages\": []}}"),
    ] {
        post(gateway, PATH, bad.as_bytes());
    }
    let record = format!("/v1/router_replay/{id}");
    wait_until("the record is in the log", Duration::from_secs(10), || {
        get(system.listen.sidecar, &record).is_some_and(|r| r.status == 200)
    });
    let feedback =
        |said: &Value| post_json(system.listen.sidecar, &format!("{record}/feedback"), said).status;
    assert_eq!(feedback(&json!({"rating": 5, "comment": CANARY})), 400, "there is no comment to keep");
    let before = system.snapshot_version();
    assert_eq!(feedback(&json!({"rating": 5})), 200);
    wait_until("a newer snapshot", Duration::from_secs(10), || system.snapshot_version() > before);
    id
}

fn searched(mode: &str) {
    let mut system = plan().set("privacy", json!({"store_prompts": mode})).start();
    wait_until("the mode is in use", Duration::from_secs(10), || system.snapshot_version() > 0);
    let id = sing(&system);
    let (sidecar, admin) = (system.listen.sidecar, system.listen.admin);
    let shown =
        get(sidecar, &format!("/v1/router_replay/{id}")).expect("the record").json()["record"]["prompt"]
            .clone();
    let asked = [
        (sidecar, "/"),
        (sidecar, "/metrics"),
        (sidecar, "/v1/router_replay"),
        (sidecar, "/v1/snapshot"),
        (sidecar, "/v1/snapshots"),
        (admin, "/stats"),
        (admin, "/stats/prometheus"),
        (admin, "/config_dump"),
        (admin, "/clusters"),
    ];
    let mut places: Vec<(String, Vec<u8>)> = asked
        .iter()
        .map(|(at, path)| ((*path).to_owned(), get(*at, path).expect("an answer").body))
        .collect();
    places.extend(["envoy", "sidecar"].map(|part| (format!("{part}.log"), system.log(part).into_bytes())));
    places.extend(files(&system.data_dir()));
    assert!(system.stop_sidecar());
    places.extend(files(&system.data_dir()));
    let found = |text| -> Vec<&str> {
        places.iter().filter(|(_, bytes)| holds(bytes, text)).map(|(place, _)| place.as_str()).collect()
    };
    let with_canary = found(CANARY);
    assert_eq!(with_canary.is_empty(), matches!(mode, "none" | "hash"), "{with_canary:?}");
    assert!(with_canary.iter().all(|place| place.contains("replay.db")), "{with_canary:?}");
    assert_eq!(found(ADDRESS).is_empty(), mode != "full", "{:?}", found(ADDRESS));
    match mode {
        "none" => assert!(shown.is_null(), "{shown}"),
        "hash" => assert!(shown.as_str().is_some_and(|s| s.starts_with("hash:")), "{shown}"),
        "redacted" => assert_eq!(shown, json!(format!("Tell {CANARY} at [email] a story."))),
        _ => assert_eq!(shown, json!(format!("Tell {CANARY} at {ADDRESS} a story."))),
    }
    assert!(
        places.iter().any(|(place, bytes)| place == "envoy.log" && !bytes.is_empty()),
        "there is a log to search"
    );
}

/// Cargo sets this for its tests, and children have it too: its value stands in for a token.
const TOKEN: (&str, &str) = ("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"));

fn locked() {
    let mut system = plan().set("access", json!({"token": {"env": TOKEN.0}})).start();
    let bearer = format!("Bearer {}", TOKEN.1);
    let asked = |path: &str, headers: &[(&str, &str)]| {
        send(system.listen.sidecar, "GET", path, headers, b"").expect("the sidecar answers")
    };
    let reply = chat(system.listen.gateway, "Hello", &[]);
    let record = format!("/v1/router_replay/{}", reply.header("x-vsr-replay-id").expect("a replay id"));
    wait_until("the filter's record is in the log", Duration::from_secs(10), || {
        asked(&record, &[("authorization", &bearer)]).status == 200
    });
    assert_eq!(asked(&record, &[]).status, 401);
    assert_eq!(asked("/v1/snapshot", &[]).status, 401);
    // A new Envoy has nothing in shared data: only the sidecar can give it the snapshot.
    system.kill_envoy();
    system.start_envoy();
    wait_until("the filter has fetched the snapshot", Duration::from_secs(10), || {
        system.snapshot_version() > 0
    });
}
