//! `make bench-encoder`: prints the table and writes `target/bench/encoder.json`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use dragoman_bench::encoder::{Effort, run};
use dragoman_bench::write;
use dragoman_wasm_tests::system::workspace;

const USAGE: &str = "usage: bench-encoder [--quick] [MODEL…]
  --quick  only show that everything works
  MODEL    folders of models; models/dragoman-small unless said. The goals are held against the first";

fn main() -> ExitCode {
    let Some(effort) = effort(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let path = workspace("target/bench/encoder.json");
    match run(&effort).and_then(|report| write(&report, &path).map(|()| report)) {
        Ok(report) => {
            println!("{report}\nalso in {}", path.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("bench-encoder: {why}");
            ExitCode::FAILURE
        }
    }
}

fn effort(arguments: impl Iterator<Item = String>) -> Option<Effort> {
    let (mut effort, mut models) = (Effort::default(), Vec::new());
    for argument in arguments {
        match argument.as_str() {
            "--quick" => {
                (effort.rounds, effort.warm_up, effort.starts) = (2, 1, 1);
                (effort.texts, effort.load) = (4, Duration::from_millis(300));
            }
            option if option.starts_with('-') => return None,
            folder => models.push(PathBuf::from(folder)),
        }
    }
    if !models.is_empty() {
        effort.models = models;
    }
    Some(effort)
}
