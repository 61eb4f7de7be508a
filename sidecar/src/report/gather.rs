//! The numbers of a report, from the log.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::day;
use crate::log::{Change, LogError, View};

/// Everything that a report tells.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// `from..until`, milliseconds since the Unix epoch.
    pub(super) window: (u64, u64),
    /// All records.
    pub(super) all: Tally,
    /// The days of the window in order, also those without a record.
    pub(super) days: Vec<Day>,
    /// By the answering model.
    pub(super) models: BTreeMap<String, Tally>,
    /// By the decision, and by the model within it.
    pub(super) decisions: BTreeMap<String, (Tally, BTreeMap<String, u64>)>,
    /// Tuned signals, promotions, rollouts and rollbacks, reloads and whatever else changed.
    pub(super) changes: Vec<Change>,
    /// Snapshots that are still kept, streamed ones left out.
    pub(super) snapshots: Vec<Change>,
}

/// One day.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// Such as `2026-11-21`.
    pub(super) name: String,
    pub(super) tally: Tally,
    /// Records by the answering model.
    pub(super) models: BTreeMap<String, u64>,
    pub(super) feedback: u64,
}

/// Sums over records.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    /// Records whose client waited for the answer: rewards, successes and latencies are of these.
    pub(super) answered: u64,
    successes: u64,
    explored: u64,
    reward: f64,
    pub(super) dollars: f64,
    latencies: Vec<f64>,
}

/// What a report reads of a record.
#[derive(Deserialize)]
struct Row {
    time_ms: u64,
    #[serde(default)]
    decision: Option<String>,
    model: String,
    #[serde(default)]
    escalated_to: Option<Escalated>,
    explored: bool,
    cost: f64,
    response: Response,
}

#[derive(Deserialize)]
struct Escalated {
    model: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    latency_ms: Option<f64>,
}

// === impl Story ===

impl Story {
    pub(super) fn of(log: View, window: (u64, u64)) -> Result<Self, LogError> {
        let (from, until) = window;
        let mut story = Self { window, ..Self::default() };
        let mut days: BTreeMap<String, Day> = BTreeMap::new();
        let mut after = 0;
        loop {
            let page: Vec<(i64, Row, f64)> = log.rewarded(after, from, until)?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            for (_, row, reward) in &page {
                story.count(row, *reward);
                days.entry(day(row.time_ms).to_string()).or_default().count(row, *reward);
            }
        }
        for time in log.feedback_times(from, until)? {
            days.entry(day(time).to_string()).or_default().feedback += 1;
        }
        story.days = in_order(days);
        story.changes = log.audited(from, until)?;
        story.snapshots = log.snapshots_of(from, until)?;
        Ok(story)
    }

    fn count(&mut self, row: &Row, reward: f64) {
        self.all.count(row, reward);
        self.models.entry(row.answering().to_owned()).or_default().count(row, reward);
        let name = row.decision.clone().unwrap_or_else(|| "(none)".into());
        let (tally, models) = self.decisions.entry(name).or_default();
        tally.count(row, reward);
        *models.entry(row.answering().to_owned()).or_default() += 1;
    }

    /// Feedback of all days.
    pub(super) fn feedback(&self) -> u64 {
        self.days.iter().map(|day| day.feedback).sum()
    }

    /// Decisions with the most records first.
    pub(super) fn top_decisions(&self) -> Vec<(&String, &Tally, &BTreeMap<String, u64>)> {
        let mut all: Vec<_> =
            self.decisions.iter().map(|(name, (tally, models))| (name, tally, models)).collect();
        all.sort_by_key(|(_, tally, _)| std::cmp::Reverse(tally.records));
        all
    }
}

/// The days from the first to the last one that anything is known of, with those between them.
fn in_order(mut days: BTreeMap<String, Day>) -> Vec<Day> {
    let dates = || days.keys().filter_map(|name| name.parse::<jiff::civil::Date>().ok());
    let (Some(first), Some(last)) = (dates().next(), dates().next_back()) else { return vec![] };
    let all = first.series(jiff::Span::new().days(1)).take_while(|date| *date <= last);
    all.map(|date| {
        let name = date.to_string();
        Day { name: name.clone(), ..days.remove(&name).unwrap_or_default() }
    })
    .collect()
}

// === impl Day ===

impl Day {
    fn count(&mut self, row: &Row, reward: f64) {
        self.tally.count(row, reward);
        *self.models.entry(row.answering().to_owned()).or_default() += 1;
    }
}

// === impl Row ===

impl Row {
    fn answering(&self) -> &str {
        self.escalated_to.as_ref().map_or(&self.model, |e| &e.model)
    }
}

// === impl Tally ===

impl Tally {
    fn count(&mut self, row: &Row, reward: f64) {
        self.records += 1;
        self.explored += u64::from(row.explored);
        self.dollars += row.cost;
        // Status 0: the client left before the answer.
        if row.response.status == 0 {
            return;
        }
        self.answered += 1;
        self.successes += u64::from(matches!(row.response.status, 200..=299));
        self.reward += reward;
        self.latencies.extend(row.response.latency_ms);
    }

    /// Mean reward of what was answered.
    pub(super) fn reward(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.reward / self.answered as f64)
    }

    /// Share of the answered that were 2xx.
    pub(super) fn success(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.successes as f64 / self.answered as f64)
    }

    /// Share of records in which chance took another route than the best.
    pub(super) fn explored(&self) -> Option<f64> {
        (self.records > 0).then(|| self.explored as f64 / self.records as f64)
    }

    /// The latency that a share of the answers did not exceed, milliseconds.
    pub(super) fn latency(&self, share: f64) -> Option<f64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}
