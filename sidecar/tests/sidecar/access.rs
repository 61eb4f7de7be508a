//! Tokens, limits, and what is written down.

use axum::http::{Method, StatusCode};
use dragoman_core::config::Config;
use dragoman_core::snapshot::{SigningKey, Snapshot};
use dragoman_sidecar::{Server, key};
use serde_json::json;

use crate::common::{Answer, House, Http, record};

/// Cargo sets these for its tests; their values stand in for tokens.
const ADMIN: (&str, &str) = ("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"));
const APP: (&str, &str) = ("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));

fn locked() -> House {
    let mut house = House::new();
    house.document["access"] = json!({"token": {"env": ADMIN.0}, "feedback_token": {"env": APP.0}});
    house
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn asked(http: &Http, method: Method, path: &str, token: Option<&str>) -> Answer {
    let value = token.map(bearer).unwrap_or_default();
    let headers = [("authorization", value.as_str())];
    let headers = if token.is_some() { &headers[..] } else { &[] };
    let body = if method == Method::POST { json!([record(1)]).to_string() } else { String::new() };
    http.send(method, path, headers, body.into_bytes()).await
}

fn filter_token(house: &House) -> String {
    let key: SigningKey = key::load_or_create(&house.dir.path().join("data")).unwrap();
    key::filter_token(&key)
}

#[tokio::test]
async fn each_path_opens_to_its_own_token_and_the_admins() {
    let house = locked();
    let (server, http) = house.serve().await;
    let filter = filter_token(&house);
    let paths = [
        (Method::GET, "/healthz", "open"),
        (Method::GET, "/readyz", "open"),
        (Method::GET, "/openapi.json", "open"),
        (Method::GET, "/metrics", "open"),
        (Method::POST, "/v1/replays", "filter"),
        (Method::GET, "/v1/snapshot", "filter"),
        (Method::POST, "/v1/embeddings", "filter"),
        (Method::GET, "/", "admin"),
        (Method::GET, "/v1/router_replay", "admin"),
        (Method::GET, "/v1/router_replay/x", "admin"),
        (Method::GET, "/v1/snapshots", "admin"),
        (Method::GET, "/v1/models", "admin"),
        (Method::POST, "/v1/reload", "admin"),
    ];
    for (method, path, whose) in paths {
        let tokens = [
            ("nobody", None),
            ("filter", Some(filter.as_str())),
            ("app", Some(APP.1)),
            ("admin", Some(ADMIN.1)),
        ];
        for (who, token) in tokens {
            let answer = asked(&http, method.clone(), path, token).await;
            let may = whose == "open" || who == "admin" || who == whose;
            assert_eq!(answer.status != StatusCode::UNAUTHORIZED, may, "{who} at {path}: {}", answer.status);
            if !may {
                assert!(answer.message().contains("authorization: Bearer TOKEN"), "{}", answer.message());
                assert!(answer.headers.contains_key("www-authenticate"));
            }
        }
    }
    let metrics = String::from_utf8(http.get("/metrics").await.body.to_vec()).unwrap();
    let refused: u32 = metrics
        .lines()
        .find_map(|line| line.strip_prefix("dragoman_unauthorized_total "))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(refused, 3 * 2 + 6 * 3);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn feedback_needs_the_id_alone_or_a_token_as_well() {
    for (mode, without) in [("id", StatusCode::OK), ("token", StatusCode::UNAUTHORIZED)] {
        let mut house = locked();
        house.document["access"]["feedback"] = json!(mode);
        let (server, http) = house.serve().await;
        let sent = http
            .send(
                Method::POST,
                "/v1/replays",
                &[("authorization", &bearer(ADMIN.1))],
                json!([record(1)]).to_string().into(),
            )
            .await;
        assert_eq!(sent.status, StatusCode::OK);
        let path = format!("/v1/router_replay/{}/feedback", record(1).id);
        let rate = async |headers: &[(&str, &str)]| {
            http.send(Method::POST, &path, headers, b"{\"rating\": 5}".to_vec()).await
        };
        assert_eq!(rate(&[]).await.status, without, "{mode}");
        assert_eq!(
            rate(&[("authorization", "Bearer something else entirely")]).await.status,
            without,
            "{mode}"
        );
        let app = rate(&[("authorization", &bearer(APP.1)), ("x-dragoman-rater", "ann")]).await;
        assert_eq!((app.status, &app.json()["status"]), (StatusCode::OK, &json!("counted")), "{mode}");
        server.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_rater_that_says_too_much_waits_and_others_do_not() {
    let mut house = House::new();
    house.document["access"] = json!({"feedback_per_minute": 3});
    let (server, http) = house.serve().await;
    http.ingest(&(0..5).map(record).collect::<Vec<_>>()).await;
    let rate = async |n: u64, rater: &str| {
        let path = format!("/v1/router_replay/{}/feedback", record(n).id);
        http.send(Method::POST, &path, &[("x-dragoman-rater", rater)], b"{\"rating\": 1}".to_vec()).await
    };
    for n in 0..3 {
        assert_eq!(rate(n, "ann").await.status, StatusCode::OK);
    }
    let refused = rate(3, "ann").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((19..=20).contains(&wait), "{wait}");
    assert!(refused.message().contains("access.feedback_per_minute"));
    assert_eq!(rate(3, "ben").await.status, StatusCode::OK);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn beyond_loopback_there_is_a_token_or_no_start() {
    let mut house = House::new();
    house.document["listen"]["sidecar"] = json!("0.0.0.0:0");
    let why = Config::from_value(&house.document).unwrap_err().to_string();
    assert!(
        why.contains("access.token: is missing: listen.sidecar is 0.0.0.0:0, which others can reach"),
        "{why}"
    );
    house.document["access"] = json!({"token": {"env": "A_VARIABLE_THAT_NOBODY_SETS"}});
    let why = Server::start(house.config()).await.err().unwrap().to_string();
    assert!(why.contains("A_VARIABLE_THAT_NOBODY_SETS is not set"), "{why}");
    house.document["access"]["token"]["env"] = json!(ADMIN.0);
    let (server, http) = house.serve().await;
    assert_eq!(asked(&http, Method::GET, "/", None).await.status, StatusCode::UNAUTHORIZED);
    server.shutdown().await.unwrap();
}

const CANARY: &str = "canary-7Qx3f9";

/// Every byte of every file below `dir`.
fn files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![(path.display().to_string(), std::fs::read(&path).unwrap())],
        })
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_prompt_is_found_nowhere_but_where_storing_it_was_asked_for() {
    for mode in ["none", "hash", "redacted", "full"] {
        let mut house = House::new();
        house.document["privacy"] = json!({"store_prompts": mode});
        let (server, http) = house.serve().await;
        // As from a filter that knows another mode still: the sidecar is the second lock.
        let mut told = record(1);
        told.prompt = Some(format!("{CANARY} says me@{CANARY}.com"));
        http.ingest(&[told]).await;
        // What nobody understands is answered, and not written down either.
        http.post("/v1/replays", &json!([{"schema": 1, "id": CANARY, "prompt": CANARY}, CANARY])).await;
        http.rate(&record(1).id, json!({"rating": 5, "comment": CANARY})).await;
        http.rate(&record(1).id, json!({"rating": 5})).await;
        http.learned(&server.public_key, 1).await;
        let path = format!("/v1/router_replay/{}", record(1).id);
        let shown = http.get(&path).await.json()["record"]["prompt"].clone();
        let mut places = vec![];
        for path in ["/metrics", "/v1/router_replay", "/v1/snapshots", "/v1/snapshot", "/"] {
            places.push((path.to_owned(), http.get(path).await.body.to_vec()));
        }
        let data = house.dir.path().join("data");
        places.extend(files(&data));
        server.shutdown().await.unwrap();
        places.extend(files(&data));
        let found: Vec<&str> = places
            .iter()
            .filter(|(_, bytes)| holds(bytes, CANARY))
            .map(|(place, _)| place.as_str())
            .collect();
        let stored = matches!(mode, "redacted" | "full");
        assert_eq!(!found.is_empty(), stored, "{mode}: {found:?}");
        assert!(found.iter().all(|place| place.contains("replay.db")), "{mode}: {found:?}");
        let address = format!("me@{CANARY}.com");
        assert_eq!(places.iter().any(|(_, bytes)| holds(bytes, &address)), mode == "full", "{mode}");
        match mode {
            "none" => assert!(shown.is_null()),
            "hash" => assert!(shown.as_str().unwrap().starts_with("hash:"), "{shown}"),
            "redacted" => assert_eq!(shown, json!(format!("{CANARY} says [email]"))),
            _ => assert_eq!(shown, json!(format!("{CANARY} says {address}"))),
        }
    }
}

#[tokio::test]
async fn the_key_of_hashes_travels_only_where_hashes_are_made() {
    for (mode, keyed) in [("redacted", false), ("hash", true)] {
        let mut house = House::new();
        house.document["privacy"] = json!({"store_prompts": mode});
        let (server, http) = house.serve().await;
        http.ingest(&[record(1)]).await;
        let snapshot: Snapshot = http.learned(&server.public_key, 1).await;
        assert_eq!(snapshot.meta.routing.privacy.hash_key.is_some(), keyed, "{mode}");
        server.shutdown().await.unwrap();
    }
}
