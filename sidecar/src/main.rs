//! The command `dragoman`: reads the command line and calls the library.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dragoman_core::config::{Config, PublicKey};
use dragoman_sidecar::{Server, document, evaluate, key, render};
use log::{error, info};

/// Learns online which LLM should answer each prompt: the sidecar of Dragoman's Envoy filter.
#[derive(Parser)]
#[command(name = "dragoman", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Takes in replay records and feedback, learns, and pushes parameters to Envoy
    Serve(Shared),
    /// Checks a configuration and prints every error of it
    Check(Shared),
    /// Estimates from the replay log what another policy would have earned
    Evaluate(evaluate::Args),
    /// Writes the configuration of another program
    Render {
        #[command(subcommand)]
        what: Rendered,
    },
}

#[derive(Subcommand)]
enum Rendered {
    /// A complete Envoy bootstrap
    Envoy {
        #[command(flatten)]
        shared: Shared,
        /// Where Envoy finds the filter
        #[arg(long, value_name = "PATH", default_value = "dragoman.wasm")]
        wasm: PathBuf,
        /// Certificates that https models are checked against
        #[arg(long, value_name = "PATH", default_value = "/etc/ssl/certs/ca-certificates.crt")]
        trusted_ca: PathBuf,
        /// Written here instead of printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Shared {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "dragoman.yaml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let result = match Cli::parse().command {
        Command::Serve(Shared { config }) => document::load(&config).and_then(serve),
        Command::Check(Shared { config }) => document::load(&config).map(|config| {
            println!("ok: {} models, {} routes", config.routing.models.len(), config.routing.routes.len());
        }),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Render { what: Rendered::Envoy { shared, wasm, trusted_ca, out } } => {
            document::load(&shared.config).and_then(|config| render_envoy(&config, wasm, trusted_ca, out))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn render_envoy(
    config: &Config,
    wasm: PathBuf,
    trusted_ca: PathBuf,
    out: Option<PathBuf>,
) -> Result<(), String> {
    let signing_key = key::load_or_create(config.data_dir.as_ref())?;
    let options =
        render::RenderOptions { wasm, public_key: PublicKey(signing_key.verifying_key()), trusted_ca };
    let yaml = render::envoy(config, &options);
    match out {
        None => print!("{yaml}"),
        Some(file) => {
            std::fs::write(&file, yaml).map_err(|e| format!("cannot write {}: {e}", file.display()))?
        }
    }
    Ok(())
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), String> {
    let data_dir = config.data_dir.clone();
    let push = config.listen.push;
    // Before anything else, so that a signal while starting ends in order too.
    let mut signals = Signals::new().map_err(|e| format!("cannot wait for signals: {e}"))?;
    let server = Server::start(config).await.map_err(|e| e.to_string())?;
    info!("listening on http://{}, data in {data_dir}, pushing to {push}", server.addr);
    let failed = tokio::select! {
        name = signals.next() => {
            info!("{name}: stopping");
            false
        }
        () = server.failed() => true,
    };
    server.shutdown().await.map_err(|e| e.to_string())?;
    match failed {
        true => {
            error!("stopped because the log cannot be read");
            Err("the sidecar cannot go on without its log".into())
        }
        false => {
            info!("stopped; everything that was acknowledged is on the disk");
            Ok(())
        }
    }
}

/// The signals that ask a process to end.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
