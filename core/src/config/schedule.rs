//! What the sidecar does by the clock, and how long the log is kept.

use serde_json::Value;

use super::section::Section;
use crate::cron::Cron;

/// When the sidecar does what it does by the clock, in UTC; `None` is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Rebuild from the log and compare, unless `learner.batch_seconds` gives it a period of its own.
    pub batch: Option<Cron>,
    /// Full retrain: features refitted to the newest prompts, everything learned anew in them.
    pub retrain: Option<Cron>,
    /// Report of the last seven days and a snapshot that is kept.
    pub report: Option<Cron>,
}

impl Schedule {
    pub(super) fn read(section: &Section) -> Self {
        let schedule = Self {
            batch: read_cron(section, "batch", "*/15 * * * *"),
            retrain: read_cron(section, "retrain", "0 */6 * * *"),
            report: read_cron(section, "report", "0 6 * * 1"),
        };
        section.finish();
        schedule
    }
}

/// A cron expression, or `off` (which some YAML writers turn into `false`).
fn read_cron(section: &Section, key: &'static str, default: &str) -> Option<Cron> {
    if section.get(key) == Some(&Value::Bool(false)) {
        return None;
    }
    let text = section.text_or(key, default);
    if text == "off" {
        return None;
    }
    Cron::parse(&text).map_err(|why| section.error(key, format!("\"{text}\" {why}; or off"))).ok()
}

/// How long the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days that records and feedback stay; 0 for ever.
    pub days: u32,
    /// Days that rows of the audit stay, never fewer than the records that they explain; 0 for ever.
    pub audit_days: u32,
}

impl Retention {
    pub(super) fn read(section: &Section) -> Self {
        let days = section.whole("days", 0..=3650, 7);
        let audit_days = match section.whole("audit_days", 0..=3650, 365) {
            _ if days == 0 => 0,
            0 => 0,
            audit_days => audit_days.max(days),
        };
        let retention = Self { days, audit_days };
        section.finish();
        retention
    }
}
