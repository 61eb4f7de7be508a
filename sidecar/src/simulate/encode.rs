//! From recorded rows to what the router sees: the real path of a request, with embeddings cached.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dragoman_core::context::Context;
use dragoman_core::learner::Base;
use dragoman_core::request::{Api, PromptRequest, RequestFacts, parse};
use dragoman_core::signals::{Heads, SignalModel, SignalRules, Signals};
use dragoman_encoder::{Encoder, REVISION};
use indicatif::ProgressBar;
use serde_json::json;

use super::cache::{Cache, hash};
use super::rows::Row;
use crate::learn::projection;
use crate::signals::heads;

/// The format simulated requests are made in.
pub(crate) const API: Api = Api::ChatCompletions;

/// What the router knows of one request.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) context: Arc<Context>,
    pub(crate) signals: Signals,
    pub(crate) facts: RequestFacts,
}

/// The files of an encoder: those shipped in the binary, or of a folder.
pub(crate) struct EncoderFiles {
    name: String,
    model: Cow<'static, [u8]>,
    tokenizer: Cow<'static, [u8]>,
    projection: Cow<'static, [u8]>,
    /// Nothing where the encoder comes without.
    heads: Option<Cow<'static, [u8]>>,
}

// === impl EncoderFiles ===

impl EncoderFiles {
    /// The shipped encoder, the same bytes that the filter embeds.
    pub(crate) fn shipped() -> Self {
        Self {
            name: "the shipped encoder".into(),
            model: Cow::Borrowed(include_bytes!("../../../models/dragoman-small/model.fused")),
            tokenizer: Cow::Borrowed(include_bytes!("../../../models/dragoman-small/tokenizer.json")),
            projection: Cow::Borrowed(include_bytes!(
                "../../../models/dragoman-small/projection.safetensors"
            )),
            heads: Some(Cow::Borrowed(include_bytes!("../../../models/dragoman-small/heads.safetensors"))),
        }
    }

    /// # Errors
    ///
    /// A sentence with the path of the file that cannot be read.
    pub(crate) fn of(folder: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            let path = folder.join(name);
            let told = |e| format!("{}: cannot be read: {e}; --encoder DIR needs it", path.display());
            std::fs::read(&path).map(Cow::Owned).map_err(told)
        };
        Ok(Self {
            name: folder.display().to_string(),
            // What the filter would run; a model of another architecture has only the graph.
            model: read("model.fused").or_else(|_| read("model.onnx"))?,
            tokenizer: read("tokenizer.json")?,
            projection: read(projection::FILE)?,
            heads: folder.join(heads::FILE).exists().then(|| read(heads::FILE)).transpose()?,
        })
    }

    /// What a learner starts with.
    pub(crate) fn base(&self) -> Result<Base, String> {
        projection::parse(&self.projection)
            .map_err(|why| format!("{}: {} {why}", self.name, projection::FILE))
    }

    /// What reads signals off its embeddings.
    pub(crate) fn heads(&self) -> Result<Heads, String> {
        let parse = |bytes: &Cow<[u8]>| {
            Heads::parse(bytes).map_err(|why| format!("{}: {} {why}", self.name, heads::FILE))
        };
        self.heads.as_ref().map_or_else(|| Ok(Heads::default()), parse)
    }

    pub(crate) fn load(&self, max_tokens: usize) -> Result<Encoder, String> {
        Encoder::load(self.model.clone(), &self.tokenizer, max_tokens)
            .map_err(|e| format!("{}: {e}", self.name))
    }

    fn key(&self, max_tokens: usize) -> [u8; 32] {
        hash(&[&self.model, &self.tokenizer, &(max_tokens as u64).to_le_bytes(), &[REVISION]])
    }
}

/// Where embeddings are kept when nobody says: `$XDG_CACHE_HOME`, else `~/.cache`, else the temporary folder.
pub(crate) fn default_cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("dragoman/embeddings")
}

/// Every row's prompt on the real path: a chat body → parse → embed → signals → context, in the rows' order.
///
/// # Errors
///
/// A sentence: the encoder cannot be loaded or fails.
pub(crate) fn prompts(
    rows: &[Row],
    files: &EncoderFiles,
    max_tokens: usize,
    cache: &Path,
    threads: usize,
) -> Result<Vec<Prompt>, String> {
    let requests = rows.iter().map(request).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<&str> = requests.iter().map(|r| r.prompt.as_str()).collect();
    let mut cache = Cache::open(cache, files.key(max_tokens));
    fill(&mut cache, &texts, files, max_tokens, threads)?;
    let model = SignalModel { heads: files.heads()?, candidates: vec![] };
    let rules = SignalRules::new(&[], &[], Arc::new(model))?;
    let prompt = |request: &PromptRequest| {
        let embedding = cache.get(&request.prompt);
        let signals = rules.extract(&request.prompt, &request.facts, embedding);
        let context = Context::new(embedding, embedding.map_or(0, <[f32]>::len), &signals, &request.facts);
        Prompt { context: Arc::new(context), signals, facts: request.facts.clone() }
    };
    Ok(requests.iter().map(prompt).collect())
}

fn request(row: &Row) -> Result<PromptRequest, String> {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": row.prompt}]}).to_string();
    parse(API, body.as_bytes()).map_err(|e| format!("a prompt cannot be made a request: {e}"))
}

/// Embeds what the cache does not have.
fn fill(
    cache: &mut Cache,
    texts: &[&str],
    files: &EncoderFiles,
    max_tokens: usize,
    threads: usize,
) -> Result<(), String> {
    let mut missing: Vec<&str> = texts.iter().copied().filter(|t| cache.get(t).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let encoder = files.load(max_tokens)?;
    let bar = super::progress("embedding", missing.len());
    let embedded = embed_all(&encoder, &missing, threads, &bar);
    bar.finish_and_clear();
    if let Err(why) = cache.add(embedded?) {
        // A cache that cannot be written costs time, not results.
        log::warn!("{why}");
    }
    Ok(())
}

fn embed_all<'t>(
    encoder: &Encoder,
    texts: &[&'t str],
    threads: usize,
    bar: &ProgressBar,
) -> Result<Vec<(&'t str, Vec<f32>)>, String> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(&'t str, Vec<f32>)>, String> {
        let mut done = Vec::new();
        while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*text, encoder.embed(text).map_err(|e| e.to_string())?));
            bar.inc(1);
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::with_capacity(texts.len());
        for worker in workers {
            all.extend(worker.join().map_err(|_| "an embedding thread ended early".to_owned())??);
        }
        Ok(all)
    })
}
