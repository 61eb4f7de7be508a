//! `POST /v1/router_replay/{id}/feedback`.

use axum::http::{Method, StatusCode};
use dragoman_core::learner::{Learner, Observation};
use dragoman_core::replay::completion_tokens;
use dragoman_core::reward::{Evidence, Feedback};
use dragoman_core::snapshot::Snapshot;
use dragoman_sidecar::learn::{State, projection};
use serde_json::json;

use crate::common::{House, distance, parameters, record, records};

/// What a learner gives that knew every answer's final reward at once.
fn told_at_once(house: &House, count: u64, liked: &[u64]) -> Snapshot {
    let mut config = house.config();
    let base = projection::load(house.dir.path()).unwrap();
    let new = || Learner::new(config.learner, base.clone(), None);
    // Only the rewards differ, so the learner itself is told: State learns without feedback.
    let (mut state, mut learner) = (State::new(config.reward, new()), new());
    for n in 0..count {
        let record = record(n);
        let said = Feedback { rating: Some(5), ..Default::default() };
        let said = Evidence::Feedback { said, weight: 1.0 };
        let said: &[Evidence] = if liked.contains(&n) { &[said] } else { &[] };
        learner.observe(&Observation {
            route: record.route.as_ref().unwrap(),
            context: &record.context.clone().unwrap().into(),
            reward: state.reward(&record, said).total,
            completion_tokens: completion_tokens(&record.response),
        });
        state.observe(&record);
    }
    config.routing.routes.truncate(2);
    learner.snapshot(config.routing, 1, 1).unwrap()
}

#[tokio::test]
async fn feedback_teaches_what_knowing_it_at_once_would_have_taught() {
    let house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&records(0..60)).await;
    let before = http.learned(&server.public_key, 60).await;
    for n in [3, 20, 59] {
        let answer = http.rate(&record(n).id, json!({"rating": 5})).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["reward"]["satisfaction"], 1.0);
    }
    let wanted = told_at_once(&house, 60, &[3, 20, 59]);
    let after = http.snapshot(&server.public_key, |s| distance(s, &wanted) < 1e-6).await;
    assert!(distance(&before, &after) > 1e-3, "it changed something");
    let stored = http.get(&format!("/v1/router_replay/{}", record(3).id)).await.json();
    assert_eq!(stored["feedback"][0]["rating"], 5);
    assert_eq!(stored["reward"]["satisfaction"], 1.0);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn feedback_that_comes_before_its_record_waits_for_it_over_a_restart() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let answer = http.rate(&record(1).id, json!({"rating": 5})).await;
    assert_eq!((answer.status, answer.json()["status"].clone()), (StatusCode::ACCEPTED, json!("waiting")));
    server.shutdown().await.unwrap();

    let (server, http) = house.serve().await;
    http.ingest(&records(0..2)).await;
    let stored = http.get(&format!("/v1/router_replay/{}", record(1).id)).await.json();
    assert_eq!(stored["reward"]["satisfaction"], 1.0);
    let wanted = told_at_once(&house, 2, &[1]);
    let learned = http.snapshot(&server.public_key, |s| distance(s, &wanted) < 1e-6).await;
    server.shutdown().await.unwrap();

    let (server, http) = house.serve().await;
    let again = http.learned(&server.public_key, 2).await;
    assert_eq!(parameters(&again), parameters(&learned), "rebuilt to the bit");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_raters_first_word_counts_and_raters_are_averaged() {
    let house = House::new();
    let (server, http) = house.serve().await;
    http.ingest(&records(1..2)).await;
    let path = format!("/v1/router_replay/{}/feedback", record(1).id);
    let rate = async |rater: &str, rating: u8| {
        let body = json!({"rating": rating}).to_string().into_bytes();
        http.send(Method::POST, &path, &[("x-dragoman-rater", rater)], body).await.json()
    };
    assert_eq!(rate("a", 5).await["reward"]["satisfaction"], 1.0);
    let again = rate("a", 1).await;
    assert_eq!((&again["status"], &again["reward"]["satisfaction"]), (&json!("said_before"), &json!(1.0)));
    let mean = rate("b", 3).await;
    assert_eq!((&mean["status"], &mean["reward"]["satisfaction"]), (&json!("counted"), &json!(0.5)));
    let listed = http.get("/v1/router_replay").await.json();
    assert_eq!(listed["items"][0]["reward"], mean["reward"]["total"]);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn bad_feedback_is_answered_in_a_sentence() {
    let house = House::new();
    let (server, http) = house.serve().await;
    let answer = http.rate(&record(1).id, json!({"rating": 9})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.message(), "rating must be a whole number from 1 to 5, not 9");
    let answer = http.rate("not%20an%20id", json!({"rating": 5})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.message().starts_with("a replay id has"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn feedback_on_an_escalated_answer_goes_to_the_route_that_answered() {
    let mut house = House::new();
    house.document["learner"]["sharing"] = json!(0);
    let (server, http) = house.serve().await;
    let mut escalated = record(1);
    escalated.escalated_to = Some(dragoman_core::replay::Escalated {
        model: "large".into(),
        route: Some(crate::common::LARGE.into()),
    });
    http.ingest(&[escalated.clone()]).await;
    let first = http.learned(&server.public_key, 2).await;
    assert_eq!(first.meta.observations, [1, 1], "both attempts are observations");
    http.rate(&escalated.id, json!({"correct": false})).await;
    let version = first.meta.version;
    let second = http.snapshot(&server.public_key, |s| s.meta.version > version).await;
    let (before, after) = (parameters(&first), parameters(&second));
    assert_eq!(before[0].0, after[0].0, "the route that failed keeps its reward");
    assert_ne!(before[1].0, after[1].0);
    let stored = http.get(&format!("/v1/router_replay/{}", escalated.id)).await.json();
    let sentences = stored["explanation"]["sentences"].to_string();
    assert!(sentences.contains("`small` failed, so `large` answered"), "{sentences}");
    server.shutdown().await.unwrap();
}
