//! The measurement itself.

use std::path::PathBuf;
use std::time::Duration;

use dragoman_wasm_tests::system::workspace;

use super::report::Report;
use super::{contest, held};
use crate::Outcome;
use crate::numbers::load_average;

/// What is measured, and how long.
#[derive(Debug, Clone)]
pub struct Effort {
    /// Folders of models; the first is the one that the goals are for.
    pub models: Vec<PathBuf>,
    /// Turns of each runtime at each length that count.
    pub rounds: usize,
    /// Turns before: V8 optimises what runs often.
    pub warm_up: usize,
    /// Texts of a turn, each embedded once.
    pub texts: usize,
    /// Starts of Envoy.
    pub starts: usize,
    /// The load before its memory is read.
    pub load: Duration,
}

impl Default for Effort {
    /// For numbers to keep.
    fn default() -> Self {
        Self {
            models: vec![workspace("models/dragoman-small")],
            rounds: 15,
            warm_up: 5,
            texts: 64,
            starts: 5,
            load: Duration::from_secs(3),
        }
    }
}

/// Measures everything.
pub fn run(effort: &Effort) -> Outcome<Report> {
    let mut report = Report { load_average: load_average(), ..Report::default() };
    eprintln!("Envoy with the filter …");
    report.wasm_mb = held::wasm_mb()?;
    report.start_s = held::start_s(effort)?;
    report.rss_mb = held::resident_mb(effort)?;
    for folder in &effort.models {
        contest::run(folder, effort, &mut report)?;
    }
    report.judge();
    Ok(report)
}
