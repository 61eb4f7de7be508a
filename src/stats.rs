//! The filter's metrics in Envoy's own statistics (`dragoman_*`).

use proxy_wasm::hostcalls::{define_metric, increment_metric, record_metric};
use proxy_wasm::types::MetricType;

/// Why requests go to the default route, each counted as `dragoman_default_<reason>`.
const DEFAULT_REASONS: [&str; 10] = [
    "no_body",
    "too_large",
    "encoded",
    "trailers",
    "not_json",
    "bad_type",
    "no_prompt",
    "no_snapshot",
    "no_rule",
    "no_candidate",
];

/// A counter, gauge or histogram; without an id if Envoy refused to define it.
#[derive(Clone, Copy)]
pub(crate) struct Metric(Option<u32>);

impl Metric {
    fn define(kind: MetricType, name: &str) -> Self {
        Self(define_metric(kind, name).ok())
    }

    pub(crate) fn add(self, n: usize) {
        if let (Some(id), Ok(n)) = (self.0, i64::try_from(n)) {
            // Metrics are never worth failing a request for.
            let _ = increment_metric(id, n);
        }
    }

    pub(crate) fn record(self, value: u64) {
        if let Some(id) = self.0 {
            let _ = record_metric(id, value);
        }
    }
}

/// Every metric of the deciding role.
pub(crate) struct Stats {
    /// Requests decided by the policy.
    pub(crate) decisions: Metric,
    /// Of these, those where chance took another route than the best.
    pub(crate) explored: Metric,
    /// Decided requests that no route was worth it for.
    pub(crate) default_not_worth: Metric,
    /// Decided requests whose conversation stayed on its model.
    pub(crate) sticky_held: Metric,
    /// Decided requests whose conversation moved to another.
    pub(crate) sticky_moved: Metric,
    /// Requests answered by the fallback after the first route failed.
    pub(crate) escalated: Metric,
    /// Requests decided without an embedding.
    pub(crate) embed_failed: Metric,
    /// Embeddings asked for elsewhere.
    pub(crate) embed_calls: Metric,
    /// Of these, those without a usable answer.
    pub(crate) embed_calls_failed: Metric,
    /// Of these, those without an answer by the deadline.
    pub(crate) embed_calls_late: Metric,
    /// Prompts whose embedding was remembered.
    pub(crate) cache_hits: Metric,
    /// Prompts whose embedding was not.
    pub(crate) cache_misses: Metric,
    /// Replay records acknowledged by the sidecar.
    pub(crate) replays_sent: Metric,
    /// Replay records dropped because the outbox was full.
    pub(crate) replays_dropped: Metric,
    /// Replay records the sidecar refused.
    pub(crate) replays_refused: Metric,
    /// Calls to the sidecar that failed; their records are sent again.
    pub(crate) replay_calls_failed: Metric,
    /// Version of the snapshot in use.
    pub(crate) snapshot_version: Metric,
    /// Its age, seconds.
    pub(crate) snapshot_age: Metric,
    /// Time per stage, µs.
    pub(crate) parse_us: Metric,
    pub(crate) embed_us: Metric,
    pub(crate) signals_us: Metric,
    pub(crate) decide_us: Metric,
    pub(crate) total_us: Metric,
    defaults: [(&'static str, Metric); DEFAULT_REASONS.len()],
}

impl Stats {
    pub(crate) fn define() -> Self {
        let counter = |name: &str| Metric::define(MetricType::Counter, name);
        let gauge = |name: &str| Metric::define(MetricType::Gauge, name);
        let histogram = |name: &str| Metric::define(MetricType::Histogram, name);
        Self {
            decisions: counter("dragoman_decisions"),
            explored: counter("dragoman_explored"),
            default_not_worth: counter("dragoman_default_not_worth"),
            sticky_held: counter("dragoman_sticky_held"),
            sticky_moved: counter("dragoman_sticky_moved"),
            escalated: counter("dragoman_escalated"),
            embed_failed: counter("dragoman_embed_failed"),
            embed_calls: counter("dragoman_embed_calls"),
            embed_calls_failed: counter("dragoman_embed_calls_failed"),
            embed_calls_late: counter("dragoman_embed_calls_late"),
            cache_hits: counter("dragoman_embed_cache_hits"),
            cache_misses: counter("dragoman_embed_cache_misses"),
            replays_sent: counter("dragoman_replays_sent"),
            replays_dropped: counter("dragoman_replays_dropped"),
            replays_refused: counter("dragoman_replays_refused"),
            replay_calls_failed: counter("dragoman_replay_calls_failed"),
            snapshot_version: gauge("dragoman_snapshot_version"),
            snapshot_age: gauge("dragoman_snapshot_age_seconds"),
            parse_us: histogram("dragoman_stage_parse_us"),
            embed_us: histogram("dragoman_stage_embed_us"),
            signals_us: histogram("dragoman_stage_signals_us"),
            decide_us: histogram("dragoman_stage_decide_us"),
            total_us: histogram("dragoman_stage_total_us"),
            defaults: DEFAULT_REASONS.map(|r| (r, counter(&format!("dragoman_default_{r}")))),
        }
    }

    /// Counts a request that goes to the default route without a decision.
    pub(crate) fn count_default(&self, reason: &str) {
        if let Some((_, metric)) = self.defaults.iter().find(|(name, _)| *name == reason) {
            metric.add(1);
        }
    }
}

/// Counts a refused snapshot. Pushes are rare, so the metric is looked up by its name each time.
pub(crate) fn count_refused() {
    Metric::define(MetricType::Counter, "dragoman_snapshots_refused").add(1);
}
