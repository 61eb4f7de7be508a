//! What the tests share: a data directory with an encoder's projection, records, a client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use dragoman_core::config::Config;
use dragoman_core::context::Context;
use dragoman_core::policy::Factor;
use dragoman_core::replay::{CandidateRecord, ReplayRecord, SCHEMA, Stages, replay_id};
use dragoman_core::request::{Api, RequestFacts};
use dragoman_core::response::ResponseFacts;
use dragoman_core::signals::Signals;
use dragoman_core::snapshot::{Snapshot, VerifyingKey};
use dragoman_sidecar::Server;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;

/// D of the tests' encoder.
pub(crate) const D: usize = 8;

/// The routes of the tests' configuration.
pub(crate) const SMALL: &str = "default/small";
pub(crate) const LARGE: &str = "default/large";

/// A directory to serve from.
pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) document: Value,
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_projection(dir.path());
        let document = json!({
            "listen": {"sidecar": "127.0.0.1:0", "push": "127.0.0.1:1"},
            "data_dir": dir.path().join("data"),
            "default_model": "small",
            "models": {
                "small": {"endpoint": "http://127.0.0.1:1", "price": {"input": 0.1, "output": 0.4}},
                "large": {"endpoint": "http://127.0.0.1:2", "price": {"input": 3, "output": 15}},
            },
            "encoder": {"path": dir.path()},
            "learner": {"publish_ms": 50, "forgetting": 0.99},
            // The records are years old.
            "retention": {"days": 0},
        });
        Self { dir, document }
    }

    pub(crate) fn config(&self) -> Config {
        Config::from_value(&self.document).unwrap()
    }

    /// `dragoman.yaml`.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("dragoman.yaml")
    }

    /// Writes the document into the file.
    pub(crate) fn write(&self) {
        std::fs::write(self.file(), serde_yaml_ng::to_string(&self.document).unwrap()).unwrap();
    }

    /// Serves from the file.
    pub(crate) async fn serve_file(&self) -> (Server, Http) {
        self.write();
        Self::ready(Server::from_file(&self.file()).await.unwrap()).await
    }

    pub(crate) async fn serve(&self) -> (Server, Http) {
        Self::ready(Server::start(self.config()).await.unwrap()).await
    }

    async fn ready(server: Server) -> (Server, Http) {
        assert!(server.ready().await);
        let http = Http::new(format!("http://{}", server.addr));
        (server, http)
    }
}

fn write_projection(dir: &Path) {
    use safetensors::tensor::{Dtype, TensorView};
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let components: Vec<f32> = (0..4 * D).map(|i| if i / D == i % D { 1.0 } else { 0.0 }).collect();
    let parts = [("mean", vec![D], bytes(&[0.1; D])), ("components", vec![4, D], bytes(&components))];
    let views = parts.iter().map(|(n, s, b)| (*n, TensorView::new(Dtype::F32, s.clone(), b).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.join("projection.safetensors"), file).unwrap();
}

/// Record number `n`: a small deterministic world of prompts and answers.
pub(crate) fn record(n: u64) -> ReplayRecord {
    let noise = |salt: u64| ((n * 7919 + salt * 104_729) % 1000) as f32 / 1000.0;
    let embedding: Vec<f32> = (0..D as u64).map(|i| noise(i) - 0.5).collect();
    let signals = Signals { code: noise(90), question: 0.5, ..Default::default() };
    let request = RequestFacts { prompt_chars: n as u32 % 500, token_estimate: 50, ..Default::default() };
    let (route, model) = if n.is_multiple_of(3) { (LARGE, "large") } else { (SMALL, "small") };
    let candidate = |route: &str, utility| CandidateRecord {
        route: route.into(),
        reward: 0.4,
        bonus: 0.1,
        cost: 1e-4,
        utility,
        propensity: 0.5,
    };
    ReplayRecord {
        schema: SCHEMA,
        id: replay_id(1_700_000_000_000 + n, [n as u8; 10]),
        time_ms: 1_700_000_000_000 + n,
        session: Some(format!("s{}", n % 4)),
        snapshot_version: 1,
        arm: "live".into(),
        api: Api::ChatCompletions,
        context: Some(Context::new(Some(&embedding), D, &signals, &request)),
        decision: Some("default".into()),
        candidates: vec![candidate(route, 0.5), candidate("default/other", 0.25)],
        route: Some(route.into()),
        model: model.into(),
        propensity: 0.975,
        explored: false,
        sticky: false,
        default_reason: None,
        signals,
        request,
        response: ResponseFacts {
            status: if n.is_multiple_of(5) { 503 } else { 200 },
            completion_tokens: Some(20 + n as u32 % 300),
            body_valid: true,
            has_content: true,
            ..Default::default()
        },
        escalated_to: None,
        cost: f64::from(noise(91)) * 1e-3,
        stages: Stages::default(),
        prompt: None,
        thread: Default::default(),
        sample: None,
    }
}

pub(crate) fn records(range: std::ops::Range<u64>) -> Vec<ReplayRecord> {
    range.map(record).collect()
}

/// A client of one sidecar.
pub(crate) struct Http {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The sentence of an error.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Http {
    pub(crate) fn new(base: String) -> Self {
        Self { base, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.into_body().collect().await.unwrap().to_bytes() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], vec![]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body.to_string().into_bytes()).await
    }

    pub(crate) async fn ingest(&self, records: &[ReplayRecord]) -> Value {
        let answer = self.post("/v1/replays", &json!(records)).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.json()
    }

    pub(crate) async fn rate(&self, id: &str, feedback: Value) -> Answer {
        self.post(&format!("/v1/router_replay/{id}/feedback"), &feedback).await
    }

    /// The served snapshot once `enough` holds of it.
    pub(crate) async fn snapshot(&self, key: &VerifyingKey, enough: impl Fn(&Snapshot) -> bool) -> Snapshot {
        for _ in 0..400 {
            let answer = self.get("/v1/snapshot").await;
            if answer.status == StatusCode::OK {
                let snapshot = Snapshot::decode(&answer.body, key).unwrap();
                if enough(&snapshot) {
                    return snapshot;
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the snapshot that was waited for never came");
    }

    /// The snapshot that has learned from `observations` in all.
    pub(crate) async fn learned(&self, key: &VerifyingKey, observations: u64) -> Snapshot {
        self.snapshot(key, |s| s.meta.observations.iter().sum::<u64>() == observations).await
    }
}

/// θ, length and factor of every route: what a decision is made with.
pub(crate) fn parameters(snapshot: &Snapshot) -> Vec<(Vec<f32>, Vec<f32>, Vec<f32>)> {
    (0..snapshot.meta.routing.routes.len())
        .map(|i| snapshot.route(i).unwrap())
        .map(|a| {
            let Factor::Triangle(factor) = a.factor else { panic!("kernel features have a triangle") };
            (a.theta.to_vec(), a.length.to_vec(), factor.to_vec())
        })
        .collect()
}

/// The largest difference between the parameters of two snapshots.
pub(crate) fn distance(a: &Snapshot, b: &Snapshot) -> f32 {
    let flat = |s| {
        let all = parameters(s).into_iter();
        all.flat_map(|(theta, length, factor)| [theta, length, factor].concat()).collect::<Vec<f32>>()
    };
    flat(a).iter().zip(&flat(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
