//! Text to token ids: the tokenizer, and the cap that gives a request's cost a ceiling.

use tokenizers::Tokenizer;

use crate::EncoderError;
use crate::text::{cut, excerpt};

/// A tokenizer that reads so many tokens of a text and no more.
pub(crate) struct Reader {
    tokenizer: Tokenizer,
    max_tokens: usize,
    /// Special tokens before and after every text's own.
    before: Vec<u32>,
    after: Vec<u32>,
}

// === impl Reader ===

impl Reader {
    /// From the bytes of `tokenizer.json`; `max_tokens` counts special tokens too.
    pub(crate) fn load(json: &[u8], max_tokens: usize) -> Result<Self, EncoderError> {
        let mut tokenizer = Tokenizer::from_bytes(json)
            .map_err(|e| EncoderError::Tokenizer(format!("tokenizer.json cannot be read: {e}")))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(refused)?;
        // A user may write [SEP]; it is text then.
        tokenizer.set_encode_special_tokens(true);
        let (before, after) = frame(&tokenizer)?;
        let special = before.len() + after.len();
        match max_tokens > special {
            true => Ok(Self { tokenizer, max_tokens, before, after }),
            false => Err(EncoderError::Tokenizer(format!(
                "the token cap must be at least {} ({special} special tokens and one of the text), not {max_tokens}",
                special + 1
            ))),
        }
    }

    /// The ids of what is read of `text`, special tokens around them.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, EncoderError> {
        let all = plain(&self.tokenizer, &excerpt(text, self.max_tokens))?;
        let room = self.max_tokens - self.before.len() - self.after.len();
        Ok([&self.before[..], &cut(all, room), &self.after].concat())
    }
}

/// The ids of the text alone.
fn plain(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, EncoderError> {
    Ok(tokenizer.encode_fast(text, false).map_err(refused)?.get_ids().to_vec())
}

/// The special tokens that the tokenizer puts around a text, seen by putting them around one.
fn frame(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), EncoderError> {
    let text = "a";
    let inner = plain(tokenizer, text)?;
    let framed = tokenizer.encode_fast(text, true).map_err(refused)?.get_ids().to_vec();
    let at = framed.windows(inner.len().max(1)).position(|window| window == inner);
    let parts =
        at.and_then(|at| Some((framed.get(..at)?.to_vec(), framed.get(at + inner.len()..)?.to_vec())));
    parts.ok_or_else(|| {
        EncoderError::Tokenizer(
            "tokenizer.json must put its special tokens around a text, not into it".into(),
        )
    })
}

fn refused(error: tokenizers::Error) -> EncoderError {
    EncoderError::Tokenizer(error.to_string())
}
