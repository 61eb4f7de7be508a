//! The binary, killed and stopped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use dragoman_core::snapshot::{SigningKey, VerifyingKey};
use serde_json::json;

use crate::common::{House, Http, parameters, record, records};

/// `dragoman serve` as a process.
struct Process {
    child: Child,
    http: Http,
    key: VerifyingKey,
}

impl Process {
    fn start(house: &House) -> Self {
        let config = house.dir.path().join("dragoman.yaml");
        std::fs::write(&config, serde_yaml_ng::to_string(&house.document).unwrap()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_dragoman"))
            .args(["serve", "--config"])
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.by_ref().find(|l| l.contains("listening on")).expect("it listens");
        let address = line.split("listening on ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        // The pipe is read to its end, or the process would hang on a full one.
        std::thread::spawn(move || lines.for_each(drop));
        let key: SigningKey = dragoman_sidecar::key::load_or_create(&house.dir.path().join("data")).unwrap();
        Self { child, http: Http::new(address), key: key.verifying_key() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn after_kill_9_everything_acknowledged_is_there_and_the_parameters_are_the_same_bits() {
    let house = House::new();
    let process = Process::start(&house);
    for batch in 0..15 {
        process.http.ingest(&records(batch * 10..batch * 10 + 10)).await;
        process.http.rate(&record(batch * 6).id, json!({"rating": 1 + batch % 5})).await;
    }
    process.http.ingest(&records(150..151)).await;
    let learned = process.http.learned(&process.key, 151).await;
    // Acknowledged, and perhaps not yet learned from when the process dies.
    process.http.ingest(&records(151..160)).await;
    let before = process.http.get("/v1/router_replay?limit=1000").await.json();
    process.kill();

    let process = Process::start(&house);
    let after = process.http.get("/v1/router_replay?limit=1000").await.json();
    assert_eq!(before, after, "records, order and rewards");
    let version = learned.meta.version;
    let again = process.http.learned(&process.key, 160).await;
    assert!(again.meta.version > version);
    process.kill();

    // A third start from the same log gives the same bits as the second; the second had lived through a kill.
    let process = Process::start(&house);
    let third = process.http.snapshot(&process.key, |s| s.meta.version > again.meta.version).await;
    assert_eq!(parameters(&third), parameters(&again));
    process.kill();
}

#[tokio::test]
async fn streamed_parameters_are_those_of_a_rebuild() {
    let house = House::new();
    let process = Process::start(&house);
    for n in 0..40 {
        process.http.ingest(&records(n * 2..n * 2 + 2)).await;
        process.http.rate(&record(n).id, json!({"helpful": n.is_multiple_of(2)})).await;
    }
    process.http.ingest(&records(80..81)).await;
    let streamed = process.http.learned(&process.key, 81).await;
    process.kill();
    let process = Process::start(&house);
    let version = streamed.meta.version;
    let rebuilt = process.http.snapshot(&process.key, |s| s.meta.version > version).await;
    assert_eq!(parameters(&streamed), parameters(&rebuilt));
    process.kill();
}

#[tokio::test]
async fn sigterm_ends_in_order() {
    let house = House::new();
    let mut process = Process::start(&house);
    process.http.ingest(&records(0..10)).await;
    let pid = process.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = process.child.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
    let wal = house.dir.path().join("data/replay.db-wal");
    assert!(std::fs::metadata(wal).map_or(0, |m| m.len()) == 0, "the log is one file");
}

#[tokio::test]
async fn a_write_that_fails_keeps_nothing_of_its_group_and_may_be_sent_again() {
    let house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&records(0..5)).await;
    http.learned(&server.public_key, 5).await;
    let beside = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let fail = "CREATE TRIGGER full BEFORE INSERT ON replays WHEN NEW.id LIKE '%0707070707' BEGIN
                SELECT RAISE(ROLLBACK, 'the disk is full'); END";
    beside.execute_batch(fail).unwrap();
    let refused = http.post("/v1/replays", &json!(records(5..10))).await;
    assert_eq!((refused.status.as_u16(), refused.headers["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(refused.message().contains("send it again"));
    beside.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(http.ingest(&records(5..10)).await, json!({"accepted": 5, "duplicates": 0, "rejected": []}));
    let learned = http.learned(&server.public_key, 10).await;
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let rebuilt = http.snapshot(&server.public_key, |s| s.meta.version > learned.meta.version).await;
    assert_eq!(parameters(&rebuilt), parameters(&learned));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn where_stream_and_log_differ_the_log_is_right() {
    let mut house = House::new();
    house.document["learner"]["batch_seconds"] = json!(5);
    let (server, http) = house.serve().await;
    http.ingest(&records(1..20)).await;
    let streamed = http.learned(&server.public_key, 19).await;
    let beside = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let change =
        "UPDATE replays SET record = replace(record, '\"status\":200', '\"status\":404') WHERE seq = 1";
    assert_eq!(beside.execute(change, []).unwrap(), 1);
    let version = streamed.meta.version;
    let taken = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    assert_ne!(parameters(&taken), parameters(&streamed));
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("dragoman_rebuild_mismatches_total 1"), "{metrics}");
    let what: String =
        beside.query_row("SELECT what FROM audit ORDER BY seq DESC LIMIT 1", [], |r| r.get(0)).unwrap();
    assert_eq!(what, "rebuild_mismatch");
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let rebuilt = http.snapshot(&server.public_key, |s| s.meta.version > taken.meta.version).await;
    assert_eq!(parameters(&rebuilt), parameters(&taken));
    server.shutdown().await.unwrap();
}
