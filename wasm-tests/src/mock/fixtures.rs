//! What tests put in: plugin configurations, snapshots, requests, and readings of what came out.

use dragoman_core::config::{
    DecisionRule, EncoderRole, FilterConfig, Model, PolicyKind, PolicyParams, Price, Privacy, PublicKey,
    RemoteEncoder, ReplayConfig, Route, RouteRole, Routing, Sampling, Sticky,
};
use dragoman_core::context::{META, SIGNALS};
use dragoman_core::learner::Pace;
use dragoman_core::policy::{BIAS, Curve, Factor, Features, Landmarks, Projection, packed_index, packed_len};
use dragoman_core::replay::ReplayRecord;
use dragoman_core::request::Api;
use dragoman_core::snapshot::{RouteParams, SCHEMA, SigningKey, Snapshot, SnapshotMeta};
use serde_json::{Value, json};

use super::clock::START_MS;
use super::host::Host;
use super::stream::Stream;

/// Size of the shipped encoder's embedding.
pub const EMBEDDING: usize = 384;
/// Length of the context with that encoder.
pub const CONTEXT: usize = EMBEDDING + SIGNALS + META;
/// The largest body [`route`] reads.
pub const MAX_BODY: usize = 100_000;
/// The models of [`Plan`], their clusters' names too.
pub const MODELS: [&str; 3] = ["cheap", "strong", "coder"];

/// What code is scaled by: no code at all is exp(−SHARP²) as near to code as code.
const SHARP: f32 = 2.0;

/// Whose signature the filter trusts.
pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A signature of somebody else.
pub fn other_key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

fn public_key() -> PublicKey {
    PublicKey(key().verifying_key())
}

fn text(config: &FilterConfig) -> String {
    serde_json::to_string(config).expect("a plugin configuration has a text")
}

/// Configuration of the deciding role, escalation on.
pub fn route() -> String {
    route_with(|_| ())
}

/// [`route`] with changes.
pub fn route_with(change: impl FnOnce(&mut RouteRole)) -> String {
    let mut role = RouteRole {
        sidecar: "dragoman".into(),
        sidecar_token: None,
        default_cluster: "cheap".into(),
        default_model: "cheap-v0".into(),
        max_body_bytes: MAX_BODY,
        encoder: EncoderRole { max_tokens: 128, cache: 0, remote: None },
        session_headers: vec!["x-session-id".into()],
        replay: ReplayConfig { queue: 8, batch: 4, flush_ms: 500 },
        escalation: true,
    };
    change(&mut role);
    text(&FilterConfig::Route(role))
}

/// [`route`] with an encoder elsewhere, which is asked at cluster `encoder` and answered in 50 ms or not at all.
pub fn route_asking(cache: u32) -> String {
    let remote = RemoteEncoder {
        cluster: "encoder".into(),
        authority: "api.example.com".into(),
        model: "embed-3".into(),
        packed: false,
        deadline_ms: 50,
        token: None,
    };
    route_with(|role| role.encoder = EncoderRole { max_tokens: 128, cache, remote: Some(remote) })
}

/// An embeddings' server's answer: the `axis`-th unit vector.
pub fn embedded(axis: usize) -> String {
    let mut vector = vec![0.0; EMBEDDING];
    vector[axis] = 1.0;
    json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector}]}).to_string()
}

/// Configuration of the push listener.
pub fn push() -> String {
    text(&FilterConfig::Push { public_key: public_key(), sidecar: "dragoman".into(), sidecar_token: None })
}

/// A snapshot to be: three models, one decision, every model a candidate.
#[derive(Clone)]
pub struct Plan {
    /// The version.
    pub version: u64,
    /// What each model is thought to be worth to any prompt.
    pub worth: [f32; 3],
    /// What each is worth more, or less, when the prompt looks like code.
    pub worth_in_code: [f32; 3],
    /// Metadata and routing, for further changes.
    pub meta: SnapshotMeta,
}

impl Plan {
    /// Version `version`, in which `favourite` (one of [`MODELS`]) is worth most.
    pub fn favouring(version: u64, favourite: &str) -> Self {
        let worth = MODELS.map(|name| if name == favourite { 0.9 } else { 0.3 });
        Self { version, worth, worth_in_code: [0.0; 3], meta: meta(version) }
    }

