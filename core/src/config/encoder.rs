//! The encoder: where it runs, how much it reads, how long a request waits for it.

use std::ops::RangeInclusive;

use super::model::{Endpoint, read_endpoint};
use super::section::Section;

/// Which encoder makes embeddings, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Where it runs.
    pub mode: EncoderMode,
    /// Folder of the encoder's files. The sidecar reads `projection.safetensors` there, whose size is the embedding's, and in
    /// [`EncoderMode::Sidecar`] the model too.
    pub path: String,
    /// Cap on the tokens read of a prompt: a request's cost has a ceiling.
    pub max_tokens: u32,
    /// Embeddings each of Envoy's workers remembers; 0 for none.
    pub cache: u32,
    /// How long a request waits for an embedding from elsewhere, milliseconds; then it is decided without.
    pub deadline_ms: u32,
    /// Threads of the sidecar that encode.
    pub threads: u32,
}

/// Where the encoder runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncoderMode {
    /// In the filter, on Envoy's own threads.
    Local,
    /// In the sidecar; for models too large for Envoy's threads.
    Sidecar,
    /// At an OpenAI-compatible server.
    Endpoint(EncoderEndpoint),
}

/// An OpenAI-compatible server of embeddings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderEndpoint {
    /// Where it lives; it is asked at `/v1/embeddings`.
    pub home: Endpoint,
    /// What the question's `model` is.
    pub model: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Local,
    Sidecar,
    Endpoint,
}

const WORDS: [(&str, Word); 3] =
    [("local", Word::Local), ("sidecar", Word::Sidecar), ("endpoint", Word::Endpoint)];

/// On Envoy's threads other streams wait meanwhile.
const LOCAL_TOKENS: RangeInclusive<u32> = 8..=512;
const REMOTE_TOKENS: RangeInclusive<u32> = 8..=8192;

impl EncoderConfig {
    pub(super) fn read(section: &Section) -> Self {
        let word = section.choice("mode", &WORDS, Word::Local);
        let tokens = if word == Word::Local { LOCAL_TOKENS } else { REMOTE_TOKENS };
        let encoder = Self {
            mode: read_mode(section, word),
            path: section.text_or("path", "models/dragoman-small"),
            max_tokens: section.whole("max_tokens", tokens, 128),
            cache: section.whole("cache", 0..=16_384, 1024),
            deadline_ms: section.whole("deadline_ms", 1..=10_000, 50),
            threads: section.whole("threads", 1..=256, 2),
        };
        section.finish();
        encoder
    }
}

fn read_mode(section: &Section, word: Word) -> EncoderMode {
    if word != Word::Endpoint && section.get("endpoint").is_some() {
        section.error("endpoint", "is only asked with encoder.mode: endpoint; set that or leave this out");
    }
    match word {
        Word::Local => EncoderMode::Local,
        Word::Sidecar => EncoderMode::Sidecar,
        Word::Endpoint => {
            let inner = section.section("endpoint");
            let url = "the address of the embeddings, such as https://api.openai.com";
            let home = read_endpoint(&inner, "url", url);
            let model = inner.required("model", "the embedding model's name, such as text-embedding-3-small");
            inner.finish();
            EncoderMode::Endpoint(EncoderEndpoint { home, model })
        }
    }
}
