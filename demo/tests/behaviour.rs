//! The simulator fails, counts, remembers and changes as it is told, and is the same every time.

mod support;

use std::net::TcpStream;
use std::path::Path;

use dragoman_demo::marker::Marker;
use dragoman_demo::sim::{Control, ModelConfig, SimConfig, SimLlm};
use serde_json::{Value, json};
use support::{chat, get, post, small};

async fn ask(sim: &SimLlm, model: &str, prompt: &str) -> Value {
    let mut body = chat(prompt);
    body["model"] = json!(model);
    post(&(sim.url(model) + "/v1/chat/completions"), &[], &body).await.json()
}

fn marker(body: &Value) -> Marker {
    Marker::read(body["choices"][0]["message"]["content"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_wrong_model_is_a_404_in_openais_words() {
    let sim = small(|_| ());
    let mut body = chat("hi");
    body["model"] = json!("other");
    let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &body).await;
    assert_eq!(heard.status, 404);
    assert_eq!(heard.json()["error"]["code"], "model_not_found");
    let heard = post(&(sim.url("small") + "/v1/messages"), &[], &body).await;
    assert_eq!((heard.status.as_u16(), &heard.json()["type"]), (404, &json!("error")));
}

#[tokio::test]
async fn a_model_named_star_answers_to_any_name() {
    let config = SimConfig { models: vec![ModelConfig::named("*")], ..SimConfig::default() };
    let sim = SimLlm::start(config).unwrap();
    let heard = post(&(sim.url("*") + "/v1/chat/completions"), &[], &chat("hi")).await.json();
    assert_eq!((heard["model"].as_str(), marker(&heard).model.as_str()), (Some("small"), "small"));
}

#[tokio::test]
async fn a_body_that_is_no_request_is_a_400() {
    let sim = small(|_| ());
    for body in [json!("text"), json!({"model": "small"}), json!({"messages": []})] {
        let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &body).await;
        assert_eq!(heard.status, 400, "{body}");
    }
}

#[tokio::test]
async fn errors_come_at_the_rates_configured() {
    let sim = small(|model| {
        model.error_rate = 0.3;
        model.rate_limit_rate = 0.2;
    });
    let url = sim.url("small") + "/v1/chat/completions";
    for _ in 0..400 {
        let heard = post(&url, &[], &chat("again")).await;
        assert_eq!(heard.headers.contains_key("retry-after"), heard.status == 429);
    }
    let statuses = &sim.stats().models["small"].statuses;
    assert!((90..150).contains(&statuses[&503]), "{statuses:?}");
    assert!((55..105).contains(&statuses[&429]), "{statuses:?}");
    assert_eq!(statuses.values().sum::<u64>(), 400);
}

#[tokio::test]
async fn a_seed_decides_every_answer() {
    let run = async |seed| {
        let config = SimConfig { seed, prompts: None, models: vec![ModelConfig::named("small")] };
        let sim = SimLlm::start(config).unwrap();
        let mut texts = Vec::new();
        for prompt in ["a", "b", "a", "a"] {
            let body = ask(&sim, "small", prompt).await;
            texts.push((body["id"].clone(), body["choices"][0]["message"]["content"].clone()));
        }
        texts
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    assert_ne!(first[0], first[2], "the same prompt asked again has another answer");
}

#[tokio::test]
async fn control_changes_a_model_while_it_runs() {
    let sim = small(|_| ());
    let control = sim.url("small") + "/control";
    let change = json!({"model": "small", "error_rate": 1.0, "latency_ms": {"first": 5}});
    assert_eq!(post(&control, &[], &change).await.status, 204);
    let chats = sim.url("small") + "/v1/chat/completions";
    assert_eq!(post(&chats, &[], &chat("hi")).await.status, 503);
    sim.control("small", &Control { error_rate: Some(0.0), ..Control::default() }).unwrap();
    assert_eq!(post(&chats, &[], &chat("hi")).await.status, 200);
}

#[tokio::test]
async fn a_bad_change_is_refused_in_a_sentence_and_changes_nothing() {
    let sim = small(|_| ());
    let control = sim.url("small") + "/control";
    for (change, says) in [
        (json!({"error_rate": 3}), "error_rate: must be a share"),
        (json!({"model": "nobody"}), "the models are: small"),
        (json!({"eror_rate": 0.1}), "unknown field"),
    ] {
        let heard = post(&control, &[], &change).await;
        assert_eq!(heard.status, 400);
        assert!(heard.text.contains(says), "{}", heard.text);
    }
    let heard = post(&(sim.url("small") + "/v1/chat/completions"), &[], &chat("hi")).await;
    assert_eq!(heard.status, 200);
}

#[tokio::test]
async fn skills_can_be_turned_one_category_at_a_time() {
    let sim = small(|_| ());
    let skill = [("code".to_owned(), 1.0), ("math".to_owned(), 0.0)].into();
    sim.control("small", &Control { skill, ..Control::default() }).unwrap();
    for n in 0..20 {
        for (category, good) in [("code", true), ("math", false)] {
            let url = sim.url("small") + "/v1/chat/completions";
            let body = post(&url, &[("x-sim-category", category)], &chat(&format!("q{n}"))).await.json();
            assert_eq!(marker(&body), Marker { model: "small".into(), good, category: category.into() });
        }
    }
}

#[tokio::test]
async fn a_known_prompt_has_the_category_of_its_file_whatever_the_header_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts.jsonl");
    let config = SimConfig { seed: 1, prompts: Some(path), models: vec![ModelConfig::named("small")] };
    let sim = SimLlm::start(config).unwrap();
    let url = sim.url("small") + "/v1/chat/completions";
    let body =
        post(&url, &[("x-sim-category", "code")], &chat("What is the capital of Mongolia?")).await.json();
    assert_eq!(marker(&body).category, "facts");
}

#[tokio::test]
async fn the_last_request_is_told_with_its_headers_and_body() {
    let sim = small(|_| ());
    assert_eq!(get(&(sim.url("small") + "/last")).await.0, 404);
    let body = chat("remember me");
    post(
        &(sim.url("small") + "/v1/chat/completions"),
        &[("x-vsr-cluster", "small"), ("x-a", "1"), ("x-a", "2")],
        &body,
    )
    .await;
    let (_, last) = get(&(sim.url("small") + "/last")).await;
    assert_eq!((&last["body"], &last["path"]), (&body, &json!("/v1/chat/completions")));
    assert_eq!(
        (&last["headers"]["x-vsr-cluster"], &last["headers"]["x-a"]),
        (&json!("small"), &json!("1, 2"))
    );
    let (_, stats) = get(&(sim.url("small") + "/stats")).await;
    assert_eq!(stats["last_request"], last);
    assert_eq!(stats["models"]["small"]["requests"], 1);
}

#[tokio::test]
async fn a_key_is_asked_for_where_one_is_configured() {
    let sim = small(|model| model.api_key_header = Some("authorization: Bearer x".into()));
    let url = sim.url("small") + "/v1/chat/completions";
    assert_eq!(post(&url, &[], &chat("hi")).await.status, 401);
    assert_eq!(post(&url, &[("authorization", "Bearer y")], &chat("hi")).await.status, 401);
    assert_eq!(post(&url, &[("authorization", "Bearer x")], &chat("hi")).await.status, 200);
}

#[tokio::test]
async fn models_are_listed_and_the_bill_is_kept() {
    let sim = small(|model| model.price.output = 1e6);
    let (_, list) = get(&(sim.url("small") + "/v1/models")).await;
    assert_eq!(list["data"][0]["id"], "small");
    let tokens = ask(&sim, "small", "hi").await["usage"]["completion_tokens"].as_f64().unwrap();
    let stats = &sim.stats().models["small"];
    assert_eq!((stats.dollars, stats.output_tokens as f64), (tokens, tokens));
}

#[tokio::test]
async fn dropping_the_simulator_closes_its_ports() {
    let sim = small(|model| model.latency_ms.first = 60_000.0);
    let addr = sim.addr("small");
    let url = sim.url("small") + "/v1/chat/completions";
    let hanging = tokio::spawn(async move {
        dragoman_demo::driver::Client::default()
            .fetch(axum::http::Method::POST, &url, Some(&chat("hi")))
            .await
    });
    while sim.stats().models["small"].requests == 0 {
        tokio::task::yield_now().await;
    }
    drop(sim);
    assert!(TcpStream::connect(addr).is_err());
    assert!(hanging.await.unwrap().is_err(), "requests under way are cut");
}

#[test]
fn a_taken_port_is_named() {
    let sim = small(|_| ());
    let mut model = ModelConfig::named("late");
    model.listen = sim.addr("small");
    let error =
        SimLlm::start(SimConfig { models: vec![model], ..SimConfig::default() }).unwrap_err().to_string();
    assert!(error.contains("`late`") && error.contains(&sim.addr("small").to_string()), "{error}");
}
