//! `dragoman report`: its numbers, and HTML that a parser takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use dragoman_core::replay::ReplayRecord;
use html5gum::{Token, Tokenizer};
use serde_json::json;

use crate::common::{House, record};

/// Elements that have no end.
const VOID: [&str; 2] = ["meta", "br"];

fn dragoman_report(house: &House, since: &str) -> (PathBuf, PathBuf) {
    house.write();
    let out = house.dir.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    let command = command.args(["report", "--since", since, "--config"]).arg(house.file());
    let output = command.arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<PathBuf> = String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect();
    assert!(files.iter().all(|file| file.starts_with(&out)));
    (files[0].clone(), files[1].clone())
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

/// Three days of records, with a prompt that must not be told.
fn asked(n: u64) -> ReplayRecord {
    let mut record = record(n);
    record.time_ms += n / 40 * 86_400_000;
    record.model = if n.is_multiple_of(4) { "large <b>&\"".into() } else { "small".into() };
    record.explored = n.is_multiple_of(10);
    record.response.latency_ms = Some(100.0 + n as f64);
    record.prompt = Some("a very secret prompt".into());
    record
}

/// Every text of the document, once all of its elements are closed in order.
fn texts(html: &str) -> String {
    let (mut open, mut texts) = (Vec::new(), String::new());
    for token in Tokenizer::new(html) {
        match token.unwrap() {
            Token::Error(e) => panic!("not HTML: {e:?}"),
            Token::StartTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                if !VOID.contains(&name.as_str()) && !tag.self_closing {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => {
                assert_eq!(open.pop().as_deref().map(str::as_bytes), Some(tag.name.as_slice()))
            }
            Token::String(text) => texts += &String::from_utf8_lossy(&text),
            Token::Comment(_) | Token::Doctype(_) => {}
        }
    }
    assert_eq!(open, Vec::<String>::new(), "everything is closed");
    texts
}

#[tokio::test]
async fn a_report_tells_the_days_in_both_forms_while_the_sidecar_runs() {
    let mut house = House::new();
    house.document["privacy"] = json!({"store_prompts": "full"});
    let (server, http) = house.serve().await;
    http.ingest(&(0..120).map(asked).collect::<Vec<_>>()).await;
    http.rate(&record(3).id, json!({"rating": 5})).await;
    http.learned(&server.public_key, 120).await;
    let (markdown, html) = dragoman_report(&house, "2023-11-01T00:00:00Z");
    server.shutdown().await.unwrap();

    let markdown = read(&markdown);
    assert!(markdown.starts_with("# Dragoman, 2023-11-01 00:00 to "), "{markdown}");
    assert!(markdown.contains("120 requests, 120 of them answered (80.0 % with success)"), "{markdown}");
    assert!(markdown.contains("10.0 % explored"), "{markdown}");
    for day in ["2023-11-14", "2023-11-15", "2023-11-16"] {
        assert!(markdown.contains(&format!("| {day} | 40 | ")), "{day} in {markdown}");
    }
    for heading in ["## Days", "## Models", "## Decisions", "## Changes", "## Snapshots"] {
        assert!(markdown.contains(heading), "{heading} in {markdown}");
    }
    let html = read(&html);
    assert!(!html.contains("secret") && !markdown.contains("secret"));
    assert!(!html.contains("http://") && !html.contains("https://"), "it needs nothing else");
    let texts = texts(&html);
    for part in ["Mean reward", "Share of each model", "Success rate", "Latency", "large <b>&\"", "40"] {
        assert!(texts.contains(part), "{part} in {texts}");
    }
    assert_eq!(html.matches("<svg ").count(), 8);
}

#[tokio::test]
async fn a_log_without_requests_has_a_report_too_and_none_is_a_sentence() {
    let house = House::new();
    house.write();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    let output = command.args(["report", "--config"]).arg(house.file()).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no replay log yet"));
    let (server, _) = house.serve().await;
    server.shutdown().await.unwrap();
    let (markdown, html) = dragoman_report(&house, "1h");
    assert!(read(&markdown).contains("No requests."));
    texts(&read(&html));
}

#[tokio::test]
async fn a_report_that_was_missed_while_nothing_ran_is_written_once_at_the_start() {
    let house = House::new();
    let (server, _) = house.serve().await;
    server.shutdown().await.unwrap();
    let log = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let reports = house.dir.path().join("data/reports");
    assert!(!reports.exists(), "the first start has missed none");
    log.execute("UPDATE facts SET value = '1700000000000' WHERE name = 'last_report_ms'", []).unwrap();
    let (server, http) = house.serve().await;
    for _ in 0..200 {
        if std::fs::read_dir(&reports).is_ok_and(|files| files.count() == 2) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let files = std::fs::read_dir(&reports).unwrap();
    files.for_each(|file| assert!(read(&file.unwrap().path()).contains("No requests.")));
    let list = http.get("/v1/snapshots").await.json();
    let tags: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|s| s["tag"].as_str().unwrap()).collect();
    assert_eq!(tags.iter().filter(|tag| tag.starts_with("weekly-")).count(), 1, "{tags:?}");
    server.shutdown().await.unwrap();
}
