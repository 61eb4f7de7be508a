//! Embeddings from elsewhere: the question to an OpenAI-compatible `POST /v1/embeddings`, and what of its answer may
//! be used.
//!
//! An answer is from outside: it is read whole or refused with a reason, and what was read has the size that was
//! asked for, is finite and of unit length. This room must not know who asks, how, or for how long.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::json;

/// The path that is asked.
pub const PATH: &str = "/v1/embeddings";

/// Longer answers are refused unread, bytes: 3072 numbers, the most that a known model gives, take some 70 kB.
pub const MAX_ANSWER: usize = 1 << 20;

/// Shorter vectors have no direction worth the name; their squares vanish in f32.
const MIN_LENGTH: f64 = 1e-18;

/// The body that asks `model` for the embedding of `text`. With `packed` the numbers are asked for in base64, which is
/// exact and a quarter of the work to read; not every server knows that.
pub fn question(model: &str, text: &str, packed: bool) -> Vec<u8> {
    let format = if packed { "base64" } else { "float" };
    json!({"model": model, "input": text, "encoding_format": format}).to_string().into_bytes()
}

/// Little-endian f32 in base64, as `encoding_format: base64` has it.
pub fn pack(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

/// The one embedding in an answer: `dimensions` finite numbers of unit length, whether they come as a list or in base64.
///
/// # Errors
///
/// [`BadEmbedding`]; no message repeats the answer.
pub fn read(body: &[u8], dimensions: usize) -> Result<Vec<f32>, BadEmbedding> {
    if body.len() > MAX_ANSWER {
        return Err(BadEmbedding::TooLong(body.len()));
    }
    let text = std::str::from_utf8(body)
        .map_err(|e| BadEmbedding::NotAnAnswer { line: 1, column: e.valid_up_to() + 1 })?;
    let answer: Answer = crate::json::from_str(text)
        .map_err(|e| BadEmbedding::NotAnAnswer { line: e.line(), column: e.column() })?;
    match <[Item; 1]>::try_from(answer.data) {
        Ok([item]) => checked(item.embedding.0, dimensions),
        Err(items) => Err(BadEmbedding::Count(items.len())),
    }
}

fn checked(mut vector: Vec<f32>, dimensions: usize) -> Result<Vec<f32>, BadEmbedding> {
    if vector.len() != dimensions {
        return Err(BadEmbedding::Size { got: vector.len(), wanted: dimensions });
    }
    if !vector.iter().all(|v| v.is_finite()) {
        return Err(BadEmbedding::NotFinite);
    }
    // In f64 the squares of finite f32 neither overflow nor vanish.
    let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    if length < MIN_LENGTH {
        return Err(BadEmbedding::NoDirection);
    }
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    Ok(vector)
}

/// Why an answer has no usable embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEmbedding {
    /// More bytes than [`MAX_ANSWER`].
    TooLong(usize),
    /// Not JSON, or not of the shape `{"data": [{"embedding": …}]}`.
    NotAnAnswer {
        /// Where that shows, from 1.
        line: usize,
        /// The same.
        column: usize,
    },
    /// Not exactly one embedding.
    Count(usize),
    /// Another size than the learner's.
    Size {
        /// Numbers in the answer.
        got: usize,
        /// Numbers the learner takes.
        wanted: usize,
    },
    /// A number that is infinite or none.
    NotFinite,
    /// All zeros, or as good as.
    NoDirection,
}

impl fmt::Display for BadEmbedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "the answer has {bytes} bytes, more than {MAX_ANSWER}"),
            Self::NotAnAnswer { line, column } => {
                write!(f, "the answer is no list of embeddings (line {line}, column {column})")
            }
            Self::Count(count) => write!(f, "the answer has {count} embeddings instead of one"),
            Self::Size { got, wanted } => write!(
                f,
                "the embedding has {got} numbers instead of {wanted}: encoder.path must be the folder of the model \
                 that answers"
            ),
            Self::NotFinite => f.write_str("the embedding has a number that is not finite"),
            Self::NoDirection => f.write_str("the embedding is zero"),
        }
    }
}

impl std::error::Error for BadEmbedding {}

#[derive(serde::Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(serde::Deserialize)]
struct Item {
    embedding: Numbers,
}

/// A list of numbers, or the same in base64.
struct Numbers(Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrText).map(Self)
    }
}

struct ListOrText;

impl<'de> Visitor<'de> for ListOrText {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or base64 of little-endian f32")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<f32>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = list.next_element()? {
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<f32>, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        match bytes.as_chunks::<4>() {
            (words, []) => Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect()),
            _ => Err(E::custom("not a whole number of f32")),
        }
    }
}

#[cfg(test)]
mod tests;
