//! Text to token ids: the tokenizer, and the cap that gives a request's cost a ceiling.

use crate::EncoderError;
use crate::text::{cut, excerpt};
#[cfg(feature = "tokenizers")]
use crate::tokenizers::AnyTokenizer;
use crate::wordpiece::{Frame, Refusal, WordPiece};

/// A tokenizer that reads so many tokens of a text and no more.
pub(crate) struct Reader {
    tokenizer: Tokenizer,
    max_tokens: usize,
    /// Special tokens before and after every text's own.
    frame: Frame,
}

enum Tokenizer {
    WordPiece(Box<WordPiece>),
    #[cfg(feature = "tokenizers")]
    Any(Box<AnyTokenizer>),
}

// === impl Reader ===

impl Reader {
    /// From the bytes of `tokenizer.json`; `max_tokens` counts special tokens too.
    pub(crate) fn load(json: &[u8], max_tokens: usize) -> Result<Self, EncoderError> {
        let (tokenizer, frame) = Tokenizer::load(json).map_err(EncoderError::Tokenizer)?;
        let special = frame.0.len() + frame.1.len();
        match max_tokens > special {
            true => Ok(Self { tokenizer, max_tokens, frame }),
            false => Err(EncoderError::Tokenizer(format!(
                "the token cap must be at least {} ({special} special tokens and one of the text), not {max_tokens}",
                special + 1
            ))),
        }
    }

    /// The ids of what is read of `text`, special tokens around them.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, EncoderError> {
        let all = self.tokenizer.ids(&excerpt(text, self.max_tokens)).map_err(EncoderError::Tokenizer)?;
        let (before, after) = &self.frame;
        let room = self.max_tokens - before.len() - after.len();
        Ok([before, &cut(all, room)[..], after].concat())
    }
}

// === impl Tokenizer ===

impl Tokenizer {
    /// Our own wherever it can read the file, so that the ids are the same everywhere.
    fn load(json: &[u8]) -> Result<(Self, Frame), String> {
        match WordPiece::load(json) {
            Ok((tokenizer, frame)) => Ok((Self::WordPiece(Box::new(tokenizer)), frame)),
            Err(Refusal::Broken(why)) => Err(format!("tokenizer.json cannot be read: {why}")),
            #[cfg(feature = "tokenizers")]
            Err(Refusal::Other(why)) => match AnyTokenizer::load(json) {
                Ok((tokenizer, frame)) => Ok((Self::Any(Box::new(tokenizer)), frame)),
                Err(error) => Err(format!("{error}; it is not one like BERT's either: {why}")),
            },
            #[cfg(not(feature = "tokenizers"))]
            Err(Refusal::Other(why)) => Err(format!(
                "this build reads tokenizers like BERT's, and tokenizer.json is of another kind: {why}; build the \
                 filter with `make filter FEATURES=tokenizers`, or let the sidecar embed (encoder.mode: sidecar)"
            )),
        }
    }

    /// The ids of the text alone.
    fn ids(&self, text: &str) -> Result<Vec<u32>, String> {
        match self {
            Self::WordPiece(tokenizer) => Ok(tokenizer.ids(text)),
            #[cfg(feature = "tokenizers")]
            Self::Any(tokenizer) => tokenizer.ids(text),
        }
    }
}
