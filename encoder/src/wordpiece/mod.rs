//! BERT's tokenization: words, and the longest pieces of them that the vocabulary has.
//!
//! This room owns the `tokenizer.json` files of BERT (Devlin et al. 2018, arXiv:1810.04805) and gives the ids that the
//! crate `tokenizers` gives for them. That crate was more than half of the filter's code, which Envoy compiles at every
//! start. This room must not know models, token caps or which part of a text is read.

mod file;
mod vocabulary;
mod words;

#[cfg(test)]
mod tests;

use file::Parts;
use vocabulary::{Prefix, Vocabulary};
use words::Words;

pub(crate) use file::Refusal;

/// A tokenizer.
pub(crate) struct WordPiece {
    words: Words,
    vocabulary: Vocabulary,
    /// What a piece that does not begin its word begins with.
    within: Prefix,
    /// The id of a word that has no pieces.
    unknown: u32,
    /// A word of more characters is unknown.
    most_chars: usize,
}

/// The special tokens before and after a text's own.
pub(crate) type Frame = (Vec<u32>, Vec<u32>);

impl WordPiece {
    /// Reads the bytes of a `tokenizer.json`. Padding and truncation, if it has any, are left to the caller.
    pub(crate) fn load(json: &[u8]) -> Result<(Self, Frame), Refusal> {
        let Parts { words, model, frame } = file::read(json)?;
        let unknown = model.vocabulary.id(model.unknown.as_bytes()).ok_or_else(|| {
            Refusal::Broken(format!("its vocabulary lacks the token {:?} for unknown words", model.unknown))
        })?;
        let within = Prefix::new(&model.within);
        let most_chars = model.most_chars;
        Ok((Self { words, vocabulary: model.vocabulary, within, unknown, most_chars }, frame))
    }

    /// The ids of `text`, without special tokens: if it has some, they are text.
    pub(crate) fn ids(&self, text: &str) -> Vec<u32> {
        let (mut ids, mut hashes) = (Vec::with_capacity(text.len() / 4), Vec::new());
        self.words.each(text, |word| {
            let start = ids.len();
            if self.pieces(word, &mut ids, &mut hashes).is_none() {
                ids.truncate(start);
                ids.push(self.unknown);
            }
        });
        ids
    }

    /// Adds the ids of a word's pieces, each the longest there is; `None` if it has none.
    fn pieces(&self, word: &str, ids: &mut Vec<u32>, hashes: &mut Vec<u32>) -> Option<()> {
        if word.len() > self.most_chars && word.chars().count() > self.most_chars {
            return None;
        }
        let (mut rest, mut prefix) = (word.as_bytes(), &Prefix::NONE);
        while !rest.is_empty() {
            let (id, length) = self.vocabulary.longest(prefix, rest, hashes)?;
            ids.push(id);
            (rest, prefix) = (rest.get(length..)?, &self.within);
        }
        Some(())
    }
}
