//! A snapshot on trial beside the one in use: who sees it, and that it goes as fast as it came.

use dragoman_core::guard::split::Split;
use dragoman_core::snapshot::{Canary, Snapshot};
use dragoman_wasm_tests::mock::{Host, Plan, Stream, chat, chat_headers, key, push, route};

const SALT: [u64; 2] = [11, 12];

/// `strong` in use as version `version`, `coder` on trial as version 6 for this share of the sessions.
fn on_trial(version: u64, share: u8) -> Vec<u8> {
    let canary = canary(Plan::favouring(6, "coder").snapshot(), share);
    let live = Plan::favouring(version, "strong").snapshot();
    live.with_canary(Some(canary)).unwrap().encode(&key()).unwrap()
}

fn canary(snapshot: Snapshot, share: u8) -> Canary {
    Canary { split: Split { share, salt: SALT }, snapshot: Box::new(snapshot) }
}

/// A deciding plugin and a push listener on one VM.
fn served(blob: &[u8]) -> (Host, Host) {
    let host = Host::new().config(route()).configured();
    let listener = host.plugin(push());
    assert_eq!(listener.push(blob).0, 200);
    (host, listener)
}

fn ask_in(host: &Host, session: &str) -> Stream {
    let (mut stream, body) = (host.stream(), chat("Hello"));
    let length = body.len().to_string();
    let mut headers = chat_headers(&length).to_vec();
    headers.push(("x-session-id", session));
    stream.request_headers(&headers, false);
    stream.request_body(body, true);
    stream
}

fn cluster(stream: &Stream) -> String {
    stream.header("x-vsr-cluster").unwrap()
}

#[test]
fn sessions_are_split_by_their_share_and_keep_their_arm_on_every_worker() {
    let (host, listener) = served(&on_trial(7, 25));
    let other = Host::new().config(route()).beside(&host).seed(5).configured();
    let names: Vec<String> = (0..200).map(|n| format!("session {n}")).collect();
    let arms = |host: &Host| -> Vec<String> { names.iter().map(|n| cluster(&ask_in(host, n))).collect() };
    let first = arms(&host);
    let taken = |arms: &[String]| arms.iter().filter(|c| *c == "coder").count();
    assert!((30..=70).contains(&taken(&first)), "{} of 200 at 25 %", taken(&first));
    assert!(first.iter().all(|c| c == "coder" || c == "strong"));
    assert_eq!(arms(&other), first, "another worker, another turn: the same arm");
    assert_eq!(listener.push(&on_trial(8, 50)).0, 200);
    let wider = arms(&host);
    assert!(taken(&wider) > taken(&first));
    assert!(first.iter().zip(&wider).all(|(a, b)| a == "strong" || b == "coder"), "who was in stays in");
}

#[test]
fn requests_without_a_session_fall_by_chance() {
    let (host, _) = served(&on_trial(7, 50));
    let taken = (0..100).filter(|_| cluster(&host.ask("Hello")) == "coder").count();
    assert!((30..=70).contains(&taken), "{taken} of 100 at 50 %");
}

#[test]
fn a_record_says_which_arm_and_whose_version_decided() {
    let (host, _) = served(&on_trial(7, 50));
    for n in 0..8 {
        ask_in(&host, &format!("session {n}")).answered("Hi");
    }
    let records = host.flush();
    assert_eq!(records.len(), 8);
    for record in &records {
        let expected = if record.model == "coder" { ("canary", 6) } else { ("live", 7) };
        assert_eq!((record.arm.as_str(), record.snapshot_version), expected);
    }
    assert!(records.iter().any(|r| r.arm == "canary") && records.iter().any(|r| r.arm == "live"));
}

#[test]
fn a_withdrawn_canary_is_gone_with_the_very_next_request() {
    let (host, listener) = served(&on_trial(7, 100));
    assert_eq!(cluster(&ask_in(&host, "s")), "coder");
    assert_eq!(listener.push(&Plan::favouring(8, "strong").blob()).0, 200);
    assert_eq!(cluster(&ask_in(&host, "s")), "strong");
}

#[test]
fn a_canary_that_is_bad_makes_the_whole_push_bad() {
    let (host, listener) = served(&on_trial(7, 100));
    let mut unusable = Plan::favouring(6, "coder");
    unusable.meta.routing.keywords = vec![dragoman_core::signals::KeywordRule::default()];
    let live = Plan::favouring(8, "cheap").snapshot();
    let blob = live.with_canary(Some(canary(unusable.snapshot(), 10))).unwrap().encode(&key()).unwrap();
    let (status, answer) = listener.push(&blob);
    assert_eq!((status, answer["error"]["reason"].as_str()), (400, Some("malformed")), "{answer}");
    assert_eq!(cluster(&ask_in(&host, "s")), "coder", "the last good one stays, its canary too");
    let mut cut = on_trial(8, 10);
    let middle = cut.len() / 2;
    cut[middle] ^= 1;
    assert_eq!(listener.push(&cut).0, 403);
}
