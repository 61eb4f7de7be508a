//! Prompts of an exact number of tokens, as the shipped tokenizer counts them.

use dragoman_wasm_tests::system::workspace;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::json;
use tokenizers::Tokenizer;

use crate::Outcome;

/// Different prompts of one length, so that no cache anywhere could flatter.
pub const VARIANTS: usize = 1280;

/// What people ask of many fields: JSON lines with a `text`.
const ASKED: &str = "models/train/data/domains.jsonl";

/// [CLS] and [SEP].
const SPECIAL: usize = 2;

/// Counts tokens and makes requests.
pub struct Prompts {
    tokenizer: Tokenizer,
    /// Words as they follow each other, and the tokens of each.
    words: Vec<(String, usize)>,
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
        let asked = workspace(ASKED);
        let lines =
            std::fs::read_to_string(&asked).map_err(|e| format!("cannot read {}: {e}", asked.display()))?;
        let mut read = Self { tokenizer, words: Vec::new() };
        for line in lines.lines() {
            let asked: Asked = serde_json::from_str(line).map_err(|e| format!("{}: {e}", asked.display()))?;
            for word in asked.text.split_whitespace() {
                let tokens = read.ids(word)?.len().saturating_sub(SPECIAL);
                read.words.push((word.to_owned(), tokens));
            }
        }
        Ok(read)
    }

    /// Chat completions of [`Prompts::texts`], as bytes on the wire.
    ///
    /// # Errors
    ///
    /// A sentence: the tokenizer refuses a text.
    pub fn requests(&self, tokens: usize) -> Outcome<Vec<Vec<u8>>> {
        Ok(self.texts(tokens)?.iter().map(|text| request(text)).collect())
    }

    /// Different prompts of `tokens` tokens each, [CLS] and [SEP] included; always the same ones. Each is a stretch of what
    /// is asked, from anywhere on; a word that would be too long for its end is passed over.
    ///
    /// # Errors
    ///
    /// A sentence: there are no words.
    pub fn texts(&self, tokens: usize) -> Outcome<Vec<String>> {
        let mut random = ChaCha8Rng::seed_from_u64(tokens as u64);
        (0..VARIANTS).map(|_| self.prompt(tokens, random.random_range(0..self.words.len().max(1)))).collect()
    }

    fn prompt(&self, tokens: usize, start: usize) -> Outcome<String> {
        let (mut words, mut count) = (Vec::new(), SPECIAL);
        for (word, of_it) in self.words.iter().cycle().skip(start).take(self.words.len()) {
            if count == tokens {
                break;
            }
            if count + of_it <= tokens {
                words.push(word.as_str());
                count += of_it;
            }
        }
        match count == tokens {
            true => Ok(words.join(" ")),
            false => Err(format!("the words of {ASKED} make no prompt of {tokens} tokens")),
        }
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
}

/// A line of [`ASKED`].
#[derive(Deserialize)]
struct Asked {
    text: String,
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
