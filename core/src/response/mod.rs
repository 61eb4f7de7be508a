//! This room watches one response go by and says what it was: complete or cut, valid or broken, how
//! many tokens, why it ended.
//!
//! It must not know routes, rewards, clocks or hosts; times and headers are the caller's to fill in. It
//! never changes or holds back a chunk. Of a stream it keeps one line and one event at most, of a plain
//! body at most [`MAX_BODY`] bytes.
#![deny(clippy::indexing_slicing)]

mod events;
mod lenient;
mod lines;
mod output;
mod shapes;
mod sse;
mod transcript;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::request::Api;
use events::Findings;
use sse::EventStream;
use transcript::Transcript;

/// The largest plain body that is kept for reading, in bytes. Of a larger one only status and size
/// become known.
pub const MAX_BODY: usize = 4 << 20;

/// What one response was. Fields that did not become known are `None`, zero or false: a good mark has to
/// be seen, it is never assumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResponseFacts {
    /// The HTTP status.
    pub status: u16,
    /// Milliseconds from request to first body byte; the caller fills it in.
    pub ttft_ms: Option<f64>,
    /// Milliseconds from request to the end of the response; the caller fills it in.
    pub latency_ms: Option<f64>,
    /// Input tokens by the server's count, those read from a cache included (Anthropic counts these
    /// apart; they are added here).
    pub prompt_tokens: Option<u32>,
    /// Output tokens by the server's count; `None` when it did not say.
    pub completion_tokens: Option<u32>,
    /// Those of the input tokens that came from the provider's prompt cache.
    pub cached_tokens: Option<u32>,
    /// Why the answer ended, in the API's own word (`stop`, `end_turn`, `completed`, …).
    pub finish_reason: Option<String>,
    /// Whether a token limit cut the answer.
    pub truncated: bool,
    /// Whether the response was a stream of events.
    pub stream: bool,
    /// Whether the answer came to its end: a stream showed its API's last event (`[DONE]`, `message_stop`,
    /// `response.completed` or `response.incomplete`); a plain body arrived whole and parsed.
    pub stream_complete: bool,
    /// Whether the body was not empty, valid for its API and no error report. Of a stream every event must
    /// parse; a body over [`MAX_BODY`] stays unread and so is not known to be valid.
    pub body_valid: bool,
    /// Whether there was some text or a tool call.
    pub has_content: bool,
    /// Size of the body in bytes, as it passed.
    pub bytes: u64,
    /// Characters of answer text; reasoning and tool arguments do not count.
    pub content_chars: u32,
    /// Whether a response cache answered; the caller fills it in from the headers.
    pub cache_hit: bool,
    /// The answer's own name, at most 256 bytes; a later request may point at it (`previous_response_id`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Watches one response body. Feed it every chunk, then [`finish`](ResponseObserver::finish) it.
#[derive(Debug)]
pub struct ResponseObserver {
    api: Api,
    status: u16,
    bytes: u64,
    body: Body,
    /// Takes in the text of a plain body, once it is whole.
    transcript: Option<Transcript>,
}

#[derive(Debug)]
enum Body {
    Stream(Box<EventStream>),
    Plain(Vec<u8>),
    /// More than [`MAX_BODY`]: let go.
    TooLarge,
}

// === impl ResponseObserver ===

impl ResponseObserver {
    /// An observer of a response of `api` with this status; `event_stream` says whether its content type
    /// is `text/event-stream`.
    pub fn new(api: Api, status: u16, event_stream: bool) -> Self {
        let body = match event_stream {
            true => Body::Stream(Box::new(EventStream::new(api))),
            false => Body::Plain(Vec::new()),
        };
        ResponseObserver { api, status, bytes: 0, body, transcript: None }
    }

    /// Takes in the next piece of the body; pieces may break anywhere, even inside a character.
    pub fn on_chunk(&mut self, chunk: &[u8]) {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        match &mut self.body {
            Body::Stream(stream) => stream.push(chunk),
            Body::Plain(held) if held.len() + chunk.len() <= MAX_BODY => held.extend_from_slice(chunk),
            Body::Plain(_) => self.body = Body::TooLarge,
            Body::TooLarge => {}
        }
    }

    /// Asks for the answer's text too, of which at most so many characters are kept.
    pub fn keep_text(&mut self, max_chars: usize) {
        let transcript = Transcript::new(max_chars);
        match &mut self.body {
            Body::Stream(events) => events.keep_text(transcript),
            Body::Plain(_) | Body::TooLarge => self.transcript = Some(transcript),
        }
    }

    /// Says what was seen. `end_of_stream` is false when the connection broke or the client left before
    /// the last chunk.
    pub fn finish(self, end_of_stream: bool) -> ResponseFacts {
        self.finish_with_text(end_of_stream).0
    }

    /// The same with the answer's text, if it was asked for before the first chunk.
    pub fn finish_with_text(self, end_of_stream: bool) -> (ResponseFacts, Option<String>) {
        let stream = matches!(self.body, Body::Stream(_));
        let mut findings = match self.body {
            Body::Stream(events) => events.finish(),
            Body::Plain(body) => Findings::of_body(self.api, &body, end_of_stream, self.transcript),
            Body::TooLarge => Findings::new(self.api),
        };
        let text = findings.transcript.take().map(Transcript::into_text);
        let facts = ResponseFacts { status: self.status, bytes: self.bytes, stream, ..Default::default() };
        (findings.fill(facts), text)
    }
}
