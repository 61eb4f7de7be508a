//! Text to embedding.
//!
//! This room owns the tokenizer, the ONNX graph and the token cap that gives a request's cost a ceiling.
//! It must not know what an embedding is used for: no routes, no requests, no Envoy.

mod backend;
mod reader;
mod text;

use std::fmt;

use crate::backend::TractModel;
use crate::reader::Reader;

pub use crate::text::excerpt;

/// A loaded encoder: `text → tokens (capped) → ONNX graph → unit vector`.
///
/// Loading parses and optimises the graph (60-130 ms in V8), so do it when the plugin is configured.
pub struct Encoder {
    reader: Reader,
    model: TractModel,
}

impl Encoder {
    /// Loads an encoder from the bytes of `model.onnx` and `tokenizer.json`.
    ///
    /// The graph takes one `i64[1, S]` input of token ids and gives one `f32[1, D]` output; `max_tokens`
    /// (special tokens included, at least 3) caps `S`.
    pub fn load(
        onnx: std::borrow::Cow<'static, [u8]>,
        tokenizer: &[u8],
        max_tokens: usize,
    ) -> Result<Self, EncoderError> {
        let reader = Reader::load(tokenizer, max_tokens)?;
        let model = TractModel::load(&onnx)?;
        Ok(Self { reader, model })
    }

    /// The token ids of `text`, special tokens around them, at most the cap: of a longer text its head and its tail.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, EncoderError> {
        self.reader.ids(text)
    }

    /// The embedding of `text`: `D` floats of unit length (the graph normalises).
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, EncoderError> {
        self.embed_ids(&self.tokenize(text)?)
    }

    /// The embedding of token ids as [`Encoder::tokenize`] gives them.
    pub fn embed_ids(&self, ids: &[u32]) -> Result<Vec<f32>, EncoderError> {
        let embedding = self.model.run(ids)?;
        match embedding.iter().all(|v| v.is_finite()) {
            true => Ok(embedding),
            false => Err(EncoderError::Model("the graph gave a value that is not finite".into())),
        }
    }
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
