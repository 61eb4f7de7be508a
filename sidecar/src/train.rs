//! `dragoman train`: asks the running sidecar to learn everything anew, or does it itself where none runs.

use std::path::{Path, PathBuf};

use axum::http::{Request, header};
use bytes::Bytes;
use dragoman_core::config::Config;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::document;
use crate::log::DirLock;
use crate::writer;

/// Names the token for the sidecar's API, if it asks for one.
const TOKEN: &str = "DRAGOMAN_TOKEN";

/// The command's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "dragoman.yaml")]
    config: PathBuf,
}

/// Runs the command and prints what became of it as JSON.
///
/// # Errors
///
/// A sentence.
pub fn run(args: &Args) -> Result<(), String> {
    let config = document::load(&args.config)?;
    let data_dir = Path::new(&config.data_dir);
    if !data_dir.is_dir() {
        return Err(format!(
            "{}: there is nothing to learn from; start `dragoman serve` first",
            data_dir.display()
        ));
    }
    let outcome = match DirLock::take(data_dir) {
        Ok(lock) => {
            serde_json::to_string(&writer::train_offline(&config, &lock)?).map_err(|e| e.to_string())?
        }
        // Somebody serves from there.
        Err(_) => ask(&config)?,
    };
    println!("{outcome}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn ask(config: &Config) -> Result<String, String> {
    let url = format!("http://{}/v1/train", config.listen.sidecar);
    let failed = |why: &dyn std::fmt::Display| {
        format!("the sidecar that serves from {} cannot be asked at {url}: {why}", config.data_dir)
    };
    let mut request = Request::post(&url);
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::new())).map_err(|e| failed(&e))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(|e| failed(&e))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|e| failed(&e))?.to_bytes();
    if status.is_success() {
        return String::from_utf8(body.to_vec()).map_err(|e| failed(&e));
    }
    let message = serde_json::from_slice::<Value>(&body).ok();
    let message = message.as_ref().and_then(|v| v.pointer("/error/message")?.as_str());
    Err(message.map_or_else(|| failed(&status), str::to_owned))
}
