//! All signals of a prompt, timed: the same code on the same prompts natively and in Envoy's V8.
//!
//! This room owns the prompts, the rules and the loop that times them; the clock comes from outside. It must not know
//! who asks: `bench-signals` does natively, [`plugin`](self), built for wasm32-wasip1, does in Envoy.

#[cfg(target_arch = "wasm32")]
mod plugin;
mod prompts;

pub use prompts::{NAMES, Reader};

use std::hint::black_box;

use serde::{Deserialize, Serialize};

/// Characters of every prompt.
pub const CHARS: usize = 2_000;
/// Nanoseconds before it counts, V8 optimises what runs often; and nanoseconds that count.
const WARM_UP: u64 = 1_000_000_000;
const MEASURE: u64 = 2_000_000_000;
/// Readings between two looks at the clock.
const BATCH: u32 = 20;

/// Opens each line of Envoy's log that carries an [`Answer`] as JSON.
pub const ANSWER: &str = "bench-signals answers ";

/// What was measured of one prompt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The prompt's place in [`NAMES`].
    pub prompt: usize,
    /// Whether its embedding was there, for heads and embedding rules.
    pub embedding: bool,
    /// Microseconds of one reading: the median and the 99th percentile of the batches.
    pub micros: [f64; 2],
    /// What was read, as JSON: the same wherever the arithmetic is.
    pub signals: String,
}

/// Every prompt without and with its embedding.
pub fn cases() -> impl Iterator<Item = (usize, bool)> {
    (0..NAMES.len()).flat_map(|prompt| [(prompt, false), (prompt, true)])
}

/// Times one prompt. `clock` gives nanoseconds since some moment.
///
/// # Errors
///
/// A sentence, if the signals have no JSON form.
pub fn measure(
    reader: &Reader,
    prompt: usize,
    embedding: bool,
    clock: &dyn Fn() -> u64,
) -> Result<Answer, String> {
    let mut batches = Vec::new();
    let start = clock();
    let mut last = start;
    while last - start < WARM_UP + MEASURE {
        for _ in 0..BATCH {
            black_box(reader.read(black_box(prompt), embedding));
        }
        let now = clock();
        if now - start > WARM_UP {
            batches.push(now - last);
        }
        last = now;
    }
    batches.sort_unstable();
    let at = |share: f64| {
        let place = (batches.len().saturating_sub(1) as f64 * share) as usize;
        batches.get(place).map_or(0.0, |ns| *ns as f64 / 1e3 / f64::from(BATCH))
    };
    let signals = serde_json::to_string(&reader.read(prompt, embedding)).map_err(|e| e.to_string())?;
    Ok(Answer { prompt, embedding, micros: [at(0.5), at(0.99)], signals })
}
