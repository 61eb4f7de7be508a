//! Servers that speak TLS: the judge, the webhook and a server of embeddings are reached by the certificates of
//! `tls.ca_file`, and whatever is wrong with a server is told in a sentence. The certificates are made by the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use axum::serve::Listener;
use dragoman_core::config::{Config, Tls};
use dragoman_core::replay::{ReplayRecord, Sample};
use dragoman_sidecar::client::Client;
use dragoman_sidecar::guard::{Notice, webhook};
use dragoman_sidecar::metrics::Metrics;
use dragoman_sidecar::signals::Models;
use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::common::{D, House, Http, record};

/// An authority of our own, and the file with its certificate.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        Self::named("our own")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    fn file(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }

    fn tls(&self) -> Tls {
        Tls { ca_file: Some(self.file()) }
    }

    /// A server's side of TLS with a certificate for `name`.
    fn acceptor(&self, name: &str, change: fn(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate.into()], key).unwrap()))
    }
}

/// A port that speaks TLS, after it has answered the first `rude` connections with something else.
struct Port {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    rude: usize,
}

impl Listener for Port {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await.unwrap();
            if self.rude > 0 {
                self.rude -= 1;
                stream.writable().await.unwrap();
                stream.try_write(b"220 mail.example ESMTP\r\n").unwrap();
                continue;
            }
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// What a server was asked: path and body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Serves `reply` to every POST; gives `https://localhost:port` and what was asked.
async fn server(acceptor: TlsAcceptor, rude: usize, reply: Value) -> (String, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let take = async move |request: Request<axum::body::Body>| {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        seen.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
        (StatusCode::OK, reply.to_string())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let router = Router::new().route("/{*path}", post(take));
    tokio::spawn(async move { axum::serve(Port { listener, acceptor, rude }, router).await });
    (url, asked)
}

fn score() -> Value {
    json!({"choices": [{"message": {"role": "assistant", "content": "4"}}]})
}

fn sampled(n: u64) -> ReplayRecord {
    let sample = Sample { prompt: "what?".into(), answer: "that.".into() };
    ReplayRecord { sample: Some(sample), session: None, ..record(n) }
}

/// A house whose judge lives at `url`.
fn judged_at(url: &str, ca_file: Option<String>) -> House {
    let mut house = House::new();
    house.document["judge"] = json!({"share": 0.5, "endpoint": {"url": url, "model": "wise"}});
    house.document["tls"] = json!({"ca_file": ca_file});
    house
}

async fn counted(http: &Http, line: &str) {
    for _ in 0..200 {
        if String::from_utf8_lossy(&http.get("/metrics").await.body).contains(line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{line} never came");
}

async fn evidence(http: &Http, n: u64) -> Value {
    http.get(&format!("/v1/router_replay/{}", record(n).id)).await.json()["evidence"].clone()
}

#[tokio::test]
async fn a_judge_behind_tls_is_asked_by_the_certificates_of_the_configuration() {
    let authority = Authority::new();
    let (url, asked) = server(authority.acceptor("localhost", |_| ()), 0, score()).await;
    let (server, http) = judged_at(&url, Some(authority.file())).serve().await;
    http.ingest(&[sampled(1)]).await;
    counted(&http, "dragoman_evidence_total{kind=\"judge\"} 1").await;
    assert_eq!(evidence(&http, 1).await[0]["score"], 4);
    assert_eq!(asked.lock().unwrap()[0].0, "/v1/chat/completions");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_judge_that_nobody_vouches_for_is_told_nothing_and_the_record_stays() {
    let authority = Authority::new();
    let (url, asked) = server(authority.acceptor("localhost", |_| ()), 0, score()).await;
    let (server, http) = judged_at(&url, None).serve().await;
    assert_eq!(http.ingest(&[sampled(1)]).await["accepted"], 1);
    counted(&http, "dragoman_judge_failures_total 1").await;
    assert_eq!(evidence(&http, 1).await, json!([]));
    assert!(asked.lock().unwrap().is_empty(), "no prompt goes to a stranger");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_notice_waits_until_the_webhook_speaks_tls() {
    let authority = Authority::new();
    let (url, posted) = server(authority.acceptor("localhost", |_| ()), 1, json!({})).await;
    let (notices, told) = webhook::channel();
    let metrics = Metrics::new().unwrap();
    tokio::spawn(webhook::run(told, metrics.clone(), Client::new(&authority.tls()).unwrap()));
    let notice =
        Notice { kind: "test".into(), raised: true, message: "m".into(), value: None, limit: None, time: 1 };
    notices.send((format!("{url}/hook?secret"), notice)).await.unwrap();
    for _ in 0..200 {
        if !posted.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let posted = posted.lock().unwrap().clone();
    assert_eq!((posted.len(), posted[0].0.as_str(), &posted[0].1["kind"]), (1, "/hook", &json!("test")));
    assert_eq!(metrics.guard.webhook_failures.get(), 0);
}

#[tokio::test]
async fn candidates_are_embedded_by_a_server_behind_tls() {
    let authority = Authority::new();
    let reply = json!({"data": [{"embedding": vec![0.5; D]}]});
    let (url, _asked) = server(authority.acceptor("localhost", |_| ()), 0, reply).await;
    let mut house = House::new();
    house.document["encoder"]["mode"] = json!("endpoint");
    house.document["encoder"]["endpoint"] = json!({"url": url, "model": "m"});
    house.document["signals"] = json!({"embeddings": [{"name": "r", "candidates": ["x"]}]});
    let config = Config::from_value(&house.document).unwrap();
    let model = Models::new(Client::new(&authority.tls()).unwrap()).of(&config).await.unwrap();
    assert_eq!(model.candidates[0].len(), D);
    let why = Models::new(Client::new(&Tls::default()).unwrap()).of(&config).await.unwrap_err();
    assert!(why.contains("(encoder.endpoint.url)") && why.contains("unknown issuer"), "{why}");
}

/// Why `url` cannot be asked.
async fn refusal(tls: &Tls, url: &str) -> String {
    let request = Request::post(format!("{url}/secret")).body(Full::default()).unwrap();
    let why = Client::new(tls).unwrap().send(request).await.unwrap_err();
    assert!(why.starts_with(url) && !why.contains("secret"), "{why}");
    why
}

#[tokio::test]
async fn whatever_is_wrong_with_a_server_is_a_sentence_with_its_address() {
    let authority = Authority::new();
    let (tls, stranger, namesake) = (authority.tls(), Authority::named("a stranger"), Authority::new());
    let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2001, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(3001, 1, 1);
    for (acceptor, sentence) in [
        (authority.acceptor("other.example", |_| ()), "its certificate is for another name"),
        (authority.acceptor("localhost", past), "its certificate has expired"),
        (authority.acceptor("localhost", future), "its certificate is not valid yet"),
        (stranger.acceptor("localhost", |_| ()), "unknown issuer; if that is your own, name its certificate"),
        (namesake.acceptor("localhost", |_| ()), "unknown issuer"),
    ] {
        let (url, asked) = server(acceptor, 0, json!({})).await;
        let why = refusal(&tls, &url).await;
        assert!(why.contains(sentence), "{why}");
        assert!(asked.lock().unwrap().is_empty());
    }
    let (url, _asked) = server(authority.acceptor("localhost", |_| ()), 9, json!({})).await;
    let why = refusal(&tls, &url).await;
    assert!(why.contains("it does not speak TLS"), "{why}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = refusal(&tls, &format!("https://{free}")).await;
    assert!(why.contains("cannot be reached: ") && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_used_is_named_before_anything_starts() {
    let authority = Authority::new();
    std::fs::write(authority.file(), "no certificate").unwrap();
    let why = Client::new(&authority.tls()).unwrap_err();
    assert_eq!(why, format!("tls.ca_file: {} has no certificate (in PEM)", authority.file()));
    let mut house = House::new();
    house.document["tls"] = json!({"ca_file": "/nowhere/ca.pem"});
    let why = dragoman_sidecar::Server::start(house.config()).await.err().unwrap().to_string();
    assert!(why.contains("tls.ca_file: /nowhere/ca.pem cannot be read: "), "{why}");
}
