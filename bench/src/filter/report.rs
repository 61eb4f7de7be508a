//! The results: tables for people, JSON for machines.

use std::fmt;

use serde::Serialize;

use super::run::Effort;

/// At p50 and concurrency 1 the filter may add this much to the embedding's own time, ms.
const GOAL_MS: f64 = 1.0;

/// Everything measured in one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Latency and throughput of both setups.
    pub rows: Vec<Row>,
    /// Seconds until Envoy is ready, the median of several starts.
    pub start_s: Sides<f64>,
    /// Resident memory after the load, MB; `null` where it cannot be read.
    pub rss_mb: Sides<Option<f64>>,
    /// What the filter adds.
    pub added: Vec<Added>,
    /// Cost by number of routes.
    pub routes: Vec<RouteRow>,
    /// Envoy's worker threads, in both setups.
    pub workers: u32,
    /// Cores of the machine.
    pub cores: usize,
    /// The machine's load average of the minute before the run.
    pub load_average: Option<f64>,
    #[serde(skip)]
    pub(super) effort: Effort,
}

/// One setup at one prompt length and concurrency.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `bare` or `filter`.
    pub setup: &'static str,
    /// Tokens of each prompt, special ones included.
    pub tokens: usize,
    /// Connections.
    pub concurrency: usize,
    /// Answers measured.
    pub requests: usize,
    /// Median latency.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Answers per second.
    pub rps: f64,
}

/// What the filter adds at one prompt length and concurrency.
#[derive(Debug, Clone, Serialize)]
pub struct Added {
    /// Tokens of each prompt.
    pub tokens: usize,
    /// Connections.
    pub concurrency: usize,
    /// Median latency with the filter minus without.
    pub added_p50_ms: f64,
    /// Median of the records' embedding stage.
    pub embed_p50_ms: f64,
    /// Median of the records' total: all of deciding, from the body to its rewriting.
    pub total_p50_ms: f64,
    /// `added - embed`. Above concurrency 1 it is mostly waiting for the embeddings of others.
    pub overhead_p50_ms: f64,
    /// Mean time between two answers minus the mean embedding: what a busy worker spends on a request besides.
    pub busy_overhead_ms: f64,
}

/// The filter with one number of candidate routes, at concurrency 1.
#[derive(Debug, Clone, Serialize)]
pub struct RouteRow {
    /// Candidates of every request.
    pub routes: usize,
    /// Tokens of each prompt.
    pub tokens: usize,
    /// Size of the pushed snapshot.
    pub snapshot_bytes: usize,
    /// Median latency.
    pub p50_ms: f64,
    /// Median of the records' deciding stage: context, scores and choice.
    pub decide_p50_ms: f64,
    /// Median of the records' total.
    pub total_p50_ms: f64,
    /// From the push to its acknowledgement, median.
    pub push_ack_p50_ms: f64,
    /// The slowest.
    pub push_ack_max_ms: f64,
    /// Median latency of the first request after a push, which reads the snapshot.
    pub first_request_p50_ms: f64,
}

/// One value of each setup.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Sides<T> {
    /// Envoy alone.
    pub bare: T,
    /// Envoy with the filter.
    pub filter: T,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            start_s: Sides::default(),
            rss_mb: Sides::default(),
            added: Vec::new(),
            routes: Vec::new(),
            workers: 1,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: None,
            effort: Effort::FULL,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.latencies(f)?;
        self.additions(f)?;
        self.growth(f)?;
        self.process(f)
    }
}

impl Report {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Effort { starts, blocks, block, pushes } = self.effort;
        writeln!(
            f,
            "Bare Envoy and Envoy with Dragoman's filter, side by side, each with ONE worker (--concurrency 1)"
        )?;
        writeln!(
            f,
            "on {} cores shared with client and upstream; per row {blocks} blocks of {block:?} in turn, \
             {starts} starts, {pushes} pushes",
            self.cores
        )?;
        match self.load_average {
            Some(load) if load > 0.5 => {
                writeln!(
                    f,
                    "NOTE: the machine was busy in the minute before (load average {load:.1}; a build counts too): \
                     if others are running, run it again when they are not"
                )
            }
            _ => Ok(()),
        }
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\ntokens  conc.  setup    p50 ms   p99 ms   requests/s")?;
        for r in &self.rows {
            let Row { setup, tokens, concurrency, p50_ms, p99_ms, rps, .. } = r;
            writeln!(f, "{tokens:>6}  {concurrency:>5}  {setup:<6} {p50_ms:>8.3} {p99_ms:>8.3} {rps:>12.0}")?;
        }
        Ok(())
    }

    fn additions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nWhat the filter adds at p50, ms (stages are the filter's own clock, from its replay records)"
        )?;
        writeln!(
            f,
            "tokens  conc.    added    embed  all of deciding  added - embed   goal: at most {GOAL_MS}"
        )?;
        for a in &self.added {
            let goal = match (a.concurrency, a.overhead_p50_ms <= GOAL_MS) {
                (1, true) => "met".to_owned(),
                (1, false) => "NOT MET".to_owned(),
                _ => format!("(queueing; busy worker: embed + {:.3})", a.busy_overhead_ms),
            };
            let Added {
                tokens, concurrency, added_p50_ms, embed_p50_ms, total_p50_ms, overhead_p50_ms, ..
            } = a;
            writeln!(
                f,
                "{tokens:>6}  {concurrency:>5} {added_p50_ms:>8.3} {embed_p50_ms:>8.3} {total_p50_ms:>16.3} \
                 {overhead_p50_ms:>14.3}   {goal}"
            )?;
        }
        Ok(())
    }

    fn growth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nHow it grows with the routes (concurrency 1, 16 tokens, k = 64), ms at p50")?;
        writeln!(
            f,
            "routes  latency   decide  all of deciding  snapshot kB  push to ack (max)  next request"
        )?;
        for r in &self.routes {
            writeln!(
                f,
                "{:>6} {:>8.3} {:>8.3} {:>16.3} {:>12.0} {:>9.1} ({:>5.1}) {:>13.1}",
                r.routes,
                r.p50_ms,
                r.decide_p50_ms,
                r.total_p50_ms,
                r.snapshot_bytes as f64 / 1e3,
                r.push_ack_p50_ms,
                r.push_ack_max_ms,
                r.first_request_p50_ms
            )?;
        }
        Ok(())
    }

    fn process(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |value: Option<f64>| value.map_or("unknown".to_owned(), |v| format!("{v:.0} MB"));
        let Self { start_s, rss_mb, .. } = self;
        writeln!(f, "\n         start-up    RSS after the load")?;
        writeln!(f, "bare    {:>7.2} s    {}", start_s.bare, mb(rss_mb.bare))?;
        writeln!(f, "filter  {:>7.2} s    {}", start_s.filter, mb(rss_mb.filter))
    }
}
