//! `make bench-loop`: prints the tables and writes them to `bench/results/loop.txt`.

use std::process::ExitCode;

use dragoman_bench::loops::run;
use dragoman_wasm_tests::system::workspace;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let report = match run(&names) {
        Ok(report) => report,
        Err(why) => {
            eprintln!("bench-loop: {why}");
            return ExitCode::from(2);
        }
    };
    print!("{}", report.text());
    // A part of it would take the place of the whole.
    if names.is_empty() {
        let path = workspace("bench/results/loop.txt");
        if let Err(e) = std::fs::write(&path, report.text()) {
            eprintln!("bench-loop: cannot write {}: {e}", path.display());
            return ExitCode::FAILURE;
        }
    }
    report.missed().iter().for_each(|goal| eprintln!("bench-loop: missed: {goal}"));
    if report.missed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
