//! `GET /v1/router_replay` and the explanation; the small endpoints.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{House, LARGE, SMALL, record, records};

#[tokio::test]
async fn the_list_is_newest_first_filtered_and_paged() {
    let house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&records(0..30)).await;
    let ids = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = http.get("/v1/router_replay?limit=20").await.json();
    assert_eq!(ids(&first)[..2], [record(29).id, record(28).id]);
    let rest = http.get(&format!("/v1/router_replay?limit=20&before={}", first["next"])).await.json();
    assert_eq!((ids(&rest).len(), &rest["next"]), (10, &Value::Null));
    let large = http.get("/v1/router_replay?model=large").await.json();
    assert!(large["items"].as_array().unwrap().iter().all(|i| i["route"] == LARGE));
    assert_eq!(ids(&large).len(), 10);
    let both = http.get("/v1/router_replay?model=large&session=s1&decision=default").await.json();
    let expected: Vec<_> =
        (0..30u64).rev().filter(|n| n.is_multiple_of(3) && n % 4 == 1).map(|n| record(n).id).collect();
    assert_eq!(ids(&both), expected);
    assert_eq!(ids(&http.get("/v1/router_replay?decision=other").await.json()).len(), 0);
    for bad in ["limit=0", "limit=5000", "limit=x", "colour=red"] {
        let answer = http.get(&format!("/v1/router_replay?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(!answer.message().is_empty());
    }
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_explanation_names_the_chosen_route_and_why() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let mut asked = record(1);
    asked.signals.code = 0.9;
    http.ingest(&[asked.clone()]).await;
    let told = http.get(&format!("/v1/router_replay/{}", asked.id)).await.json();
    assert_eq!(told["explanation"]["chosen"], SMALL);
    let sentences = told["explanation"]["sentences"].to_string();
    assert!(sentences.contains(SMALL) && sentences.contains("highest utility"), "{sentences}");
    assert!(told["explanation"]["signals"].to_string().contains("code"));
    let chosen = &told["explanation"]["candidates"][0];
    assert_eq!(
        (&chosen["chosen"], &chosen["best"], &chosen["utility"]),
        (&json!(true), &json!(true), &json!(0.5))
    );
    let record: dragoman_core::replay::ReplayRecord = serde_json::from_value(told["record"].clone()).unwrap();
    assert_eq!(record, asked, "the record comes back as it was sent");
    let missing = http.get("/v1/router_replay/none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.message().contains("there is no replay none"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_small_endpoints_answer() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let models = http.get("/v1/models").await.json();
    assert_eq!(models[1], json!({"name": "large", "price": {"input": 3.0, "output": 15.0}}));
    for path in ["/healthz", "/readyz", "/openapi.json", "/", "/metrics"] {
        let mut answer = http.get(path).await;
        for _ in 0..100 {
            if answer.status == StatusCode::OK {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            answer = http.get(path).await;
        }
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    let nowhere = http.get("/v2").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert!(nowhere.message().contains("openapi.json"));
    let wrong = http.send(Method::DELETE, "/v1/replays", &[], vec![]).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.message().contains("another method"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_second_sidecar_on_the_same_data_is_refused() {
    let house = House::new();
    let (server, _) = house.serve().await;
    let why = dragoman_sidecar::Server::start(house.config()).await.err().unwrap().to_string();
    assert!(why.contains("another dragoman already serves"), "{why}");
    server.shutdown().await.unwrap();
    house.serve().await.0.shutdown().await.unwrap();
}
