//! `dragoman.yaml` changes under traffic: models come and go and prices fall, nothing is restarted and no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dragoman_demo::sim::{Control, LatencyChange, ModelConfig, OutputTokens, SimConfig, SimLlm};
use dragoman_wasm_tests::system::*;
use serde_json::{Value, json};

fn main() {
    in_turn([("models_come_and_go_and_prices_fall_under_traffic", under_traffic)]);
}

/// Clients that ask without a pause, every third for a stream.
struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Asked>>>,
}

/// One request.
#[derive(Debug)]
struct Asked {
    at: Instant,
    status: u16,
    model: String,
    whole: bool,
    took: Duration,
}

impl Traffic {
    fn start(gateway: std::net::SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |n: usize| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut asked = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    asked.push(ask(gateway, n, asked.len()));
                }
                asked
            })
        };
        let clients = (0..3).map(client).collect();
        Self { stop, clients }
    }

    fn end(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    }
}

fn ask(gateway: std::net::SocketAddr, client: usize, number: usize) -> Asked {
    let (at, prompt) = (Instant::now(), format!("client {client} asks about topic {number}"));
    let streamed = client == 0;
    let reply = if streamed { stream_chat(gateway, &prompt) } else { chat(gateway, &prompt, &[]) };
    let header = |name| reply.header(name).unwrap_or_default().to_owned();
    Asked {
        at,
        status: reply.status,
        took: at.elapsed(),
        model: header("x-vsr-selected-model"),
        whole: if streamed { reply.text().contains("[DONE]") } else { !reply.json().is_null() },
    }
}

fn under_traffic() {
    // Chance asks every model now and then, whatever it costs and whatever is known of it.
    let policy = json!({"alpha": 0.0, "epsilon": 0.5, "cost_weight": 0.0});
    let system = Plan::default()
        .models(["a", "b"].map(ModelConfig::named).to_vec())
        .set("policy", policy)
        .set("learner", json!({"publish_ms": 50}))
        .set("replay", json!({"flush_ms": 20}))
        .with_sidecar()
        .live()
        .start();
    let new = SimLlm::start(SimConfig { models: vec![ModelConfig::named("c")], ..Default::default() })
        .expect("the new model starts");
    let answered = || new.stats().models["c"].requests;
    let envoy = system.envoy_id();
    let traffic = Traffic::start(system.listen.gateway);
    std::thread::sleep(Duration::from_secs(1));

    let edited = Instant::now();
    system.edit(|document| {
        document["models"]["c"] =
            json!({"endpoint": format!("http://{}", new.addr("c")), "price": {"input": 0, "output": 100}});
    });
    wait_until("the new model answers", Duration::from_secs(10), || answered() >= 10);
    println!("the new model had answered 10 requests {:?} after the edit", edited.elapsed());

    // A retry leaves the new cluster, and a retry goes there: each way under the right model's name.
    for failing in ["c", "a", "b"] {
        let sims = if failing == "c" { &new } else { &system.sims };
        let rate = |rate| Control { error_rate: Some(rate), ..Default::default() };
        sims.control(failing, &rate(1.0)).expect("it fails");
        std::thread::sleep(Duration::from_secs(1));
        sims.control(failing, &rate(0.0)).expect("it is well again");
        // A request whose first try failed must not meet the next failing model on its second.
        std::thread::sleep(Duration::from_millis(300));
    }

    let cost_before = predicted_cost(&system, "default/c");
    let edited = Instant::now();
    system.edit(|document| document["models"]["c"]["price"]["output"] = json!(1));
    wait_until("predicted costs follow the price", Duration::from_secs(10), || {
        predicted_cost(&system, "default/c") < 0.05 * cost_before
    });
    println!("the price acted {:?} after the edit", edited.elapsed());

    // Clients that ask now wait longer for their answer than the removed model's cluster stays.
    let slow = |per_token| Control {
        latency_ms: Some(LatencyChange { first: None, per_token: Some(per_token) }),
        output_tokens: Some(OutputTokens { mean: 40.0, spread: 0.0 }),
        ..Default::default()
    };
    new.control("c", &slow(1000.0)).expect("it is slow");
    std::thread::sleep(Duration::from_millis(500));
    new.control("c", &slow(0.0)).expect("it is fast again");
    let more = Traffic::start(system.listen.gateway);
    system.edit(|document| drop(document["models"].as_object_mut().expect("models").remove("c")));
    wait_until("the model is gone", Duration::from_secs(10), || {
        let models = get(system.listen.sidecar, "/v1/models").expect("the sidecar answers").json();
        models.as_array().is_some_and(|models| models.len() == 2)
    });
    let removed = Instant::now() + Duration::from_secs(1);
    wait_until("its cluster is gone", Duration::from_secs(60), || !has_cluster(&system, "c"));
    assert!(has_cluster(&system, "a") && has_cluster(&system, "b"));
    std::thread::sleep(Duration::from_secs(1));

    let asked: Vec<Asked> = [traffic, more].into_iter().flat_map(Traffic::end).collect();
    assert_eq!(system.envoy_id(), envoy);
    let failed: Vec<_> = asked.iter().filter(|a| a.status != 200 || !a.whole || a.model.is_empty()).collect();
    assert!(failed.is_empty(), "{} failed, as {:?}", failed.len(), failed.first());
    let late = asked.iter().filter(|a| a.at > removed && a.model == "c").count();
    assert_eq!(late, 0, "a removed model is asked no more");
    let long = asked.iter().filter(|a| a.model == "c" && a.took > Duration::from_secs(35)).count();
    assert!(long > 0, "answers that outlive the cluster come whole");
    let to_new = asked.iter().filter(|a| a.model == "c").count();
    println!(
        "{} requests, {to_new} to the new model, {long} longer than its cluster; none failed",
        asked.len()
    );
}

/// What the next decision thinks that `route` costs.
fn predicted_cost(system: &System, route: &str) -> f64 {
    let id = chat(system.listen.gateway, "what does this cost?", &[]);
    let path = format!("/v1/router_replay/{}", id.header("x-vsr-replay-id").expect("a replay id"));
    wait_until("the record is in the log", Duration::from_secs(10), || {
        get(system.listen.sidecar, &path).is_some_and(|r| r.status == 200)
    });
    let record = get(system.listen.sidecar, &path).expect("the sidecar answers").json();
    let candidates: &[Value] = record["explanation"]["candidates"].as_array().expect("candidates");
    let candidate = candidates.iter().find(|c| c["route"] == route).expect("the route is a candidate");
    candidate["predicted_cost"].as_f64().expect("a cost")
}

fn has_cluster(system: &System, name: &str) -> bool {
    let clusters = get(system.listen.admin, "/clusters").expect("Envoy's admin answers").text();
    clusters.lines().any(|line| line.starts_with(&format!("{name}::")))
}
