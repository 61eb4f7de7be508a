//! Any `tokenizer.json`, read by the crate `tokenizers`: for the kinds that [`crate::wordpiece`] does not read.

use tokenizers::Tokenizer;

use crate::wordpiece::Frame;

/// A tokenizer of any kind.
pub(crate) struct AnyTokenizer(Tokenizer);

impl AnyTokenizer {
    /// Reads the bytes of a `tokenizer.json`; the caller truncates, and nobody pads.
    ///
    /// # Errors
    ///
    /// A sentence: what of the file is wrong.
    pub(crate) fn load(json: &[u8]) -> Result<(Self, Frame), String> {
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|e| format!("tokenizer.json cannot be read: {e}"))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
        // A user may write [SEP]; it is text then.
        tokenizer.set_encode_special_tokens(true);
        let loaded = Self(tokenizer);
        let frame = loaded.frame()?;
        Ok((loaded, frame))
    }

    /// The ids of the text alone.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, String> {
        self.encode(text, false)
    }

    /// The special tokens that the tokenizer puts around a text, seen by putting them around one.
    fn frame(&self) -> Result<Frame, String> {
        let text = "a";
        let (inner, framed) = (self.encode(text, false)?, self.encode(text, true)?);
        let at = framed.windows(inner.len().max(1)).position(|window| window == inner);
        let parts =
            at.and_then(|at| Some((framed.get(..at)?.to_vec(), framed.get(at + inner.len()..)?.to_vec())));
        parts.ok_or_else(|| "tokenizer.json must put its special tokens around a text, not into it".into())
    }

    fn encode(&self, text: &str, framed: bool) -> Result<Vec<u32>, String> {
        Ok(self.0.encode_fast(text, framed).map_err(|e| e.to_string())?.get_ids().to_vec())
    }
}
