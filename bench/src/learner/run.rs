//! The measurement itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dragoman_bench_decide::{self as decide, CONTEXT, Case, Form, Timing};
use serde_json::Value;

use super::report::{Decide, Report};
use super::{learn, peers, v8};
use crate::Outcome;
use crate::numbers::{load_average, mean, quantile};

/// The goals are set for this many candidates, and this k.
pub(super) const ROUTES: usize = 24;
pub(super) const DIMENSIONS: usize = 64;

/// How the cost grows: routes, and dimensions.
const GROWTH: ([usize; 3], [usize; 3]) = ([3, 8, 24], [32, 64, 128]);

/// How long to measure, and whether routing quality is asked for.
#[derive(Debug, Clone)]
pub struct Effort {
    /// Per case, before it counts.
    pub warm_up: Duration,
    /// Per case.
    pub measure: Duration,
    /// Recorded benchmarks to judge routing with.
    pub data: Option<PathBuf>,
    /// Orders of the stream to judge them with.
    pub seeds: u32,
    /// Contexts of its prompts, for peers without features of their own.
    pub features: Option<PathBuf>,
    /// The orders themselves, instead of shuffles of their own.
    pub orders: Option<PathBuf>,
}

impl Default for Effort {
    /// For numbers to keep.
    fn default() -> Self {
        Self {
            warm_up: Duration::from_millis(500),
            measure: Duration::from_secs(1),
            data: None,
            seeds: 20,
            features: None,
            orders: None,
        }
    }
}

/// Measures everything.
pub fn run(effort: &Effort) -> Outcome<Report> {
    let load_average = load_average();
    let mut report = Report { load_average, ..Report::default() };
    eprintln!("deciding natively and in Envoy's V8 …");
    report.decide = decisions(effort)?;
    eprintln!("learning …");
    for k in GROWTH.1 {
        report.learn.push(learn::measure(Form::Kernel, k, ROUTES, effort)?);
    }
    report.learn.push(learn::measure(Form::Whole, CONTEXT, ROUTES, effort)?);
    for peer in peers::PEERS {
        eprintln!("{peer} …");
        report.peers.insert(peer.to_owned(), peers::run(peer, effort).unwrap_or_else(Value::String));
    }
    report.judge();
    Ok(report)
}

fn decisions(effort: &Effort) -> Outcome<Vec<Decide>> {
    let kernel = GROWTH
        .1
        .into_iter()
        .flat_map(|dimensions| GROWTH.0.map(|routes| Case { form: Form::Kernel, routes, dimensions }));
    let whole = Case { form: Form::Whole, routes: ROUTES, dimensions: CONTEXT };
    let cases: Vec<Case> = kernel.chain([whole]).collect();
    let nanos = |d: Duration| d.as_nanos() as u64;
    // The clock of V8 counts nanoseconds and costs 0.1 µs: each decision is timed by itself.
    let asked =
        decide::Effort { warm_up_ns: nanos(effort.warm_up), measure_ns: nanos(effort.measure), batch: 1 };
    let start = Instant::now();
    let clock = || nanos(start.elapsed());
    let native: Vec<Timing> =
        cases.iter().map(|case| decide::measure(case, asked, &clock)).collect::<Outcome<_>>()?;
    let v8 = v8::decide(&cases, asked)?;
    let row = |(case, (native, v8)): (&Case, (&Timing, &Timing))| Decide {
        form: case.form,
        routes: case.routes,
        dimensions: case.dimensions,
        native_per_s: per_s(native),
        native_p50_us: p_us(native, 0.5),
        native_p99_us: p_us(native, 0.99),
        v8_p50_us: p_us(v8, 0.5),
        v8_p99_us: p_us(v8, 0.99),
        same_bits: native.digest == v8.digest,
    };
    Ok(cases.iter().zip(native.iter().zip(&v8)).map(row).collect())
}

/// A quantile of microseconds per decision.
fn p_us(timing: &Timing, q: f64) -> f64 {
    quantile(&timing.batches, q) as f64 / 1e3 / f64::from(timing.batch)
}

/// Decisions in a second.
fn per_s(timing: &Timing) -> f64 {
    f64::from(timing.batch) * 1e9 / mean(&timing.batches)
}
