//! The results: tables for people, JSON for machines.

use std::fmt;

use serde::Serialize;

use super::contest::{INT8, NATIVE, V8, V8_TEXT};
use crate::numbers::quantile;

/// Everything measured in one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// One text embedded, by model, runtime and length.
    pub rows: Vec<Row>,
    /// Seconds until Envoy with the shipped filter and one worker accepts requests, median.
    pub start_s: f64,
    /// Resident memory of Envoy with the shipped filter, after a load.
    pub rss_mb: Workers,
    /// Size of the shipped filter, 10⁶ bytes.
    pub wasm_mb: f64,
    /// What was asked for, and whether it was reached.
    pub goals: Vec<Goal>,
    /// What was not measured, and why.
    pub skipped: Vec<String>,
    /// Cores of the machine; each runtime has one.
    pub cores: usize,
    /// The machine's load average of the minute before the run.
    pub load_average: Option<f64>,
}

/// MB (10⁶ bytes) by number of workers.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Workers {
    /// One.
    #[serde(rename = "1")]
    pub one: f64,
    /// Two.
    #[serde(rename = "2")]
    pub two: f64,
}

/// One runtime on one model at one length.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The model's folder.
    pub model: String,
    /// Who embeds; `_text` includes tokenizing, all others start from token ids.
    pub runtime: &'static str,
    /// Tokens of each text, special ones included.
    pub tokens: usize,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The least cosine between its vectors and those of the ONNX graph in full precision.
    pub cosine: f32,
    /// Nanoseconds of each text, turn by turn.
    #[serde(skip)]
    pub(super) turns: Vec<Vec<u64>>,
}

/// One number that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Goal {
    /// What.
    pub what: String,
    /// It may be so much at most.
    pub goal: f64,
    /// The number measured; `null` if it was not.
    pub measured: Option<f64>,
    /// Whether it was reached.
    pub met: bool,
}

// === impl Row ===

impl Row {
    pub(super) fn new(model: &str, runtime: &'static str, tokens: usize) -> Self {
        Self {
            model: model.into(),
            runtime,
            tokens,
            p50_ms: 0.0,
            p99_ms: 0.0,
            cosine: 1.0,
            turns: Vec::new(),
        }
    }

    fn sum_up(&mut self) {
        let nanos = self.turns.concat();
        (self.p50_ms, self.p99_ms) =
            (quantile(&nanos, 0.5) as f64 / 1e6, quantile(&nanos, 0.99) as f64 / 1e6);
    }

    /// How many times as long as `other`: the median of the turns' ratios, so that drift cancels out.
    fn ratio(&self, other: &Row) -> f64 {
        let median = |turn: &Vec<u64>| quantile(turn, 0.5) as f64;
        let pairs = self.turns.iter().zip(&other.turns);
        let mut ratios: Vec<f64> = pairs.map(|(a, b)| median(a) / median(b)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

// === impl Report ===

impl Default for Report {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            start_s: 0.0,
            rss_mb: Workers::default(),
            wasm_mb: 0.0,
            goals: Vec::new(),
            skipped: Vec::new(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: None,
        }
    }
}

impl Report {
    /// Takes medians, and holds the first model and the shipped filter against the goals.
    pub(super) fn judge(&mut self) {
        self.rows.iter_mut().for_each(Row::sum_up);
        let row = |runtime: &str, tokens: usize| {
            let model = &self.rows.first()?.model;
            self.rows.iter().find(|r| (&r.model, r.runtime, r.tokens) == (model, runtime, tokens))
        };
        let p50 = |runtime, tokens| row(runtime, tokens).map(|r| r.p50_ms);
        let ratio = |runtime, tokens| Some(row(runtime, tokens)?.ratio(row(INT8, tokens)?));
        let Workers { one, two } = self.rss_mb;
        let goals = [
            ("embed a text in V8, 64 tokens, p50 ms", 0.9, p50(V8_TEXT, 64)),
            ("embed a text in V8, 128 tokens, p50 ms", 1.9, p50(V8_TEXT, 128)),
            ("V8 against onnxruntime int8, 64 tokens", 1.3, ratio(V8, 64)),
            ("V8 against onnxruntime int8, 128 tokens", 1.3, ratio(V8, 128)),
            ("native against onnxruntime int8, 64 tokens", 1.0, ratio(NATIVE, 64)),
            ("native against onnxruntime int8, 128 tokens", 1.0, ratio(NATIVE, 128)),
            ("start of Envoy with the filter, s", 0.8, Some(self.start_s)),
            ("resident, one worker, MB", 200.0, Some(one)),
            ("resident, each further worker, MB", 40.0, Some(two - one)),
            (".wasm with the model, MB", 8.0, Some(self.wasm_mb)),
        ];
        let goal = |(what, goal, measured): (&str, f64, Option<f64>)| Goal {
            what: what.to_owned(),
            goal,
            measured,
            met: measured.is_some_and(|m| m <= goal),
        };
        self.goals = goals.map(goal).into();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Embedding on ONE thread, runtimes in turn on a machine of {} cores", self.cores)?;
        if let Some(load) = self.load_average.filter(|load| *load > 0.5) {
            writeln!(
                f,
                "NOTE: the machine was busy in the minute before (load average {load:.1}; a build counts too): \
                 if others are running, run it again when they are not"
            )?;
        }
        self.table(f)?;
        writeln!(
            f,
            "\nEnvoy with the filter: {:.2} s to start, {:.1} MB of .wasm",
            self.start_s, self.wasm_mb
        )?;
        let Workers { one, two } = self.rss_mb;
        writeln!(f, "resident after a load: {one:.0} MB with one worker, {two:.0} MB with two")?;
        self.skipped.iter().try_for_each(|why| writeln!(f, "NOTE: {why}"))?;
        writeln!(f, "\nGoals (at most)")?;
        for Goal { what, goal, measured, met } in &self.goals {
            let measured = measured.map_or("not measured".to_owned(), |m| format!("{m:.2}"));
            let verdict = if *met { "met" } else { "NOT MET" };
            writeln!(f, "{what:<46} {measured:>12} {goal:>8}   {verdict}")?;
        }
        Ok(())
    }
}

impl Report {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for row in &self.rows {
            let Row { model, runtime, tokens, p50_ms, p99_ms, cosine, .. } = row;
            if before.replace((model, tokens)) != Some((model, tokens)) {
                writeln!(
                    f,
                    "\n{:<46} p50 ms   p99 ms   x int8   cosine",
                    format!("{model}, {tokens} tokens")
                )?;
            }
            let same = |r: &&Row| (&r.model, r.tokens, r.runtime) == (model, *tokens, INT8);
            let ratio = self.rows.iter().find(same).map(|int8| row.ratio(int8));
            let ratio = ratio.map_or("-".to_owned(), |r| format!("{r:.2}"));
            writeln!(f, "  {runtime:<43} {p50_ms:>7.3} {p99_ms:>8.3} {ratio:>8} {cosine:>8.5}")?;
        }
        Ok(())
    }
}
