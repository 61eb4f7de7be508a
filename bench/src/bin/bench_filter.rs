//! `make bench-filter`: prints the tables and writes `target/bench/filter.json`. With `--quick` it only shows that
//! everything works.

use std::process::ExitCode;

use dragoman_bench::filter::{Effort, run};
use dragoman_bench::write;
use dragoman_wasm_tests::system::workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Effort::FULL,
        ["--quick"] => Effort::QUICK,
        _ => {
            eprintln!("usage: bench-filter [--quick]");
            return ExitCode::from(2);
        }
    };
    let path = workspace("target/bench/filter.json");
    match run(effort).and_then(|report| write(&report, &path).map(|()| report)) {
        Ok(report) => {
            println!("{report}\nalso in {}", path.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("bench-filter: {why}");
            ExitCode::FAILURE
        }
    }
}
