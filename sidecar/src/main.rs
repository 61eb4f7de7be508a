//! The command `dragoman`: reads the command line and calls the library.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dragoman_core::config::{Config, PublicKey};
use dragoman_sidecar::guard::cli;
use dragoman_sidecar::reload::{self, Reloads};
use dragoman_sidecar::{Server, document, evaluate, key, render, report, signals, simulate, train};
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
    /// Lists the snapshots that are kept, or names one
    Snapshots(cli::Snapshots),
    /// Goes back to an earlier snapshot and publishes nothing else until --resume
    Rollback(cli::Rollback),
    /// Writes the configuration of another program
    Render {
        #[command(subcommand)]
        what: Rendered,
    },
    /// Shows the signals of texts
    Signals(signals::Args),
    /// Writes what the last days were like, as Markdown and HTML
    Report(report::Args),
    /// Replays recorded benchmarks through the encoder, the policy and the learner, beside baselines
    Simulate(Box<simulate::Args>),
    /// Learns everything anew from the log, in features of the newest prompts
    Train(train::Args),
}

#[derive(Subcommand)]
enum Rendered {
    /// A complete Envoy bootstrap
    Envoy {
        #[command(flatten)]
        shared: Shared,
        /// Where Envoy finds the filter, instead of envoy.wasm
        #[arg(long, value_name = "PATH")]
        wasm: Option<PathBuf>,
        /// Certificates that https models are checked against, instead of envoy.trusted_ca
        #[arg(long, value_name = "PATH")]
        trusted_ca: Option<PathBuf>,
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
        Command::Serve(Shared { config }) => serve(&config),
        Command::Check(Shared { config }) => document::load(&config).map(|config| {
            println!("ok: {} models, {} routes", config.routing.models.len(), config.routing.routes.len());
        }),
        Command::Simulate(args) => simulate::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Snapshots(args) => cli::snapshots(&args),
        Command::Rollback(args) => cli::rollback(&args),
        Command::Signals(args) => signals::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Train(args) => train::run(&args),
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
    wasm: Option<PathBuf>,
    trusted_ca: Option<PathBuf>,
    out: Option<PathBuf>,
) -> Result<(), String> {
    let signing_key = key::load_or_create(config.data_dir.as_ref())?;
    let mut options = render::RenderOptions::of(config, PublicKey(signing_key.verifying_key()));
    options.sidecar_token = config.access.token.as_ref().map(|_| key::filter_token(&signing_key));
    if let Some(folder) = &config.envoy.live {
        if wasm.is_some() || trusted_ca.is_some() {
            return Err("with envoy.live the sidecar writes clusters too: set envoy.wasm and envoy.trusted_ca in the \
                        configuration instead of --wasm and --trusted-ca"
                .into());
        }
        reload::write(folder.as_ref(), &render::live::files(config, &options, &[]))?;
    }
    options.wasm = wasm.unwrap_or(options.wasm);
    options.trusted_ca = trusted_ca.unwrap_or(options.trusted_ca);
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
async fn serve(config: &Path) -> Result<(), String> {
    // Before anything else, so that a signal while starting ends in order too.
    let mut signals = Signals::new().map_err(|e| format!("cannot wait for signals: {e}"))?;
    let server = Server::from_file(config).await.map_err(|e| e.to_string())?;
    info!("listening on http://{}, configured by {}", server.addr, config.display());
    let failed = loop {
        tokio::select! {
            name = signals.next() => match name {
                HANGUP => server.reloads().into_iter().for_each(Reloads::request),
                name => {
                    info!("{name}: stopping");
                    break false;
                }
            },
            () = server.failed() => break true,
        }
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

/// Asks for the configuration to be read again.
const HANGUP: &str = "SIGHUP";

/// The signals that ask a process to end, and the one that asks it to read its configuration again.
struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [hangup, terminate, interrupt] =
            [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { hangup: hangup?, terminate: terminate?, interrupt: interrupt? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => HANGUP,
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
