//! What the guard shows to Prometheus.

use dragoman_core::guard::watch::Kind;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Counters and gauges of the guard; cheap to clone.
#[derive(Debug, Clone)]
pub struct GuardMetrics {
    /// Percent of the sessions that see the canary; 0 without one.
    pub share: IntGauge,
    /// Requests that the canary on trial has had.
    pub requests: IntGauge,
    /// Canaries that ended, by how.
    pub ended: IntCounterVec,
    /// 1 while nothing is published.
    pub paused: IntGauge,
    /// What α is multiplied with.
    pub alpha: Gauge,
    /// Webhook calls given up.
    pub webhook_failures: IntCounter,
    alert: IntGaugeVec,
    alerts: IntCounterVec,
}

// === impl GuardMetrics ===

impl GuardMetrics {
    /// All at zero, in `r`.
    ///
    /// # Errors
    ///
    /// Two metrics of one name.
    pub fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        let whole = |name: &str, help: &str| {
            let g = IntGauge::new(name, help)?;
            r.register(Box::new(g.clone())).map(|()| g)
        };
        let counted = |name: &str, help: &str, label: &str| {
            let c = IntCounterVec::new(Opts::new(name, help), &[label])?;
            r.register(Box::new(c.clone())).map(|()| c)
        };
        let alert = IntGaugeVec::new(Opts::new("alert", "1 while the episode lasts"), &["kind"])?;
        r.register(Box::new(alert.clone()))?;
        let alpha = Gauge::new("alpha_factor", "What the exploration bonus is multiplied with")?;
        r.register(Box::new(alpha.clone()))?;
        alpha.set(1.0);
        let webhook_failures = IntCounter::new("webhook_failures_total", "Alerts that no webhook took")?;
        r.register(Box::new(webhook_failures.clone()))?;
        let metrics = Self {
            share: whole("canary_share_percent", "Sessions that see the canary")?,
            requests: whole("canary_requests", "Requests that the canary on trial has had")?,
            ended: counted("canaries_total", "Canaries that ended", "outcome")?,
            paused: whole("publishing_paused", "1 while nothing that is learned is published")?,
            alpha,
            webhook_failures,
            alert,
            alerts: counted("alerts_total", "Episodes that began", "kind")?,
        };
        for kind in Kind::ALL {
            metrics.alert.with_label_values(&[kind.name()]).set(0);
            metrics.alerts.with_label_values(&[kind.name()]).inc_by(0);
        }
        for outcome in ["promoted", "withdrawn", "refused"] {
            metrics.ended.with_label_values(&[outcome]).inc_by(0);
        }
        Ok(metrics)
    }

    /// An episode lasts, or none does.
    pub fn episode(&self, kind: Kind, lasts: bool) {
        self.alert.with_label_values(&[kind.name()]).set(lasts.into());
    }

    /// An episode begins.
    pub fn begins(&self, kind: Kind) {
        self.alerts.with_label_values(&[kind.name()]).inc();
    }
}
