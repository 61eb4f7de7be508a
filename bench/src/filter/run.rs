//! The measurement itself.

use std::net::SocketAddr;
use std::time::Duration;

use super::report::{Added, Report, Row, Sides};
use super::routes;
use super::setups::Setups;
use crate::Outcome;
use crate::http::{Load, Measured};
use crate::numbers::{load_average, mean, quantile_ms, rss_mb};

/// Prompt lengths; the encoder reads at most 128, so the last shows that the cost has a ceiling.
const TOKENS: [usize; 4] = [16, 64, 128, 256];
/// Connections at once.
const CONCURRENCY: [usize; 2] = [1, 8];
/// Candidate routes while prompt lengths are compared.
const ROUTES: usize = 3;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Starts of each setup; the median counts.
    pub starts: usize,
    /// Blocks of each setup per row, taken in turn.
    pub blocks: usize,
    /// Length of a block.
    pub block: Duration,
    /// Pushes per number of routes.
    pub pushes: usize,
}

impl Effort {
    /// For numbers to keep: under four minutes.
    pub const FULL: Self = Self { starts: 3, blocks: 3, block: Duration::from_millis(1500), pushes: 20 };
    /// To see that everything works.
    pub const QUICK: Self = Self { starts: 1, blocks: 1, block: Duration::from_millis(300), pushes: 5 };
}

/// Measures everything.
pub fn run(effort: Effort) -> Outcome<Report> {
    let load_average = load_average();
    eprintln!("starting both setups; V8 compiles the filter anew each time …");
    let mut setups = Setups::new()?;
    let start_s = starts(&mut setups, effort.starts);
    setups.push(ROUTES)?;
    warm_up(&setups)?;
    let mut report = Report { start_s, effort, load_average, ..Report::default() };
    for tokens in TOKENS {
        for concurrency in CONCURRENCY {
            eprintln!("{tokens} tokens, concurrency {concurrency} …");
            cell(&setups, effort, (tokens, concurrency), &mut report)?;
        }
    }
    report.rss_mb =
        Sides { bare: setups.bare.id().and_then(rss_mb), filter: setups.filter.envoy_id().and_then(rss_mb) };
    eprintln!("routes and pushes …");
    report.routes = routes::measure(&mut setups, effort)?;
    Ok(report)
}

fn starts(setups: &mut Setups, count: usize) -> Sides<f64> {
    let (mut bare, mut filter) = (Vec::new(), Vec::new());
    for _ in 0..count {
        bare.push(setups.bare.start());
        filter.push(setups.restart_filter());
    }
    Sides { bare: median_s(bare), filter: median_s(filter) }
}

fn median_s(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

/// V8 optimises what runs often, and both Envoys open their connections to the upstream.
fn warm_up(setups: &Setups) -> Outcome<()> {
    let requests = setups.prompts.requests(128)?;
    for at in [setups.bare.gateway, setups.filter.listen.gateway] {
        let load = Load { at, requests: &requests, concurrency: 8, duration: Duration::from_secs(2) };
        let measured = load.run()?;
        if at == setups.filter.listen.gateway {
            setups.records.take(measured.latencies.len() + load.unmeasured())?;
        }
    }
    Ok(())
}

/// One prompt length at one concurrency: both setups in turn.
fn cell(
    setups: &Setups,
    effort: Effort,
    (tokens, concurrency): (usize, usize),
    report: &mut Report,
) -> Outcome<()> {
    let requests = setups.prompts.requests(tokens)?;
    let load = |at: SocketAddr| Load { at, requests: &requests, concurrency, duration: effort.block };
    let (mut bare, mut filter, mut stages) = (Measured::default(), Measured::default(), Vec::new());
    for _ in 0..effort.blocks {
        bare.add(load(setups.bare.gateway).run()?);
        let load = load(setups.filter.listen.gateway);
        let block = load.run()?;
        stages.extend(setups.records.take(block.latencies.len() + load.unmeasured())?);
        filter.add(block);
    }
    let row = |setup: &'static str, measured: &Measured| Row {
        setup,
        tokens,
        concurrency,
        requests: measured.latencies.len(),
        p50_ms: quantile_ms(&measured.latencies, 0.5),
        p99_ms: quantile_ms(&measured.latencies, 0.99),
        rps: measured.rps(),
    };
    let (bare, filter) = (row("bare", &bare), row("filter", &filter));
    let embed: Vec<u64> = stages.iter().map(|s| s.embed_us).collect();
    let total: Vec<u64> = stages.iter().map(|s| s.total_us).collect();
    let (added_p50_ms, embed_p50_ms) = (filter.p50_ms - bare.p50_ms, quantile_ms(&embed, 0.5));
    report.added.push(Added {
        tokens,
        concurrency,
        added_p50_ms,
        embed_p50_ms,
        total_p50_ms: quantile_ms(&total, 0.5),
        overhead_p50_ms: added_p50_ms - embed_p50_ms,
        busy_overhead_ms: 1e3 / filter.rps - mean(&embed) / 1e3,
    });
    report.rows.extend([bare, filter]);
    Ok(())
}
