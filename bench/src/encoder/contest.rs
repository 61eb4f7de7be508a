//! All runtimes on one model, in turn.

use std::path::Path;

use dragoman_bench_embed::{Model, Question, Work};
use dragoman_wasm_tests::system::workspace;

use super::Effort;
use super::envoy::Envoy;
use super::onnxruntime::Onnxruntime;
use super::report::{Report, Row};
use super::runtime::{Runtime, Wasmtime};
use crate::Outcome;
use crate::prompts::Prompts;

/// Tokens of a prompt, and the cap that lets all of the longest be read.
const TOKENS: [usize; 4] = [16, 64, 128, 256];
const MAX_TOKENS: u32 = 256;

/// Turns between two rows' meeting the same texts.
const APART: usize = 7;

/// What `make bench-encoder` builds.
const PLUGIN: &str = "target/wasm32-wasip1/wasm/dragoman_bench_embed.wasm";

/// Names of rows that are held against each other.
pub(super) const V8_TEXT: &str = "fused_v8_text";
pub(super) const V8: &str = "fused_v8";
pub(super) const NATIVE: &str = "fused_native";
pub(super) const INT8: &str = "onnxruntime_int8";

/// The graph itself in full precision: whose vectors are right.
const EXACT: &str = "tract_native";

/// A runtime with the model in it, and the rows that it is measured for.
struct Contestant {
    runtime: Box<dyn Runtime>,
    rows: Vec<(&'static str, Work)>,
}

/// Measures the model in `folder`; what cannot be measured is named in the report.
pub(super) fn run(folder: &Path, effort: &Effort, report: &mut Report) -> Outcome<()> {
    let name = folder.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    eprintln!("{name} …");
    let mut contestants = contestants(folder, &mut report.skipped)?;
    let prompts = Prompts::load(&folder.join("tokenizer.json"))?;
    for tokens in TOKENS {
        eprintln!("  {tokens} tokens");
        let texts = prompts.texts(tokens)?;
        let names = contestants.iter().flat_map(|c| &c.rows);
        let mut rows: Vec<Row> = names.map(|(runtime, _)| Row::new(&name, runtime, tokens)).collect();
        let chunks = texts.chunks(effort.texts).map(|texts| Chunk::new(texts, &prompts, &mut contestants));
        let chunks = chunks.take(effort.warm_up + effort.rounds).collect::<Outcome<Vec<_>>>()?;
        for round in 0..chunks.len() {
            turn(&mut contestants, &mut rows, &chunks, round)?;
            if round + 1 == effort.warm_up {
                rows.iter_mut().for_each(|row| row.turns.clear());
            }
        }
        report.rows.extend(rows);
    }
    Ok(())
}

/// Texts of one turn.
struct Chunk {
    question: Vec<String>,
    ids: Vec<Vec<u32>>,
    /// What the graph itself makes of the first text.
    exact: Vec<f32>,
}

impl Chunk {
    fn new(texts: &[String], prompts: &Prompts, contestants: &mut [Contestant]) -> Outcome<Self> {
        let ids = texts.iter().map(|text| prompts.ids(text)).collect::<Outcome<Vec<_>>>()?;
        let first = Question { work: Work::Ids, texts: texts.iter().take(1).cloned().collect() };
        let graph = contestants.iter_mut().find(|c| c.rows.iter().any(|(name, _)| *name == EXACT));
        let exact = graph.ok_or("the graph itself is not run")?.runtime.ask(&first, &ids)?.embedding;
        Ok(Self { question: texts.to_vec(), ids, exact })
    }
}

/// One turn of each row. All get other texts, and in the end all of them: no row finds what a row of the same runtime has
/// just left behind.
fn turn(contestants: &mut [Contestant], rows: &mut [Row], chunks: &[Chunk], round: usize) -> Outcome<()> {
    let mut rows = rows.iter_mut().enumerate();
    for Contestant { runtime, rows: kinds } in contestants {
        for ((_, work), (i, row)) in kinds.iter().zip(rows.by_ref()) {
            let Some(chunk) = chunks.get((round + APART * i) % chunks.len()) else { continue };
            let question = Question { work: *work, texts: chunk.question.clone() };
            let answer = runtime.ask(&question, &chunk.ids)?;
            let cosine: f32 = answer.embedding.iter().zip(&chunk.exact).map(|(a, b)| a * b).sum();
            row.cosine = row.cosine.min(cosine);
            row.turns.push(answer.nanos);
        }
    }
    Ok(())
}

/// Every runtime that can be had, with the model in it.
fn contestants(folder: &Path, skipped: &mut Vec<String>) -> Outcome<Vec<Contestant>> {
    let mut all = Vec::new();
    let mut add = |runtime: Box<dyn Runtime>, rows: &[(&'static str, Work)]| {
        all.push(Contestant { runtime, rows: rows.to_vec() });
    };
    if folder.join("model.fused").exists() {
        let plugin = workspace(PLUGIN);
        if !plugin.exists() {
            return Err(format!(
                "{} is missing: run `make bench-encoder`, which builds it",
                plugin.display()
            ));
        }
        let model = read(folder, "model.fused")?;
        add(Box::new(Envoy::start(&plugin, &model)?), &[(V8_TEXT, Work::Text), (V8, Work::Ids)]);
        add(Box::new(Wasmtime::start(&plugin, &model)?), &[("fused_wasmtime", Work::Ids)]);
        add(Box::new(model.load()?), &[(NATIVE, Work::Ids)]);
    } else {
        skipped.push(format!("{} has no model.fused: only other runtimes can be timed", folder.display()));
    }
    add(Box::new(read(folder, "model.onnx")?.load()?), &[(EXACT, Work::Ids)]);
    for (precision, name) in [("fp32", "onnxruntime_fp32"), ("int8", INT8)] {
        match Onnxruntime::start(&folder.join("model.onnx"), precision) {
            Ok(runtime) => add(Box::new(runtime), &[(name, Work::Ids)]),
            Err(why) => skipped.push(format!("{name} is left out: {why}")),
        }
    }
    Ok(all)
}

/// The model with `weights` of this name.
fn read(folder: &Path, weights: &str) -> Outcome<Model> {
    let file = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    };
    Ok(Model { max_tokens: MAX_TOKENS, tokenizer: file("tokenizer.json")?, weights: file(weights)? })
}
