//! Embeddings for filters whose model is too large for Envoy's threads: the model of `encoder.path` on threads of its
//! own, behind a bounded queue.
//!
//! This room owns the model, the threads and the queue. It must not know HTTP, records or routes.

mod pool;
mod twin;

use std::path::{Path, PathBuf};

use dragoman_core::config::{Config, EncoderConfig, EncoderMode};
use dragoman_encoder::Encoder;
use log::info;

pub use pool::{Busy, Encoded, MAX_WAITING, Pool};
pub use twin::Twin;

use crate::learn::projection;

/// The model files of a folder, the first that is there is taken: weights converted for our own kernels, or any graph.
const MODELS: [&str; 2] = [FUSED, "model.onnx"];
const FUSED: &str = "model.fused";
const TOKENIZER: &str = "tokenizer.json";

/// The pool that `config` asks for; none unless `encoder.mode` is `sidecar`.
///
/// # Errors
///
/// A sentence: a file of `encoder.path` cannot be used, or the files do not fit each other.
pub fn start(config: &Config) -> Result<Option<Pool>, String> {
    let EncoderConfig { mode, path, max_tokens, threads, .. } = &config.encoder;
    if *mode != EncoderMode::Sidecar {
        return Ok(None);
    }
    let (folder, max_tokens) = (Path::new(path), *max_tokens as usize);
    let encoder = load(folder, max_tokens)?;
    let size = encode(&encoder, "size")?.vector.len();
    let wanted = projection::load(folder)?.embedding_size();
    if size != wanted {
        return Err(format!(
            "{}: the model gives {size} numbers and {} is for {wanted}; both must be of one model",
            folder.display(),
            projection::FILE
        ));
    }
    info!("encoding in {size} dimensions on {threads} threads, by {}", folder.display());
    let work = move |text: &str| encode(&encoder, text);
    Pool::start(work, *threads as usize, MAX_WAITING).map(Some)
}

pub(crate) fn load(folder: &Path, max_tokens: usize) -> Result<Encoder, String> {
    let model = MODELS.iter().map(|name| folder.join(name)).find(|path| path.exists());
    let model = model.ok_or_else(|| {
        format!(
            "{} has no {}; point encoder.path at the encoder's folder",
            folder.display(),
            MODELS.join(" or ")
        )
    })?;
    let encoder = Encoder::load(read(model)?.into(), &read(folder.join(TOKENIZER))?, max_tokens);
    encoder.map_err(|e| format!("{}: {e}", folder.display()))
}

fn read(path: PathBuf) -> Result<Vec<u8>, String> {
    std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn encode(encoder: &Encoder, text: &str) -> Result<Encoded, String> {
    let ids = encoder.tokenize(text).map_err(|e| e.to_string())?;
    let vector = encoder.embed_ids(&ids).map_err(|e| e.to_string())?;
    Ok(Encoded { vector: vector.into(), tokens: ids.len() })
}