    /// The snapshot: z = (how near to code, constant), no exploration bonus.
    pub fn snapshot(&self) -> Snapshot {
        let mut projection = vec![0.0; CONTEXT];
        projection[EMBEDDING + 15] = SHARP; // code
        let projection = Projection::new(1, CONTEXT, projection).expect("a projection");
        let landmarks = Landmarks::new(projection, 0, vec![SHARP], vec![1.0]).expect("a landmark");
        // A width of 1: any route may be better than it looks.
        let mut factor = vec![0.0; packed_len(2)];
        factor[packed_index(1, 1)] = 1.0 / BIAS;
        let params = |i: usize| RouteParams {
            theta: vec![self.worth_in_code[i], self.worth[i] / BIAS],
            length: vec![0.0; 2],
            factor: Factor::Triangle(factor.clone()),
            // Bent where code is worth something; without code it is worth what it is.
            curve: Curve::through(self.worth[i]),
        };
        let meta = SnapshotMeta { version: self.version, ..self.meta.clone() };
        Snapshot::new(meta, Features::Landmarks(landmarks), &[0, 1, 2].map(params))
            .expect("a plan makes a good snapshot")
    }

    /// Its signed blob.
    pub fn blob(&self) -> Vec<u8> {
        self.snapshot().encode(&key()).expect("a snapshot has a blob")
    }
}

fn meta(version: u64) -> SnapshotMeta {
    let model = |name: &str, input: f64, output: f64| Model {
        name: name.into(),
        upstream_model: format!("{name}-v1"),
        apis: vec![Api::ChatCompletions, Api::Completions, Api::Responses, Api::Messages],
        price: Price { input, output },
    };
    let route = |model: usize| Route { name: format!("any/{}", MODELS[model]), model, decision: 0 };
    let routing = Routing {
        models: vec![model("cheap", 0.1, 0.4), model("strong", 3.0, 15.0), model("coder", 0.5, 2.0)],
        default_model: 0,
        routes: (0..3).map(route).collect(),
        decisions: vec![DecisionRule {
            name: "any".into(),
            category: "general".into(),
            priority: 0,
            when: vec![],
            routes: vec![0, 1, 2],
            ..Default::default()
        }],
        keywords: vec![],
        embeddings: vec![],
        policy: PolicyParams {
            kind: PolicyKind::Linucb,
            alpha: 0.0,
            epsilon: 0.0,
            cost_weight: 0.0,
            budget: None,
        },
        privacy: Privacy::default(),
        sampling: Sampling::default(),
        thread_key: None,
        sticky: Sticky::default(),
    };
    SnapshotMeta {
        schema: SCHEMA,
        version,
        created_ms: START_MS - 60_000,
        observations: vec![1000; 3],
        pace: Pace { cost_weight: 0.0, slack: 0.0 },
        paces: Default::default(),
        routing,
    }
}

/// A chat request with this prompt.
pub fn chat(prompt: &str) -> String {
    json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]}).to_string()
}

/// A chat answer with its usage.
pub fn answer(text: &str) -> String {
    json!({
        "id": "1", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
    })
    .to_string()
}

/// Headers of a chat request, `content-length` among them.
pub fn chat_headers(length: &str) -> [(&str, &str); 5] {
    [
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        (":authority", "gateway"),
        ("content-type", "application/json"),
        ("content-length", length),
    ]
}

impl Host {
    /// A whole chat request up to the upstream, in one piece.
    pub fn ask(&self, prompt: &str) -> Stream {
        self.ask_body(&chat(prompt))
    }

    /// A whole chat request with this body.
    pub fn ask_body(&self, body: &str) -> Stream {
        let mut stream = self.stream();
        stream.request_headers(&chat_headers(&body.len().to_string()), false);
        stream.request_body(body, true);
        stream
    }

    /// Pushes a blob through this push listener; gives status and answer.
    pub fn push(&self, blob: &[u8]) -> (u32, Value) {
        let mut stream = self.stream();
        let length = blob.len().to_string();
        let headers = [
            (":method", "POST"),
            (":path", "/"),
            (":authority", "push"),
            ("content-length", length.as_str()),
        ];
        stream.request_headers(&headers, false);
        stream.request_body(blob, true);
        let reply = stream.local_reply().expect("a push is always answered");
        stream.log();
        (reply.status, serde_json::from_slice(&reply.body).expect("the answer is JSON"))
    }

    /// Ticks, acknowledges every batch that comes, and gives the records in them.
    pub fn flush(&self) -> Vec<ReplayRecord> {
        self.tick();
        let mut records = Vec::new();
        while let Some(call) = self.open_calls().first() {
            records.extend(call.records());
            self.answer(call.token, 200, b"");
        }
        records
    }
}

impl super::Call {
    /// The replay records in a batch.
    pub fn records(&self) -> Vec<ReplayRecord> {
        let read = |line: &&str| serde_json::from_str(line).expect("a line is a replay record");
        self.lines().iter().map(read).collect()
    }
}

impl Stream {
    /// A whole good answer, and the end of the stream.
    pub fn answered(mut self, text: &str) -> Stream {
        self.response_headers(&[(":status", "200"), ("content-type", "application/json")], false);
        self.response_body(answer(text), true);
        self.log();
        self
    }
}
