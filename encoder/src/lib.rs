//! Text to embedding.
//!
//! This room owns the tokenizer, the model and the token cap that gives a request's cost a ceiling. It must not know
//! what an embedding is used for: no routes, no requests, no Envoy.

mod backend;
mod cache;
#[cfg(feature = "tract")]
mod convert;
mod fused;
mod reader;
mod text;
#[cfg(feature = "tokenizers")]
mod tokenizers;
#[cfg(feature = "tract")]
mod tract;
mod wordpiece;

use std::borrow::Cow;
use std::fmt;

use crate::backend::Backend;
use crate::reader::Reader;

pub use crate::cache::{Cache, Key};
#[cfg(feature = "tract")]
pub use crate::convert::{Precision, convert};
pub use crate::fused::file::checksum;
pub use crate::text::excerpt;

/// How embeddings are reckoned: another number wherever the same files give other ones than before, in the last digits too.
/// Who keeps embeddings keeps it beside them.
pub const REVISION: u8 = 1;

/// A loaded encoder: `text → tokens (capped) → model → unit vector`. Threads may share it.
pub struct Encoder {
    reader: Reader,
    model: Backend,
}

impl Encoder {
    /// Loads an encoder from the bytes of its model and its `tokenizer.json`.
    ///
    /// The model is a `model.fused` or, with the cargo feature `tract`, an ONNX graph with one `i64[1, S]` input of token
    /// ids and one `f32[1, D]` output. `max_tokens` (special tokens included, at least 3) caps S. Loading takes
    /// milliseconds, with tract about a hundred: do it when the plugin is configured.
    ///
    /// # Errors
    ///
    /// Which of the two files is wrong, and why.
    pub fn load(
        model: Cow<'static, [u8]>,
        tokenizer: &[u8],
        max_tokens: usize,
    ) -> Result<Self, EncoderError> {
        let reader = Reader::load(tokenizer, max_tokens)?;
        let model = Backend::load(model).map_err(EncoderError::Model)?;
        Ok(Self { reader, model })
    }

    /// The token ids of `text`, special tokens around them, at most the cap: of a longer text its head and its tail.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, EncoderError> {
        self.reader.ids(text)
    }

    /// The embedding of `text`: `D` floats of unit length (the model normalises).
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, EncoderError> {
        self.embed_ids(&self.tokenize(text)?)
    }

    /// The embedding of token ids, special tokens included; no cap.
    pub fn embed_ids(&self, ids: &[u32]) -> Result<Vec<f32>, EncoderError> {
        let embedding = self.model.run(ids).map_err(EncoderError::Model)?;
        match embedding.iter().all(|v| v.is_finite()) {
            true => Ok(embedding),
            false => Err(EncoderError::Model("it gave a value that is not finite".into())),
        }
    }
}

/// Why a text has no embedding. The text itself is never part of the message.
#[derive(Debug)]
pub enum EncoderError {
    /// The tokenizer could not be loaded or refused the text.
    Tokenizer(String),
    /// The model could not be loaded or run.
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
