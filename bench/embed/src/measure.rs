//! One question to an encoder, and the loop that answers it.

use std::hint::black_box;

use dragoman_encoder::Encoder;
use serde::{Deserialize, Serialize};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// The model alone, from token ids, as every runtime can be compared.
    Ids,
    /// What a request pays: tokenizing too.
    Text,
}

/// What a runtime is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Question {
    /// What is timed.
    pub work: Work,
    /// Embedded one after the other.
    pub texts: Vec<String>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Nanoseconds of each embedding.
    pub nanos: Vec<u64>,
    /// That of the first text, to compare runtimes.
    pub embedding: Vec<f32>,
}

/// Nanoseconds since some moment, never falling.
pub type Clock<'a> = &'a dyn Fn() -> u64;

/// Times `encoder`.
///
/// # Errors
///
/// A sentence: there are no texts, or one has no embedding.
pub fn measure(encoder: &Encoder, question: &Question, clock: Clock) -> Result<Answer, String> {
    let ids = question.texts.iter().map(|text| encoder.tokenize(text)).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|e| e.to_string())?;
    let (mut nanos, mut first, mut last) = (Vec::new(), None, clock());
    for (text, ids) in question.texts.iter().zip(&ids) {
        let made = match question.work {
            Work::Text => black_box(encoder.embed(text)),
            Work::Ids => black_box(encoder.embed_ids(ids)),
        };
        let now = clock();
        nanos.push(now - last);
        first.get_or_insert(made.map_err(|e| e.to_string())?);
        last = clock();
    }
    let embedding = first.ok_or("there is no text to embed")?;
    Ok(Answer { nanos, embedding })
}
