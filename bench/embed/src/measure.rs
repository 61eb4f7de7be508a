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
    /// Embedded in turn.
    pub texts: Vec<String>,
    /// Nanoseconds to measure, at least; all texts are embedded once in any case.
    pub at_least_ns: u64,
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
    let (Some(first), count) = (ids.first(), ids.len()) else {
        return Err("there is no text to embed".into());
    };
    let embedding = encoder.embed_ids(first).map_err(|e| e.to_string())?;
    let mut nanos = Vec::new();
    let (start, mut last) = (clock(), clock());
    while nanos.len() < count || last - start < question.at_least_ns {
        let at = nanos.len() % count;
        match (question.work, question.texts.get(at), ids.get(at)) {
            (Work::Text, Some(text), _) => black_box(encoder.embed(text)),
            (_, _, ids) => black_box(encoder.embed_ids(ids.unwrap_or(first))),
        }
        .map_err(|e| e.to_string())?;
        let now = clock();
        nanos.push(now - last);
        last = now;
    }
    Ok(Answer { nanos, embedding })
}
