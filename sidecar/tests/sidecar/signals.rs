//! What signals of an embedding are read with, on its way into the snapshot; and `dragoman signals`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::House;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/dragoman-small");

fn rule(candidates: &[&str]) -> Value {
    json!({"embeddings": [{"name": "password", "candidates": candidates, "threshold": 0.8}]})
}

#[tokio::test]
async fn candidates_travel_in_the_snapshot_and_follow_a_reload() {
    let mut house = House::new();
    house.document["encoder"]["path"] = json!(SHIPPED);
    house.document["signals"] = rule(&["I forgot my password"]);
    let (server, http) = house.serve_file().await;
    let first = http.snapshot(&server.public_key, |s| !s.signals().candidates.is_empty()).await;
    assert_eq!(first.signals().candidates[0].len(), 384);
    house.document["signals"] = rule(&["reset my password", "I forgot my password"]);
    house.write();
    server.reloads().unwrap().ask().await.unwrap();
    let second = http.snapshot(&server.public_key, |s| s.signals().candidates.len() == 2).await;
    assert_eq!(second.signals().candidates[1], first.signals().candidates[0]);
    let rules = second.signal_rules().unwrap();
    let found = rules.extract("x", &Default::default(), Some(&second.signals().candidates[1]));
    assert_eq!((found.embeddings[0].rule.as_str(), found.embeddings[0].candidate), ("password", 1));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_endpoint_is_asked_for_the_candidates() {
    let mut other = House::new();
    other.document["encoder"] = json!({"mode": "sidecar", "path": SHIPPED, "threads": 1});
    let (encoder, _) = other.serve().await;
    let mut house = House::new();
    let endpoint = json!({"url": format!("http://{}", encoder.addr), "model": "any"});
    house.document["encoder"] = json!({"mode": "endpoint", "path": SHIPPED, "endpoint": endpoint});
    house.document["signals"] = rule(&["I forgot my password"]);
    let (server, http) = house.serve().await;
    let asked = http.snapshot(&server.public_key, |s| !s.signals().candidates.is_empty()).await;
    assert_eq!(asked.signals().candidates.len(), 1);
    server.shutdown().await.unwrap();
    encoder.shutdown().await.unwrap();
    house.document["signals"] = rule(&["a text that nobody has embedded"]);
    let why = dragoman_sidecar::Server::start(house.config()).await.err().unwrap().to_string();
    assert!(
        why.starts_with("signals.embeddings: http://127.0.0.1:") && why.contains("cannot be reached"),
        "{why}"
    );
}

/// What `dragoman signals` prints.
fn show(args: &[&str], input: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    command.arg("signals").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn signals_of_each_text_are_one_json_object_a_line() {
    let texts = ["Solve the equation 3x + 4 = 10.", "Debug this Python function: `print(`"];
    let told = show(&["--json", "--encoder", SHIPPED, texts[0], "-"], &format!("{}\n\n", texts[1]));
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["has_math"], &lines[0]["has_code"]), (&json!(true), &json!(false)));
    assert_eq!(lines[0]["domain"].as_object().unwrap().len(), 14);
    assert_eq!((&lines[1]["mode"]["type"], &lines[1]["has_code"]), (&json!("debug"), &json!(true)));
    assert_eq!(
        (&lines[2]["language"], &lines[2]["complexity"]["level"]),
        (&json!("unknown"), &json!("trivial"))
    );
    for line in &lines {
        assert!(line["feedback"]["type"].is_string() && line["feedback"]["score"].is_number(), "{line}");
        assert!(line["fact_check"].is_number() && line["explanation"].is_array(), "{line}");
    }
    assert!(!told.contains("3x + 4"), "the text is not repeated");
    assert!(show(&["--json", "--echo", "--encoder", SHIPPED, texts[0]], "").contains("3x + 4"));
}

#[test]
fn signals_go_by_the_rules_of_a_configuration() {
    let mut house = House::new();
    house.document["encoder"]["path"] = json!(SHIPPED);
    house.document["signals"] = rule(&["I forgot my password"]);
    house.document["signals"]["keywords"] = json!([{"name": "login", "all": ["password", "forgot"]}]);
    house.write();
    let file = house.file().display().to_string();
    let told = show(&["--config", &file, "I forgot my password", "hello"], "");
    assert!(told.contains("keyword rule `login` matched `password`, `forgot` (score 0.75)"), "{told}");
    assert!(
        told.contains("embedding rule `password` fired, nearest to its candidate 1 (score 1.00)"),
        "{told}"
    );
    assert_eq!(told.matches("fired").count(), 1, "{told}");
}
