//! Prompts to embeddings: remembered, made in here, or asked for elsewhere while the request waits.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use dragoman_core::config::{EncoderRole, RemoteEncoder};
use dragoman_core::embedding;
use dragoman_encoder::{Cache, Encoder, Key, checksum, excerpt};
use proxy_wasm::hostcalls::dispatch_http_call;
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::headers::bearer;
use crate::stats::Stats;

/// A prompt's embedding, if there is one, and the microseconds spent on it.
pub(crate) struct Embedding {
    pub(crate) vector: Option<Rc<[f32]>>,
    pub(crate) micros: u64,
}

/// What a worker makes embeddings with.
pub(crate) struct Embedder {
    max_tokens: usize,
    cache: RefCell<Cache<Rc<[f32]>>>,
    source: Source,
    /// The checksum of the model held here, if it is asked.
    checksum: Option<String>,
}

enum Source {
    Local(Box<Encoder>),
    Remote(RemoteEncoder),
}

/// How far an embedding is.
pub(crate) enum Asked {
    /// It is here.
    Here(Rc<[f32]>),
    /// A call is under way; its stream waits.
    UnderWay(Call),
    /// There is none: why.
    Failed(String),
}

/// A question that is under way.
pub(crate) struct Call {
    key: Key,
    since: Instant,
}

impl Embedder {
    pub(crate) fn new(role: &EncoderRole) -> Result<Self, String> {
        let source = match &role.remote {
            Some(remote) => Source::Remote(remote.clone()),
            None => Source::Local(Box::new(local(role.max_tokens)?)),
        };
        // Not of the generator that makes ids: clients see those, and could tell from them what comes next.
        let mut secret = [0; 16];
        OsRng.try_fill_bytes(&mut secret).map_err(|e| format!("there is no randomness: {e}"))?;
        let cache = RefCell::new(Cache::new(role.cache as usize, &secret));
        let checksum = role.remote.is_none().then(|| checksum(crate::ENCODER_MODEL)).flatten();
        Ok(Self { max_tokens: role.max_tokens, cache, source, checksum })
    }

    /// What says which model embeds here; `None` if none does, or it has no checksum.
    pub(crate) fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// The embedding of `prompt`, or the way to it.
    pub(crate) fn ask(&self, prompt: &str, stats: &Stats) -> Asked {
        let part = &*excerpt(prompt, self.max_tokens);
        let mut cache = self.cache.borrow_mut();
        let key = cache.key(part);
        if let Some(vector) = cache.get(key) {
            stats.cache_hits.add(1);
            return Asked::Here(vector);
        }
        stats.cache_misses.add(1);
        match &self.source {
            Source::Remote(remote) => call(remote, part, key, stats),
            Source::Local(encoder) => match encoder.embed(part) {
                Ok(vector) => {
                    let vector = Rc::<[f32]>::from(vector);
                    cache.put(key, Rc::clone(&vector));
                    Asked::Here(vector)
                }
                Err(why) => Asked::Failed(why.to_string()),
            },
        }
    }

    /// What came of `call`: `status` and body of its answer, or neither. A usable embedding is remembered.
    pub(crate) fn answered(
        &self,
        call: &Call,
        answer: Option<(u16, Vec<u8>)>,
        dimensions: usize,
        stats: &Stats,
    ) -> Result<Rc<[f32]>, String> {
        let read = match &answer {
            Some((200, body)) => embedding::read(body, dimensions).map_err(|why| why.to_string()),
            // Envoy answers 504 in the place of a server that is too late, 503 for one that is not there.
            Some((504, _)) => return Err(Self::late(stats)),
            _ if self.is_late(call) => return Err(Self::late(stats)),
            Some((status, _)) => Err(format!("the embeddings' server answers {status}")),
            None => Err("the embeddings' server cannot be reached".into()),
        };
        let vector = Rc::<[f32]>::from(read.inspect_err(|_| stats.embed_calls_failed.add(1))?);
        self.cache.borrow_mut().put(call.key, Rc::clone(&vector));
        Ok(vector)
    }

    fn late(stats: &Stats) -> String {
        stats.embed_calls_late.add(1);
        "the embedding was not there by encoder.deadline_ms".into()
    }

    fn is_late(&self, call: &Call) -> bool {
        matches!(&self.source, Source::Remote(remote) if call.since.elapsed() >= deadline(remote))
    }
}

impl Call {
    /// Microseconds since it was made.
    pub(crate) fn micros(&self) -> u64 {
        self.since.elapsed().as_micros() as u64
    }
}

fn local(max_tokens: usize) -> Result<Encoder, String> {
    Encoder::load(crate::ENCODER_MODEL.into(), crate::ENCODER_TOKENIZER, max_tokens)
        .map_err(|e| e.to_string())
}

/// Asks from the stream that is under way: Envoy answers to it, and drops the call when it ends.
fn call(remote: &RemoteEncoder, text: &str, key: Key, stats: &Stats) -> Asked {
    let mut headers = vec![
        (":method", "POST"),
        (":path", embedding::PATH),
        (":authority", remote.authority.as_str()),
        ("content-type", "application/json"),
    ];
    let known_by = bearer(remote.token.as_deref());
    headers.extend(known_by.as_deref().map(|value| ("authorization", value)));
    let question = embedding::question(&remote.model, text, remote.packed);
    let since = Instant::now();
    stats.embed_calls.add(1);
    match dispatch_http_call(&remote.cluster, headers, Some(&question), vec![], deadline(remote)) {
        Ok(_) => Asked::UnderWay(Call { key, since }),
        Err(status) => {
            stats.embed_calls_failed.add(1);
            Asked::Failed(format!("Envoy refuses to call {} ({status:?})", remote.cluster))
        }
    }
}

fn deadline(remote: &RemoteEncoder) -> Duration {
    Duration::from_millis(remote.deadline_ms.into())
}
