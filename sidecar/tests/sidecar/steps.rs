//! Rollbacks, names and alerts: where people step in, and what they are told.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{House, parameters, records};
use crate::guard::{answers, house, listed, metrics, metrics_line, status, until};

fn dragoman(house: &House, addr: std::net::SocketAddr, args: &[&str]) -> Output {
    let mut document = house.document.clone();
    document["listen"]["sidecar"] = json!(addr.to_string());
    let file = house.dir.path().join("client.yaml");
    std::fs::write(&file, serde_yaml_ng::to_string(&document).unwrap()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_dragoman")).args(args).arg("--config").arg(file).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_publishes_the_old_parameters_at_once_and_nothing_else_until_resumed() {
    let house = house("changes");
    let (server, http) = house.serve().await;
    http.ingest(&records(0..10)).await;
    let old = http.learned(&server.public_key, 10).await;
    let name = dragoman(&house, server.addr, &["snapshots", "tag", &old.meta.version.to_string(), "good"]);
    assert!(name.status.success(), "{}", told(&name));
    http.ingest(&records(10..40)).await;
    let newer = http.learned(&server.public_key, 40).await;
    let back = dragoman(&house, server.addr, &["rollback", &old.meta.version.to_string()]);
    assert!(
        back.status.success() && told(&back).contains("nothing else is published until"),
        "{}",
        told(&back)
    );
    let served = http.snapshot(&server.public_key, |s| s.meta.version > newer.meta.version).await;
    assert_eq!(parameters(&served), parameters(&old));
    http.ingest(&records(40..50)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        http.learned(&server.public_key, 10).await.meta.version,
        served.meta.version,
        "learned, not published"
    );
    assert_eq!(status(&http).await["publishing"], "rolled_back");
    metrics_line(&metrics(&http).await, "dragoman_publishing_paused 1");
    let list = told(&dragoman(&house, server.addr, &["snapshots"]));
    assert!(list.lines().any(|l| l.contains("good")) && list.contains("rollback"), "{list}");
    let on = dragoman(&house, server.addr, &["rollback", "--resume"]);
    assert!(on.status.success(), "{}", told(&on));
    http.learned(&server.public_key, 50).await;
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_rollback_holds_over_a_restart() {
    let house = house("changes");
    let (server, http) = house.serve().await;
    let start = http.learned(&server.public_key, 0).await;
    http.ingest(&records(0..10)).await;
    http.learned(&server.public_key, 10).await;
    let answer = http.post("/v1/rollback", &json!({"version": start.meta.version})).await;
    assert_eq!((answer.status, answer.json()["from"].as_u64()), (StatusCode::OK, Some(start.meta.version)));
    http.learned(&server.public_key, 0).await;
    server.shutdown().await.unwrap();
    let (server, http) = house.serve().await;
    let before = answer.json()["version"].as_u64().unwrap();
    let again = http.snapshot(&server.public_key, |s| s.meta.version > before).await;
    assert_eq!(again.meta.observations.iter().sum::<u64>(), 0);
    assert_eq!(http.post("/v1/resume", &json!({})).await.json()["resumed"], true);
    http.learned(&server.public_key, 10).await;
    assert_eq!(http.post("/v1/resume", &json!({})).await.json()["resumed"], false);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_gone_back_to_is_refused_in_a_sentence() {
    let house = house("changes");
    let (server, http) = house.serve().await;
    http.learned(&server.public_key, 0).await;
    let none = http.post("/v1/rollback", &json!({"version": 99})).await;
    assert_eq!(none.status, StatusCode::CONFLICT);
    assert!(none.message().starts_with("snapshot 99 is not kept"), "{}", none.message());
    let bad = http.post("/v1/rollback", &json!({"versoin": 1})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let tag = http.post("/v1/snapshots/99/tag", &json!({"name": "x"})).await;
    assert_eq!(tag.status, StatusCode::NOT_FOUND);
    server.shutdown().await.unwrap();
    let away = dragoman(&House::new(), "127.0.0.1:9".parse().unwrap(), &["snapshots"]);
    assert!(
        !away.status.success() && told(&away).contains("no sidecar answers at 127.0.0.1:9"),
        "{}",
        told(&away)
    );
}

#[tokio::test]
async fn a_named_snapshot_is_kept_beyond_the_last_twenty() {
    let house = house("changes");
    let mut first = 0;
    for round in 0..23 {
        let (server, http) = house.serve().await;
        let version = http.learned(&server.public_key, 0).await.meta.version;
        if round == 0 {
            first = version;
            let named = http.post(&format!("/v1/snapshots/{version}/tag"), &json!({"name": "first"})).await;
            assert_eq!(named.status, StatusCode::OK, "{:?}", named.body);
        }
        if round == 22 {
            assert_eq!(listed(&http, first, "past").await["name"], "first");
        }
        server.shutdown().await.unwrap();
    }
}

/// A webhook that refuses the first call.
async fn webhook() -> (Arc<Mutex<Vec<Value>>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let posted: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (seen, first) = (posted.clone(), Mutex::new(true));
    let first = Arc::new(first);
    let take = async move |body: String| {
        if std::mem::take(&mut *first.lock().unwrap()) {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        seen.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        StatusCode::OK
    };
    let app = Router::new().route("/hook", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (posted, url)
}

#[tokio::test]
async fn a_drop_of_success_is_told_and_pauses_publishing_until_somebody_goes_on() {
    let (posted, url) = webhook().await;
    let mut house = house("changes");
    house.document["alerts"] = json!({"webhook": url});
    let (server, http) = house.serve().await;
    let hour = 3_600_000;
    let mut all = answers(0, 200, "live", 1, |r| r.time_ms -= hour * 3 / 2);
    all.extend(answers(200, 150, "live", 1, |r| r.response.status = if r.cost > 0.0 { 503 } else { 200 }));
    http.ingest(&all).await;
    until(&http, |s| s["publishing"] == "success_dropped").await;
    let text = metrics(&http).await;
    metrics_line(&text, "dragoman_alert{kind=\"success_drop\"} 1");
    metrics_line(&text, "dragoman_alerts_total{kind=\"success_drop\"} 1");
    for _ in 0..200 {
        if !posted.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let notices = posted.lock().unwrap().clone();
    assert_eq!((&notices[0]["kind"], &notices[0]["raised"]), (&json!("success_drop"), &json!(true)));
    assert!(notices[0]["message"].as_str().unwrap().contains("0.0 % of the answers"), "{notices:?}");
    assert_eq!((notices[0]["limit"].as_f64(), notices[0]["value"].as_f64()), (Some(0.05), Some(1.0)));
    let held = http.get("/v1/snapshot").await.headers["etag"].clone();
    http.ingest(&records(1000..1010)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(http.get("/v1/snapshot").await.headers["etag"], held);
    assert_eq!(http.post("/v1/resume", &json!({})).await.json()["resumed"], true);
    http.learned(&server.public_key, 360).await;
    server.shutdown().await.unwrap();
}
