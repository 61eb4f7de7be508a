//! Counters and gauges, and their text for Prometheus. No label may hold anything a user wrote.

use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::guard::metrics::GuardMetrics;
use crate::learn::RouteTotals;

/// Every metric of the sidecar; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Records taken in.
    pub ingested: IntCounter,
    /// Records that were there already.
    pub duplicates: IntCounter,
    /// Records refused one by one.
    pub rejected: IntCounter,
    /// Batches of a filter whose encoder is not that of `encoder.path`.
    pub foreign_encoders: IntCounter,
    /// Feedback counted.
    pub feedback: IntCounter,
    /// Evidence counted that is no feedback, by its kind.
    pub evidence: IntCounterVec,
    /// Sampled answers that the judge's queue had no room for.
    pub judge_dropped: IntCounter,
    /// Questions to the judge that brought no score.
    pub judge_failures: IntCounter,
    /// Feedback refused because its sender had said too much.
    pub feedback_limited: IntCounter,
    /// Requests without the token they need.
    pub unauthorized: IntCounter,
    /// Records with a route that taught nothing.
    pub not_learned: IntCounter,
    /// Commands refused at a full queue or a stopped loop.
    pub refused: IntCounter,
    /// Groups that could not be written.
    pub write_failures: IntCounter,
    /// Rebuilds that differed from the stream.
    pub rebuild_mismatches: IntCounter,
    /// Texts encoded for filters.
    pub embeddings: IntCounter,
    /// Texts that found the encoder's queue full.
    pub embeddings_refused: IntCounter,
    /// Commands that wait.
    pub queue_depth: IntGauge,
    /// Version of the newest snapshot.
    pub snapshot_version: IntGauge,
    /// Snapshots built.
    pub snapshots: IntCounter,
    /// Snapshots that could not be built or kept.
    pub snapshot_failures: IntCounter,
    /// Snapshots that Envoy took.
    pub pushes: IntCounter,
    /// Pushes that failed.
    pub push_failures: IntCounter,
    /// Configurations taken over while running.
    pub reloads: IntCounter,
    /// Configurations that were not.
    pub reload_failures: IntCounter,
    /// When Envoy last took one, seconds since the Unix epoch.
    pub last_push: Gauge,
    /// The guard's own.
    pub guard: GuardMetrics,
    /// Size of the log with its write-ahead file, bytes.
    pub db_bytes: IntGauge,
    observations: IntGaugeVec,
    reward_sum: GaugeVec,
    reward_count: IntGaugeVec,
}

// === impl Metrics ===

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    ///
    /// Two metrics of one name: a mistake in this file, which any start shows.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = Registry::new_custom(Some("dragoman".into()), None)?;
        Ok(Self {
            ingested: counter(&r, "replays_ingested_total", "Replay records written to the log")?,
            duplicates: counter(
                &r,
                "replays_duplicate_total",
                "Replay records that were in the log already",
            )?,
            rejected: counter(&r, "replays_rejected_total", "Replay records that were refused")?,
            foreign_encoders: counter(
                &r,
                "foreign_encoder_batches_total",
                "Batches of a filter whose encoder is not that of encoder.path",
            )?,
            feedback: counter(&r, "feedback_total", "Feedback that changed a reward")?,
            evidence: {
                let opts = Opts::new("evidence_total", "Evidence that was inferred about answers");
                let c = IntCounterVec::new(opts, &["kind"])?;
                r.register(Box::new(c.clone()))?;
                c
            },
            judge_dropped: counter(&r, "judge_dropped_total", "Sampled answers that no judge had time for")?,
            judge_failures: counter(
                &r,
                "judge_failures_total",
                "Questions to the judge that brought no score",
            )?,
            feedback_limited: counter(
                &r,
                "feedback_limited_total",
                "Feedback refused by access.feedback_per_minute",
            )?,
            unauthorized: counter(&r, "unauthorized_total", "Requests without the token that they need")?,
            not_learned: counter(
                &r,
                "replays_not_learned_total",
                "Records with a route whose context does not fit this encoder",
            )?,
            refused: counter(
                &r,
                "requests_refused_total",
                "Writes refused at a full queue or a stopped loop",
            )?,
            write_failures: counter(
                &r,
                "log_write_failures_total",
                "Transactions that failed and were taken back",
            )?,
            rebuild_mismatches: counter(
                &r,
                "rebuild_mismatches_total",
                "Rebuilds from the log that differed from the streamed learner",
            )?,
            embeddings: counter(&r, "embeddings_total", "Texts that were encoded")?,
            embeddings_refused: counter(
                &r,
                "embeddings_refused_total",
                "Texts refused at the encoder's full queue",
            )?,
            queue_depth: gauge(&r, "queue_depth", "Writes that wait for the loop")?,
            snapshot_version: gauge(&r, "snapshot_version", "Version of the newest snapshot")?,
            snapshots: counter(&r, "snapshots_built_total", "Snapshots built and kept")?,
            snapshot_failures: counter(
                &r,
                "snapshot_failures_total",
                "Snapshots that could not be built or kept",
            )?,
            pushes: counter(&r, "pushes_total", "Snapshots that Envoy accepted")?,
            push_failures: counter(
                &r,
                "push_failures_total",
                "Pushes that Envoy refused or that did not reach it",
            )?,
            reloads: counter(&r, "reloads_total", "Changed configurations that were taken over")?,
            reload_failures: counter(
                &r,
                "reload_failures_total",
                "Changed configurations that were not taken over; the old one stays",
            )?,
            last_push: {
                let g = Gauge::new("last_push_timestamp_seconds", "When Envoy last accepted a snapshot")?;
                r.register(Box::new(g.clone()))?;
                g
            },
            guard: GuardMetrics::new(&r)?,
            db_bytes: gauge(&r, "log_bytes", "Size of the replay log on the disk")?,
            observations: {
                let opts = Opts::new("learner_observations", "Observations that a route has learned from");
                let g = IntGaugeVec::new(opts, &["route"])?;
                r.register(Box::new(g.clone()))?;
                g
            },
            reward_sum: {
                // Rewards may be negative and are revised, so their sum is no counter.
                let g = GaugeVec::new(Opts::new("reward_sum", "Sum of a route's rewards"), &["route"])?;
                r.register(Box::new(g.clone()))?;
                g
            },
            reward_count: {
                let g = IntGaugeVec::new(Opts::new("reward_count", "Rewards of a route"), &["route"])?;
                r.register(Box::new(g.clone()))?;
                g
            },
            registry: r,
        })
    }

    /// Sets what is known of one route.
    pub fn route(&self, route: &str, observations: u64, totals: &RouteTotals) {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.observations.with_label_values(&[route]).set(whole(observations));
        self.reward_sum.with_label_values(&[route]).set(totals.sum);
        self.reward_count.with_label_values(&[route]).set(whole(totals.count));
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// The encoder found a family without a metric.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn counter(r: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let metric = IntCounter::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}
