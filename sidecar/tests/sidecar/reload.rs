//! A changed `dragoman.yaml` is taken over while everything runs.

use std::process::{Command, Stdio};
use std::time::Duration;

use axum::http::StatusCode;
use dragoman_core::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::common::{Answer, House, Http, LARGE, SMALL, distance, record, records};

/// A house whose file is only read when asked.
fn unwatched() -> House {
    let mut house = House::new();
    house.document["reload"] = json!({"watch_seconds": 0});
    house
}

async fn reload(house: &House, http: &Http) -> Answer {
    house.write();
    http.post("/v1/reload", &json!(null)).await
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.meta.routing.routes.iter().map(|r| r.name.as_str()).collect()
}

async fn metrics(http: &Http) -> String {
    String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap()
}

fn audit(house: &House) -> Vec<Value> {
    let log = rusqlite::Connection::open(house.dir.path().join("data/replay.db")).unwrap();
    let mut rows = log.prepare("SELECT detail FROM audit WHERE what = 'reload' ORDER BY seq").unwrap();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|detail| serde_json::from_str(&detail.unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_new_price_is_in_the_next_snapshot_at_once_and_in_the_audit() {
    let mut house = unwatched();
    let (server, http) = house.serve_file().await;
    http.ingest(&records(0..10)).await;
    let before = http.learned(&server.public_key, 10).await;
    house.document["models"]["large"]["price"]["output"] = json!(1.5);
    let answer = reload(&house, &http).await;
    assert_eq!(answer.status, StatusCode::OK);
    let told = answer.json();
    let change = json!([{"path": "models.large.price.output", "before": 15, "after": 1.5}]);
    assert_eq!((&told["changes"], &told["waiting"]), (&change, &json!([])));
    // No wait: the answer comes after the snapshot.
    let after = Snapshot::decode(&http.get("/v1/snapshot").await.body, &server.public_key).unwrap();
    assert_eq!(json!(after.meta.version), told["version"]);
    assert_eq!(after.meta.routing.models[1].price.output, 1.5);
    assert_eq!(distance(&before, &after), 0.0, "a price is not learned, so nothing learned changes");
    assert_eq!(http.get("/v1/models").await.json()[1]["price"]["output"], 1.5);
    assert_eq!(http.get("/v1/snapshots").await.json()["items"][0]["tag"], "reload");
    assert_eq!(audit(&house), [change]);
    assert!(metrics(&http).await.contains("dragoman_reloads_total 1"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bad_document_is_refused_with_all_its_errors_and_changes_nothing() {
    let mut house = unwatched();
    let (server, http) = house.serve_file().await;
    let before = http.learned(&server.public_key, 0).await;
    let good = house.document.clone();
    house.document["models"]["large"]["price"]["output"] = json!(-1);
    house.document["colour"] = json!("red");
    let answer = reload(&house, &http).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer.json()["error"]["errors"].to_string();
    assert!(errors.contains("models.large.price.output: must be") && errors.contains("colour: is not known"));
    std::fs::write(house.file(), "models: [").unwrap();
    let answer = http.post("/v1/reload", &json!(null)).await;
    assert!(answer.json()["error"]["errors"][0].as_str().unwrap().contains("line "), "{:?}", answer.body);
    assert_eq!(http.learned(&server.public_key, 0).await, before);
    assert_eq!(http.get("/v1/models").await.json()[1]["price"]["output"], 15.0);
    house.document = good;
    let answer = reload(&house, &http).await.json();
    assert_eq!(answer["changes"], json!([]), "the old one stayed in use all the time");
    let metrics = metrics(&http).await;
    assert!(metrics.contains("dragoman_reload_failures_total 2"), "{metrics}");
    assert!(metrics.contains("dragoman_reloads_total 0"), "{metrics}");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_removed_route_is_no_candidate_and_keeps_what_was_learned() {
    let mut house = unwatched();
    let (server, http) = house.serve_file().await;
    http.ingest(&records(0..30)).await;
    let before = http.learned(&server.public_key, 30).await;
    assert_eq!((names(&before), before.meta.observations.clone()), (vec![SMALL, LARGE], vec![20, 10]));
    let large = house.document["models"].as_object_mut().unwrap().remove("large").unwrap();
    assert_eq!(reload(&house, &http).await.status, StatusCode::OK);
    let without = http.learned(&server.public_key, 20).await;
    assert_eq!(names(&without), [SMALL]);
    // What was decided before still comes in, and counts.
    http.ingest(&[record(33)]).await;
    house.document["models"]["large"] = large;
    let answer = reload(&house, &http).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "a fixed Envoy cannot be told of it");
    assert!(answer.json().to_string().contains("set envoy.live"), "{:?}", answer.body);
    server.shutdown().await.unwrap();
    let (server, http) = house.serve_file().await;
    assert_eq!(http.learned(&server.public_key, 31).await.meta.observations, [20, 11]);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn with_a_live_folder_a_model_comes_with_the_prior_and_comes_back_with_its_knowledge() {
    let mut house = unwatched();
    let live = house.dir.path().join("live");
    house.document["envoy"] = json!({"live": live});
    // Nobody listens at Envoy's admin address: the files are all there is to do.
    house.document["listen"]["admin"] = json!("127.0.0.1:1");
    let (server, http) = house.serve_file().await;
    let clusters = || -> Vec<String> {
        let text = std::fs::read_to_string(live.join("clusters.json")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        file["resources"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    let routes = || std::fs::read_to_string(live.join("routes.json")).unwrap();
    assert_eq!(clusters(), ["small", "large"]);
    http.ingest(&records(0..30)).await;
    house.document["models"]["new"] = json!({"endpoint": "http://127.0.0.1:3", "price": {"input": 1}});
    assert_eq!(reload(&house, &http).await.status, StatusCode::OK);
    assert_eq!(clusters(), ["small", "large", "new"]);
    assert!(routes().contains("\"new\""));
    let snapshot = http.learned(&server.public_key, 30).await;
    assert_eq!(snapshot.meta.observations, [20, 10, 0]);
    let large = house.document["models"].as_object_mut().unwrap().remove("large").unwrap();
    assert_eq!(reload(&house, &http).await.status, StatusCode::OK);
    assert_eq!(clusters(), ["small", "new", "large"], "requests under way may still go there");
    assert!(routes().contains("\"large\""));
    house.document["models"]["large"] = large;
    assert_eq!(reload(&house, &http).await.status, StatusCode::OK);
    assert_eq!(http.learned(&server.public_key, 30).await.meta.observations, [20, 0, 10]);
    server.shutdown().await.unwrap();
    // A model that left while the sidecar was away keeps its cluster at first, too.
    house.document["models"].as_object_mut().unwrap().remove("large").unwrap();
    let (server, _) = house.serve_file().await;
    assert_eq!(clusters(), ["small", "new", "large"]);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_only_a_restart_changes_is_named_and_the_rest_is_taken_over() {
    let mut house = unwatched();
    let (server, http) = house.serve_file().await;
    house.document["listen"]["sidecar"] = json!("127.0.0.1:9");
    house.document["default_model"] = json!("large");
    house.document["policy"] = json!({"alpha": 0.7});
    let answer = reload(&house, &http).await;
    assert_eq!(answer.status, StatusCode::OK);
    let waiting = answer.json()["waiting"].to_string();
    assert!(waiting.contains("listen.sidecar changed: restart the sidecar"), "{waiting}");
    assert!(waiting.contains("default_model changed: restart the sidecar, render"), "{waiting}");
    let snapshot = http.learned(&server.public_key, 0).await;
    assert_eq!((snapshot.meta.routing.policy.alpha, snapshot.meta.routing.default_model), (0.7, 0));
    house.document["models"].as_object_mut().unwrap().remove("small");
    let answer = reload(&house, &http).await;
    assert!(answer.json().to_string().contains("must stay among the models"), "{:?}", answer.body);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn other_weights_and_another_learner_are_as_if_they_had_been_there_from_the_start() {
    let mut house = unwatched();
    let (server, http) = house.serve_file().await;
    http.ingest(&records(0..10)).await;
    http.rate(&record(1).id, json!({"rating": 5})).await;
    house.document["reward"] = json!({"quality": 0.1, "satisfaction": 0.9});
    house.document["learner"] = json!({"publish_ms": 50, "forgetting": 0.95, "ridge": 2, "dimensions": 48});
    assert_eq!(reload(&house, &http).await.status, StatusCode::OK);
    http.ingest(&records(10..20)).await;
    let live = http.learned(&server.public_key, 20).await;
    let one = http.get(&format!("/v1/router_replay/{}", record(1).id)).await.json();
    assert_eq!(http.get("/v1/router_replay").await.json()["items"][18]["reward"], one["reward"]["total"]);
    server.shutdown().await.unwrap();
    let (server, http) = house.serve_file().await;
    let version = live.meta.version;
    let again = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    assert_eq!(distance(&live, &again), 0.0);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_budget_is_paced_as_if_it_had_been_there_from_the_start() {
    let mut house = unwatched();
    let (server, http) = house.serve_file().await;
    http.ingest(&records(0..40)).await;
    let before = http.learned(&server.public_key, 40).await;
    assert_eq!(before.meta.pace.cost_weight, 10.0, "the configured weight of a dollar");
    house.document["policy"] = json!({"budget": 1e-6});
    assert_eq!(reload(&house, &http).await.status, StatusCode::OK);
    let after = http.snapshot(&server.public_key, |s| s.meta.routing.policy.budget.is_some()).await;
    assert!(after.meta.pace.cost_weight > 10.0, "hardly anything may be spent: {:?}", after.meta.pace);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_changed_file_is_noticed() {
    let mut house = House::new();
    let (server, http) = house.serve_file().await;
    house.document["models"]["large"]["price"]["output"] = json!(1.5);
    house.write();
    http.snapshot(&server.public_key, |s| s.meta.routing.models[1].price.output == 1.5).await;
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_reload() {
    let (server, http) = House::new().serve().await;
    assert_eq!(http.post("/v1/reload", &json!(null)).await.status, StatusCode::CONFLICT);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn sighup_reads_the_file_again() {
    let mut house = unwatched();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    house.document["listen"]["sidecar"] = json!(format!("127.0.0.1:{port}"));
    house.write();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_dragoman"));
    let mut serve =
        serve.args(["serve", "--config"]).arg(house.file()).stderr(Stdio::null()).spawn().unwrap();
    let http = Http::new(format!("http://127.0.0.1:{port}"));
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.document["models"]["large"]["price"]["output"] = json!(1.5);
    house.write();
    let signal = |name: &str| Command::new("kill").args([name, &serve.id().to_string()]).status().unwrap();
    assert!(signal("-HUP").success());
    let mut tries = 0..400;
    while http.get("/v1/models").await.json()[1]["price"]["output"] != 1.5 {
        assert!(tries.next().is_some(), "SIGHUP was not heard");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(signal("-TERM").success());
    assert!(serve.wait().unwrap().success(), "it still ends in order");
}
