//! Old records go, what was learned from them stays.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dragoman_core::replay::{ReplayRecord, replay_id};
use serde_json::json;

use crate::common::{House, parameters, record, records};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Record `n` as if it came now.
fn young(n: u64) -> ReplayRecord {
    let time_ms = now_ms();
    ReplayRecord { time_ms, id: replay_id(time_ms, [n as u8; 10]), ..record(n) }
}

fn rows(house: &House, sql: &str) -> i64 {
    let conn = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    conn.query_row(sql, [], |r| r.get(0)).unwrap()
}

/// Records that stay, but those whose silence was only noticed when later ones came: they stay for that.
const LEFT: &str = "SELECT count(*) FROM replays WHERE id NOT IN (SELECT replay_id FROM evidence)";

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..400 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} never happened");
}

#[tokio::test]
async fn old_records_go_and_what_they_taught_stays() {
    let mut house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&records(0..3000)).await;
    // What their conversations show is written when the sidecar stops: soon after them, as it would have been.
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let (late, dead) = (record(7).id, record(8).id);
    let recent: Vec<_> = (0..20).map(young).collect();
    http.ingest(&recent).await;
    // Given now, to a record of years ago: it must be learned again with it.
    http.rate(&late, json!({"rating": 1})).await;
    let before = http.learned(&server.public_key, 3020).await;
    server.shutdown().await.unwrap();
    let size = || std::fs::metadata(house.dir.path().join("data/replay.db")).unwrap().len();
    let full = size();

    house.document["retention"] = json!({"days": 7});
    let (server, http) = house.serve().await;
    until("deleting", || rows(&house, LEFT) == 21).await;
    let answer = http.rate(&dead, json!({"rating": 2})).await;
    assert_eq!(answer.status.as_u16(), 410, "{}", answer.message());
    assert!(answer.message().contains("retention.days"), "{}", answer.message());
    assert_eq!(http.get(&format!("/v1/router_replay/{dead}")).await.status.as_u16(), 404);
    let later = http.rate(&late, json!({"helpful": false})).await;
    assert_eq!(later.json()["status"], "said_before", "its record is kept for the feedback that came late");
    http.rate(&recent[3].id, json!({"rating": 4})).await;
    server.shutdown().await.unwrap();
    assert!(size() * 4 < full, "{} of {full} bytes are left", size());

    let (server, http) = house.serve().await;
    let again = http.learned(&server.public_key, 3020).await;
    assert_eq!(again.meta.observations, before.meta.observations);
    let mut streamed = Vec::new();
    for _ in 0..2 {
        // A rebuild from the checkpoint and what is left is what the stream had.
        let answer = http.learned(&server.public_key, 3020).await;
        streamed.push(parameters(&answer));
    }
    assert_eq!(streamed[0], streamed[1]);
    assert_eq!(rows(&house, "SELECT count(*) FROM audit WHERE what = 'retention'"), 1);
    assert_eq!(rows(&house, "SELECT count(*) FROM audit WHERE what = 'rebuild_mismatch'"), 0);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_after_the_old_end_was_cut_off_gives_the_same_bits() {
    let mut house = House::new();
    house.document["retention"] = json!({"days": 7});
    let (server, http) = house.serve().await;
    http.ingest(&records(0..200)).await;
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    http.ingest(&(0..20).map(young).collect::<Vec<_>>()).await;
    server.shutdown().await.unwrap();
    let (server, _) = house.serve().await;
    until("deleting", || rows(&house, LEFT) == 20).await;
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    http.ingest(&(20..40).map(young).collect::<Vec<_>>()).await;
    let streamed = http.learned(&server.public_key, 240).await;
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let version = streamed.meta.version;
    let rebuilt = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    assert_eq!(parameters(&rebuilt), parameters(&streamed));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn rows_of_the_audit_stay_a_year_and_their_going_is_a_row_itself() {
    let mut house = House::new();
    house.document["retention"] = json!({"days": 7});
    let (server, _http) = house.serve().await;
    server.shutdown().await.unwrap();
    let day = 86_400_000;
    let conn = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let write = "INSERT INTO audit(seq, time_ms, what, detail) VALUES (?1, ?2, 'told', '')";
    for (n, days) in [500, 367, 364, 8].into_iter().enumerate() {
        // Before what the start has written.
        conn.execute(write, [n as i64 - 10, now_ms() as i64 - days * day]).unwrap();
    }
    let (server, _http) = house.serve().await;
    until("forgetting", || rows(&house, "SELECT count(*) FROM audit WHERE what = 'told'") == 2).await;
    let note =
        "SELECT count(*) FROM audit WHERE what = 'retention' AND detail LIKE 'deleted 2 rows of the audit%'";
    assert_eq!(rows(&house, note), 1);
    server.shutdown().await.unwrap();
}
