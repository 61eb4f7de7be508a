//! `dragoman snapshots` and `dragoman rollback`: the running sidecar does the work, these only ask it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{Method, Request, header};
use bytes::Bytes;
use dragoman_core::config::Config;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::document;

/// Holds the token that the API may ask for.
const TOKEN: &str = "DRAGOMAN_TOKEN";
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `dragoman snapshots`.
#[derive(Debug, clap::Args)]
pub struct Snapshots {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "dragoman.yaml", global = true)]
    config: PathBuf,
    /// The API's answer instead of a table
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    what: Option<Naming>,
}

#[derive(Debug, clap::Subcommand)]
enum Naming {
    /// Calls a snapshot by a name, which keeps it
    Tag {
        /// Its version
        version: u64,
        /// The name; one that is taken moves here
        name: String,
    },
}

/// `dragoman rollback`.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The snapshot to go back to; the one before the last step that was not streamed, if none is named
    version: Option<u64>,
    /// Publish again what is learned
    #[arg(long, conflicts_with = "version")]
    resume: bool,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "dragoman.yaml")]
    config: PathBuf,
}

/// Lists snapshots, or names one.
///
/// # Errors
///
/// A sentence: the configuration cannot be used, no sidecar runs, or it refuses.
pub fn snapshots(args: &Snapshots) -> Result<(), String> {
    if let Some(Naming::Tag { version, name }) = &args.what {
        let path = format!("/v1/snapshots/{version}/tag");
        ask(&args.config, Method::POST, &path, Some(json!({"name": name})))?;
        println!("snapshot {version} is \"{name}\" now and stays");
        return Ok(());
    }
    let list = ask(&args.config, Method::GET, "/v1/snapshots", None)?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&list).map_err(|e| e.to_string())?),
        false => print!("{}", table(&list)),
    }
    Ok(())
}

/// Goes back to an earlier snapshot, or on again.
///
/// # Errors
///
/// A sentence: the configuration cannot be used, no sidecar runs, or it refuses.
pub fn rollback(args: &Rollback) -> Result<(), String> {
    let (path, body) = match (args.resume, args.version) {
        (true, _) => ("/v1/resume", None),
        (false, None) => ("/v1/rollback", None),
        (false, Some(version)) => ("/v1/rollback", Some(json!({"version": version}))),
    };
    let answer = ask(&args.config, Method::POST, path, body)?;
    println!("{}", answer["message"].as_str().unwrap_or_default());
    Ok(())
}

fn table(list: &Value) -> String {
    let mut text = format!(
        "{:>9}  {:8} {:10} {:9}  {:20} {:>9}  {}\n",
        "version", "arm", "state", "why", "built", "bytes", "tag"
    );
    for item in list["items"].as_array().into_iter().flatten() {
        let word = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let built = item["created_ms"].as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let built = built.map_or(String::new(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        let line = format!(
            "{:>9}  {:8} {:10} {:9}  {built:20} {:>9}  {}",
            item["version"],
            word("arm"),
            word("state"),
            word("tag"),
            item["bytes"],
            word("name")
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Asks the sidecar that serves this configuration.
#[tokio::main(flavor = "current_thread")]
async fn ask(config: &Path, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
    let Config { listen, .. } = document::load(config)?;
    let to = reachable(listen.sidecar);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{to}{path}"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = body.map_or_else(Bytes::new, |b| b.to_string().into());
    let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let away = |why: String| {
        format!(
            "no sidecar answers at {to} ({why}): start `dragoman serve`, or name its configuration with --config"
        )
    };
    let answer = tokio::time::timeout(TIMEOUT, client.request(request)).await;
    let answer = answer.map_err(|_| away("timed out".into()))?.map_err(|e| away(e.to_string()))?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await.map_err(|e| away(e.to_string()))?.to_bytes();
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match status.is_success() {
        true => Ok(value),
        false => Err(match value["error"]["message"].as_str() {
            Some(why) => why.to_owned(),
            None => format!("the sidecar at {to} answered {status}"),
        }),
    }
}

/// An address to listen on everywhere is reached here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
