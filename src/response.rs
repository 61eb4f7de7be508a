//! Watching a response go by, and completing the replay record with it.

use std::time::Instant;

use dragoman_core::replay::{Escalated, Sample, dollars};
use dragoman_core::response::{ResponseFacts, ResponseObserver};
use proxy_wasm::traits::HttpContext;

use crate::decide::Verdict;
use crate::headers;
use crate::worker::{Worker, now_ms};

/// A decided request whose response is awaited or under way.
pub(crate) struct Watching {
    verdict: Verdict,
    since: Instant,
    observer: Option<ResponseObserver>,
    ttft_ms: Option<f64>,
    latency_ms: Option<f64>,
    cache_hit: bool,
    ended: bool,
}

impl Watching {
    pub(crate) fn new(verdict: Verdict, since: Instant) -> Self {
        let (observer, ttft_ms, latency_ms) = (None, None, None);
        Self { verdict, since, observer, ttft_ms, latency_ms, cache_hit: false, ended: false }
    }

    pub(crate) fn on_headers(&mut self, stream: &dyn HttpContext, end_of_stream: bool) {
        let get = |name: &str| stream.get_http_response_header_bytes(name);
        let status = headers::number(get(":status")).and_then(|s| u16::try_from(s).ok()).unwrap_or(0);
        let attempts = headers::number(get(headers::ATTEMPTS)).unwrap_or(1);
        let event_stream = get("content-type").is_some_and(|t| t.starts_with(b"text/event-stream"));
        self.cache_hit = get("x-cache").is_some_and(|v| v.to_ascii_lowercase().starts_with(b"hit"));
        let mut observer = ResponseObserver::new(self.verdict.record.api, status, event_stream);
        // Only an answer can be judged.
        let record = &mut self.verdict.record;
        record.sample = record.sample.take().filter(|_| matches!(status, 200..=299));
        if let (Some(_), Some(loaded)) = (&record.sample, &self.verdict.loaded) {
            observer.keep_text(loaded.snapshot.meta.routing.sampling.max_chars as usize);
        }
        self.observer = Some(observer);
        if attempts > 1 {
            self.escalated();
        }
        headers::strip_response(stream);
        self.announce(stream);
        if end_of_stream {
            self.end();
        }
    }

    pub(crate) fn on_chunk(&mut self, chunk: &[u8], end_of_stream: bool) {
        if !chunk.is_empty() && self.ttft_ms.is_none() {
            self.ttft_ms = Some(millis(self.since));
        }
        if let Some(observer) = &mut self.observer {
            observer.on_chunk(chunk);
        }
        if end_of_stream {
            self.end();
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.latency_ms = Some(millis(self.since));
    }

    /// Notes that the fallback answered.
    fn escalated(&mut self) {
        let Some(model) = self.verdict.fallback.clone() else { return };
        let record = &mut self.verdict.record;
        let prefix = record.decision.as_deref().map(|d| format!("{d}/{model}"));
        let route = prefix.filter(|name| record.candidates.iter().any(|c| c.route == *name));
        record.escalated_to = Some(Escalated { model, route });
    }

    fn announce(&self, stream: &dyn HttpContext) {
        let record = &self.verdict.record;
        let model = record.escalated_to.as_ref().map_or(&record.model, |e| &e.model);
        let values = [
            (headers::REPLAY_ID, Some(&record.id)),
            (headers::SELECTED_MODEL, Some(model)),
            (headers::SELECTED_DECISION, record.decision.as_ref()),
            (headers::SELECTED_CATEGORY, self.verdict.category.as_ref()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                stream.set_http_response_header_bytes(name, Some(value.as_bytes()));
            }
        }
    }

    /// The stream is over: completes the record and queues it.
    pub(crate) fn finish(self, worker: &Worker) {
        let Verdict { mut record, loaded, seat, .. } = self.verdict;
        // The client left first: status 0 says that nothing is known.
        let watched = self.observer.map(|observer| observer.finish_with_text(self.ended));
        let (facts, text) = watched.unwrap_or_default();
        if facts.status > 0 {
            let (ttft_ms, latency_ms) = (self.ttft_ms, self.latency_ms);
            record.response = ResponseFacts { ttft_ms, latency_ms, cache_hit: self.cache_hit, ..facts };
        }
        let answer = text.filter(|text| !text.is_empty());
        record.sample = record.sample.zip(answer).map(|(sample, answer)| Sample { answer, ..sample });
        if record.escalated_to.is_some() {
            worker.stats.escalated.add(1);
        }
        let answering = record.escalated_to.as_ref().map_or(&record.model, |e| &e.model);
        let models = loaded.as_ref().map(|l| l.snapshot.meta.routing.models.as_slice()).unwrap_or_default();
        if let Some(model) = models.iter().find(|m| m.name == *answering) {
            record.cost = dollars(model.price, &record.request, &record.response);
        }
        match (seat, record.response.status) {
            (Some(seat), 429 | 500..) => seat.leave(),
            (Some(mut seat), _) if record.escalated_to.is_some() => seat.take(answering, now_ms()),
            _ => {}
        }
        worker.record(&record);
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1000.0
}
