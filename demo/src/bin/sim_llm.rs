//! `sim-llm`: serves the simulated models of a configuration file until it is stopped.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dragoman_demo::sim::{SimConfig, SimError, SimLlm};

/// OpenAI- and Anthropic-compatible simulated LLMs, for demos and tests.
#[derive(Parser)]
#[command(name = "sim-llm", version)]
struct Args {
    /// The YAML file that lists the models.
    #[arg(long)]
    config: PathBuf,
    /// Takes the place of the file's seed.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let sim = match start(&Args::parse()) {
        Ok(sim) => sim,
        Err(error) => {
            eprintln!("sim-llm: {error}");
            return ExitCode::FAILURE;
        }
    };
    for (model, addr) in sim.addrs() {
        println!("sim-llm: {model} listens on http://{addr}");
    }
    stopped().await;
    ExitCode::SUCCESS
}

fn start(args: &Args) -> Result<SimLlm, SimError> {
    let mut config = SimConfig::load(&args.config)?;
    config.seed = args.seed.unwrap_or(config.seed);
    SimLlm::start(config)
}

/// Waits for Ctrl-C, or for the SIGTERM with which Docker and Make stop a process.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! { _ = interrupt => (), () = terminate => () }
}
