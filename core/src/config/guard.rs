//! What new snapshots must show before they get the traffic, and what is told to people.

use super::section::Section;

/// Rollouts of new snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardConfig {
    /// What is tried on a share of the sessions first.
    pub canary: CanaryMode,
    /// Percent of the sessions, stage by stage; rising, the last is 100.
    pub stages: Vec<u8>,
    /// Requests that a canary must have had in a stage before the next.
    pub stage_requests: u32,
    /// What the stages before the last one ask of it.
    pub widen: Widen,
    /// Chance that a canary which changes nothing is ever withdrawn or promoted.
    pub false_alarms: f64,
    /// What is withdrawn.
    pub limits: Limits,
    /// Requests of a canary after which it is withdrawn if it did not turn out better.
    pub patience: u64,
    /// The newest records by which a candidate is judged before it gets any traffic; 0 does without.
    pub holdout: u32,
    /// Whether nothing is published while success has dropped (`alerts.success_drop`).
    pub pause: bool,
    /// Whether α is turned down while too much is explored (`alerts.exploration`).
    pub temper: bool,
}

/// What is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryMode {
    /// Proposals: retrained learners and tuned signals. What is streamed goes live at once, in its small exact steps.
    Changes,
    /// The same, and what is streamed.
    All,
    /// Nothing.
    None,
}

/// When a canary goes on to a larger share that is not yet everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Widen {
    /// It is surely better than live.
    Better,
    /// It is surely not worse than live by more than `limits.reward`; only for everything must it be surely better.
    Safe,
}

/// How much worse than live a canary may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Rise of the error rate, absolute: 0.1 is from 2 % to 12 %.
    pub errors: f64,
    /// Rise of the latency, relative.
    pub latency: f64,
    /// Fall of the reward, by live's mean.
    pub reward: f64,
}

/// When people are told, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsConfig {
    /// Where alerts are posted; `http://` only.
    pub webhook: Option<String>,
    /// Fall of the share of good answers of an hour, absolute, against the hours before.
    pub success_drop: f64,
    /// Rise of what a request costs, relative, against the hour before.
    pub cost_rise: f64,
    /// Share of the choices of an hour that explored.
    pub exploration: f64,
    /// Variance of a model's mean reward over the hours.
    pub score_variance: f64,
    /// Share of implicit feedback that agrees with explicit feedback on the same answer, at least.
    pub detector_accuracy: f64,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            canary: CanaryMode::Changes,
            stages: vec![10, 25, 50, 100],
            stage_requests: 50,
            widen: Widen::Better,
            false_alarms: 0.05,
            limits: Limits { errors: 0.1, latency: 0.2, reward: 0.05 },
            patience: 50_000,
            holdout: 2000,
            pause: true,
            temper: true,
        }
    }
}

impl GuardConfig {
    pub(super) fn read(section: &Section) -> Self {
        const CANARY: [(&str, CanaryMode); 3] =
            [("changes", CanaryMode::Changes), ("all", CanaryMode::All), ("none", CanaryMode::None)];
        const WIDEN: [(&str, Widen); 2] = [("better", Widen::Better), ("safe", Widen::Safe)];
        let d = Self::default();
        let limits = section.section("limits");
        let guard = Self {
            canary: section.choice("canary", &CANARY, d.canary),
            stages: read_stages(section).unwrap_or(d.stages),
            stage_requests: section.whole("stage_requests", 1..=1_000_000, d.stage_requests),
            widen: section.choice("widen", &WIDEN, d.widen),
            false_alarms: section.number("false_alarms", 1e-6..=0.5, d.false_alarms),
            limits: Limits {
                errors: limits.number("errors", 0.0..=1.0, d.limits.errors),
                latency: limits.number("latency", 0.0..=10.0, d.limits.latency),
                reward: limits.number("reward", 0.0..=1.0, d.limits.reward),
            },
            patience: section.whole("patience", 100..=u32::MAX, d.patience as u32).into(),
            holdout: section.whole("holdout", 0..=1_000_000, d.holdout),
            pause: section.switch("pause", d.pause),
            temper: section.switch("temper", d.temper),
        };
        limits.finish();
        section.finish();
        guard
    }
}

/// Shares that rise up to everything; `None`, and an error if they do not.
fn read_stages(section: &Section) -> Option<Vec<u8>> {
    let stages: Vec<u8> =
        section.wholes("stages", 1..=100)?.into_iter().filter_map(|s| s.try_into().ok()).collect();
    let rising = stages.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    if rising && stages.len() > 1 && stages.last() == Some(&100) {
        return Some(stages);
    }
    section.error("stages", "must rise and end with 100, such as [10, 25, 50, 100]");
    None
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            webhook: None,
            success_drop: 0.05,
            cost_rise: 0.2,
            exploration: 0.3,
            score_variance: 0.2,
            detector_accuracy: 0.7,
        }
    }
}

impl AlertsConfig {
    pub(super) fn read(section: &Section) -> Self {
        let d = Self::default();
        let alerts = Self {
            webhook: section.text("webhook"),
            success_drop: section.number("success_drop", 1e-3..=1.0, d.success_drop),
            cost_rise: section.number("cost_rise", 1e-3..=1e3, d.cost_rise),
            exploration: section.number("exploration", 1e-3..=1.0, d.exploration),
            score_variance: section.number("score_variance", 1e-6..=10.0, d.score_variance),
            detector_accuracy: section.number("detector_accuracy", 0.0..=1.0, d.detector_accuracy),
        };
        let posted_to = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if alerts.webhook.as_ref().is_some_and(|url| !posted_to(url)) {
            section.error("webhook", "must start with http:// or https://");
        }
        section.finish();
        alerts
    }
}
