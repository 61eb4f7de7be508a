//! Prompts of an exact number of tokens, as the shipped tokenizer counts them.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokenizers::Tokenizer;

use crate::Outcome;

/// Different prompts of one length, so that no cache anywhere could flatter.
const VARIANTS: u64 = 32;

/// Ordinary words; those that are more than one token where they stand are passed over.
const WORDS: &str = "please write explain the a of in for with and to we our system data function model list server \
    query result value table city history science water energy market number simple short clear long new old best \
    why how what when which does should could make find compare sort test build plan story letter code error string";

/// Counts tokens and makes requests.
pub struct Prompts {
    tokenizer: Tokenizer,
}

impl Prompts {
    /// Reads the encoder's `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// A sentence with the path.
    pub fn load(path: &std::path::Path) -> Outcome<Self> {
        let mut tokenizer =
            Tokenizer::from_file(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| format!("the tokenizer keeps its cap: {e}"))?;
        Ok(Self { tokenizer })
    }

    /// Chat completions of [`Prompts::texts`], as bytes on the wire.
    ///
    /// # Errors
    ///
    /// A sentence: the tokenizer refuses a text.
    pub fn requests(&self, tokens: usize) -> Outcome<Vec<Vec<u8>>> {
        Ok(self.texts(tokens)?.iter().map(|text| request(text)).collect())
    }

    /// Different prompts of `tokens` tokens each, [CLS] and [SEP] included; always the same ones.
    ///
    /// # Errors
    ///
    /// A sentence: the tokenizer refuses a text.
    pub fn texts(&self, tokens: usize) -> Outcome<Vec<String>> {
        (0..VARIANTS).map(|seed| self.prompt(tokens, seed)).collect()
    }

    fn prompt(&self, tokens: usize, seed: u64) -> Outcome<String> {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut text, mut count) = (String::new(), self.count("")?);
        while count < tokens {
            let word = words.choose(&mut random).ok_or("no words")?;
            let longer = if text.is_empty() { (*word).to_owned() } else { format!("{text} {word}") };
            if self.count(&longer)? == count + 1 {
                (text, count) = (longer, count + 1);
            }
        }
        Ok(text)
    }

    /// The token ids of a text, [CLS] and [SEP] included.
    ///
    /// # Errors
    ///
    /// A sentence: the tokenizer refuses the text.
    pub fn ids(&self, text: &str) -> Outcome<Vec<u32>> {
        let encoding =
            self.tokenizer.encode_fast(text, true).map_err(|e| format!("cannot count tokens: {e}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn count(&self, text: &str) -> Outcome<usize> {
        Ok(self.ids(text)?.len())
    }
}

fn request(prompt: &str) -> Vec<u8> {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]}).to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
