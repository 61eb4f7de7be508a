//! `make bench-loop`: prints the tables and writes them to `bench/results/loop.txt`. Worlds may be named, and other seeds
//! with `--from N`; then nothing is written.

use std::process::ExitCode;

use dragoman_bench::loops::{FIRST_SEED, run};
use dragoman_wasm_tests::system::workspace;

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let (report, from) =
        match from(&mut names).and_then(|from| run(&names, from.unwrap_or(FIRST_SEED)).map(|r| (r, from))) {
            Ok(report) => report,
            Err(why) => {
                eprintln!("bench-loop: {why}");
                return ExitCode::from(2);
            }
        };
    print!("{}", report.text());
    // A part of it, or other seeds, would take the place of the whole.
    if names.is_empty() && from.is_none() {
        let path = workspace("bench/results/loop.txt");
        if let Err(e) = std::fs::write(&path, report.text()) {
            eprintln!("bench-loop: cannot write {}: {e}", path.display());
            return ExitCode::FAILURE;
        }
    }
    report.missed().iter().for_each(|goal| eprintln!("bench-loop: missed: {goal}"));
    if report.missed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes `--from N` out of the arguments.
fn from(args: &mut Vec<String>) -> Result<Option<u64>, String> {
    let Some(at) = args.iter().position(|arg| arg == "--from") else { return Ok(None) };
    let number = args.drain(at..(at + 2).min(args.len())).nth(1);
    let seed = number.as_deref().and_then(|text| text.parse().ok());
    seed.map(Some).ok_or_else(|| "--from wants the first seed, such as --from 10000".into())
}
