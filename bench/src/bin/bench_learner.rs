//! `make bench-learner`: prints the tables and writes `target/bench/learner.json`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use dragoman_bench::learner::{Effort, run};
use dragoman_bench::write;
use dragoman_wasm_tests::system::workspace;

const USAGE: &str = "usage: bench-learner [--quick] [--data FOLDER] [--seeds N] [--features FILE] [--orders FILE]
  --quick     only show that everything works
  --data      recorded benchmarks (pareto_train.jsonl.gz, pareto_val.jsonl.gz) to judge routing with
  --seeds     orders of the stream to judge with (20)
  --features  contexts of the benchmarks' prompts, for peers without features of their own: see bench/README.md
  --orders    the orders themselves, to judge all with the same: see bench/README.md";

fn main() -> ExitCode {
    let Some(effort) = effort(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let path = workspace("target/bench/learner.json");
    match run(&effort).and_then(|report| write(&report, &path).map(|()| report)) {
        Ok(report) => {
            println!("{report}\nalso in {}", path.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("bench-learner: {why}");
            ExitCode::FAILURE
        }
    }
}

fn effort(mut arguments: impl Iterator<Item = String>) -> Option<Effort> {
    let mut effort = Effort::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => {
                (effort.warm_up, effort.measure) = (Duration::from_millis(50), Duration::from_millis(50))
            }
            "--data" => effort.data = Some(PathBuf::from(arguments.next()?)),
            "--seeds" => effort.seeds = arguments.next()?.parse().ok()?,
            "--features" => effort.features = Some(PathBuf::from(arguments.next()?)),
            "--orders" => effort.orders = Some(PathBuf::from(arguments.next()?)),
            _ => return None,
        }
    }
    Some(effort)
}
