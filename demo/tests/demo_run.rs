//! The whole demo against a stand-in gateway: it must pass with a gateway that learns, and only then.

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path as Segment, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use dragoman_demo::driver::{self, Client, Ledger, Options};
use dragoman_demo::prompts::Prompts;
use dragoman_demo::sim::{SimConfig, SimLlm};
use serde_json::{Value, json};

const MODELS: [&str; 3] = ["small", "coder", "large"];

/// A gateway and sidecar in one. It knows the categories, which the real router must find out, so that
/// learning is a table of means.
struct Gateway {
    sim: SimLlm,
    prompts: Prompts,
    learns: bool,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    requests: usize,
    /// Category and model of each replay.
    replays: HashMap<String, (String, usize)>,
    /// Sum and count of ratings by category and model.
    ratings: HashMap<(String, usize), (f64, f64)>,
}

impl Book {
    /// Every third request explores while it is young; the rest takes the best mean.
    fn choose(&self, category: &str, learns: bool) -> usize {
        if !learns || self.requests < 300 && self.requests.is_multiple_of(2) || self.requests < 120 {
            return (self.requests * 7 / 4) % MODELS.len();
        }
        let mean = |model: usize| {
            let (sum, count) = self.ratings.get(&(category.to_owned(), model)).copied().unwrap_or_default();
            sum / f64::max(count, 1.0)
        };
        (0..MODELS.len()).max_by(|a, b| mean(*a).total_cmp(&mean(*b))).unwrap_or(0)
    }
}

async fn complete(State(gateway): State<Arc<Gateway>>, Json(mut body): Json<Value>) -> Response {
    let prompt = body["messages"][0]["content"].as_str().unwrap();
    let category = gateway.prompts.categorise(prompt).unwrap().to_owned();
    let (model, id) = {
        let mut book = gateway.book.lock().unwrap();
        book.requests += 1;
        let model = book.choose(&category, gateway.learns);
        let id = format!("replay-{}", book.requests);
        book.replays.insert(id.clone(), (category, model));
        (MODELS[model], id)
    };
    assert_eq!(body["model"], "auto");
    body["model"] = json!(model);
    let url = gateway.sim.url(model) + "/v1/chat/completions";
    let response = Client::default().send(Method::POST, &url, &[], Some(&body)).await.unwrap();
    let body = Body::new(response.into_body());
    ([("x-vsr-replay-id", id), ("x-vsr-selected-model", model.to_owned())], body).into_response()
}

async fn rate(State(gateway): State<Arc<Gateway>>, Segment(id): Segment<String>, body: Bytes) -> StatusCode {
    let feedback: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(feedback["correct"], feedback["helpful"]);
    let mut book = gateway.book.lock().unwrap();
    let Some(replay) = book.replays.get(&id).cloned() else { return StatusCode::NOT_FOUND };
    let (sum, count) = book.ratings.entry(replay).or_default();
    *sum += feedback["rating"].as_f64().unwrap();
    *count += 1.0;
    StatusCode::ACCEPTED
}

/// Runs the demo with the shipped prompts and models, without their latencies.
async fn run(learns: bool) -> Ledger {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = SimConfig::load(&home.join("sim.yaml")).unwrap();
    for model in &mut config.models {
        model.listen.set_port(0);
        model.latency_ms = Default::default();
    }
    let prices: Vec<_> = config
        .models
        .iter()
        .map(|model| json!({"name": model.name, "price": model.price, "more": 1}))
        .collect();
    let prompts = Prompts::load(&home.join("prompts.jsonl")).unwrap();
    let sim = SimLlm::start(config).unwrap();
    let gateway = Gateway { sim, prompts: prompts.clone(), learns, book: Mutex::default() };
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/router_replay/{id}/feedback", post(rate))
        .route("/v1/models", get(async move || Json(prices.clone())))
        .with_state(Arc::new(gateway));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options = options(&url);
    driver::run(&options, &prompts, |_| ()).await.unwrap()
}

fn options(url: &str) -> Options {
    let pause = Duration::ZERO;
    Options { gateway: url.into(), sidecar: url.into(), requests: 600, concurrency: 4, pause, seed: 7 }
}

#[tokio::test]
async fn a_gateway_that_learns_passes() {
    let ledger = run(true).await;
    let verdict = ledger.verdict();
    assert!(verdict.learned, "{}\n{}", verdict.sentence, driver::table(&ledger));
    assert_eq!((ledger.done(), ledger.failed(), ledger.counts.ratings_lost), (600, 0, 0));
    assert!((320..400).contains(&ledger.counts.rated), "{} rated", ledger.counts.rated);
    assert!(ledger.now(Some("math")).share("large").unwrap() > 0.9, "{}", driver::table(&ledger));
}

#[tokio::test]
async fn a_gateway_that_does_not_learn_fails() {
    let ledger = run(false).await;
    let verdict = ledger.verdict();
    assert!(!verdict.learned, "{}", verdict.sentence);
    assert!(verdict.sentence.starts_with("Not learned:"), "{}", verdict.sentence);
}

#[tokio::test]
async fn a_missing_sidecar_is_named_before_anything_is_sent() {
    let prompts = Prompts::parse("{\"category\":\"a\",\"prompt\":\"x\"}").unwrap();
    let error = driver::run(&options("http://127.0.0.1:1"), &prompts, |_| ()).await.unwrap_err();
    assert!(error.contains("http://127.0.0.1:1/v1/models cannot be reached"), "{error}");
}

#[test]
fn the_shipped_prompts_are_well_formed_and_many() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts.jsonl");
    let prompts = Prompts::load(&path).unwrap(); // refuses repetitions
    for category in ["code", "math", "chat", "facts"] {
        let count = prompts.all().iter().filter(|prompt| prompt.category == category).count();
        assert!(count >= 75, "{category} has {count} prompts");
    }
    assert!(
        prompts.all().iter().all(|prompt| ["code", "math", "chat", "facts"].contains(&&*prompt.category))
    );
}
