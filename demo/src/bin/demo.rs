//! `demo`: sends the demo's prompts through the gateway and shows whether it learns. Exit status 0 says
//! that it did, 1 that it did not, 2 that the run could not be made.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use dragoman_demo::driver::{self, Ledger, Options};
use dragoman_demo::prompts::Prompts;

/// How often the table is drawn anew on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// How often it is printed elsewhere, in requests.
const REPRINT: usize = 100;

/// Watches Dragoman learn which model should answer which prompt.
#[derive(Parser)]
#[command(name = "demo", version)]
struct Args {
    /// The gateway (Envoy with the filter).
    #[arg(long, default_value = "http://127.0.0.1:10000")]
    gateway: String,
    /// Dragoman's sidecar.
    #[arg(long, default_value = "http://127.0.0.1:8088")]
    sidecar: String,
    /// The prompts, one JSON object a line.
    #[arg(long, default_value = "demo/prompts.jsonl")]
    prompts: PathBuf,
    /// How many requests to send.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(40..=1_000_000))]
    requests: u32,
    /// How many requests are in flight at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// How long each client pauses after an answer, in milliseconds.
    #[arg(long, default_value_t = 200)]
    pause_ms: u32,
    /// Seeds the order of the prompts and the users' moods.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("demo: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether the run shows learning.
async fn run(args: Args) -> Result<bool, String> {
    let prompts = Prompts::load(&args.prompts).map_err(|error| error.to_string())?;
    let options = Options {
        gateway: args.gateway.trim_end_matches('/').to_owned(),
        sidecar: args.sidecar.trim_end_matches('/').to_owned(),
        requests: args.requests as usize,
        concurrency: args.concurrency.into(),
        pause: Duration::from_millis(args.pause_ms.into()),
        seed: args.seed,
    };
    let mut screen = Screen::new();
    let ledger = driver::run(&options, &prompts, |ledger| screen.show(ledger)).await?;
    screen.draw(&ledger);
    let verdict = ledger.verdict();
    println!("\n{}", verdict.sentence);
    Ok(verdict.learned)
}

/// Where the table goes: drawn over itself on a terminal, else printed in blocks.
struct Screen {
    terminal: bool,
    drawn: Option<Instant>,
    lines: usize,
    printed: usize,
}

// === impl Screen ===

impl Screen {
    fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: None, lines: 0, printed: 0 }
    }

    /// Shows the table if it is time to; the end is drawn by the caller.
    fn show(&mut self, ledger: &Ledger) {
        let due = if self.terminal {
            self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW)
        } else {
            ledger.done() >= self.printed + REPRINT && ledger.done() < ledger.requests()
        };
        if due {
            self.draw(ledger);
        }
    }

    fn draw(&mut self, ledger: &Ledger) {
        let table = driver::table(ledger);
        let mut out = std::io::stdout().lock();
        let written = if self.terminal {
            // Up to where the last table began, then clear to the end of the screen.
            let up = if self.lines > 0 { format!("\x1b[{}A\r\x1b[J", self.lines) } else { String::new() };
            write!(out, "{up}{table}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{table}")
        };
        if let Err(error) = written {
            eprintln!("demo: the table cannot be shown: {error}");
        }
        self.lines = table.lines().count();
        self.drawn = Some(Instant::now());
        self.printed = ledger.done();
    }
}
