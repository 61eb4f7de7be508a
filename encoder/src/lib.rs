//! Text to embedding.
//!
//! This room owns the tokenizer, the ONNX graph and the token cap that gives a request's cost a ceiling.
//! It must not know what an embedding is used for: no routes, no requests, no Envoy.

mod backend;
mod cache;
mod text;

use std::fmt;

use tokenizers::Tokenizer;

pub use cache::{Cache, Key};

use crate::backend::TractModel;
use crate::text::head;

/// Bytes of text read per token of the cap. English needs about 5; the rest is room for white space and long
/// words, so that a ten-megabyte prompt costs the tokenizer no more than a long one.
const BYTES_PER_TOKEN: usize = 16;

/// A loaded encoder: `text → tokens (capped) → ONNX graph → unit vector`.
///
/// Loading parses and optimises the graph (60-130 ms in V8), so do it when the plugin is configured.
pub struct Encoder {
    tokenizer: Tokenizer,
    model: TractModel,
    max_tokens: usize,
}

impl Encoder {
    /// Loads an encoder from the bytes of `model.onnx` and `tokenizer.json`.
    ///
    /// The graph takes one `i64[1, S]` input of token ids and gives one `f32[1, D]` output; `max_tokens`
    /// (special tokens included, at least 3) caps `S`.
    pub fn load(onnx: &[u8], tokenizer: &[u8], max_tokens: usize) -> Result<Self, EncoderError> {
        if max_tokens < 3 {
            return Err(EncoderError::Tokenizer(format!(
                "the token cap must be at least 3 ([CLS], one token, [SEP]), not {max_tokens}"
            )));
        }
        let tokenizer = load_tokenizer(tokenizer, max_tokens)?;
        let model = TractModel::load(onnx)?;
        Ok(Self { tokenizer, model, max_tokens })
    }

    /// The token ids of `text`, special tokens included, at most the cap; the last special token is kept.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, EncoderError> {
        let text = read_part(text, self.max_tokens);
        let encoding =
            self.tokenizer.encode_fast(text, true).map_err(|e| EncoderError::Tokenizer(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The embedding of `text`: `D` floats of unit length (the graph normalises).
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, EncoderError> {
        let embedding = self.model.run(&self.tokenize(text)?)?;
        match embedding.iter().all(|v| v.is_finite()) {
            true => Ok(embedding),
            false => Err(EncoderError::Model("the graph gave a value that is not finite".into())),
        }
    }
}

/// The part of `text` that is read under a cap of `max_tokens`: texts that agree in it have one embedding.
pub fn read_part(text: &str, max_tokens: usize) -> &str {
    head(text, max_tokens.saturating_mul(BYTES_PER_TOKEN))
}

fn load_tokenizer(json: &[u8], max_tokens: usize) -> Result<Tokenizer, EncoderError> {
    let mut tokenizer = Tokenizer::from_bytes(json)
        .map_err(|e| EncoderError::Tokenizer(format!("tokenizer.json cannot be read: {e}")))?;
    let truncation = tokenizers::TruncationParams { max_length: max_tokens, ..Default::default() };
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(Some(truncation))
        .map_err(|e| EncoderError::Tokenizer(format!("the token cap {max_tokens} does not fit: {e}")))?;
    Ok(tokenizer)
}

/// Why a text has no embedding. The text itself is never part of the message.
#[derive(Debug)]
pub enum EncoderError {
    /// The tokenizer could not be loaded or refused the text.
    Tokenizer(String),
    /// The graph could not be loaded or run.
    Model(String),
}

impl fmt::Display for EncoderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokenizer(why) => write!(f, "tokenizer: {why}"),
            Self::Model(why) => write!(f, "encoder model: {why}"),
        }
    }
}

impl std::error::Error for EncoderError {}
