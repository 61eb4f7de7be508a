//! The report as Markdown.

use std::fmt::Write as _;

use serde_json::Value;

use super::gather::{Story, Tally};
use super::minute;
use crate::log::Change;

/// Table rows of what may be many.
const MANY: usize = 200;

/// A table: its title, its head and its rows.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

pub(super) fn text(story: &Story) -> String {
    let mut text = format!("# {}\n\n{}\n", title(story), summary(story));
    for Table { title, head, rows } in tables(story) {
        let dashes = vec!["---"; head.len()].join("|");
        // Writing into a text cannot fail.
        let _ = write!(text, "\n## {title}\n\n| {} |\n|{dashes}|\n", head.join(" | "));
        for row in rows {
            let cells: Vec<String> =
                row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text
}

pub(super) fn title(story: &Story) -> String {
    let (from, until) = story.window;
    format!("Dragoman, {} to {} UTC", minute(from), minute(until))
}

/// The stretch in a few sentences.
pub(super) fn summary(story: &Story) -> String {
    let all = &story.all;
    if all.records == 0 {
        return "No requests.".into();
    }
    format!(
        "{} requests, {} of them answered ({} with success), for ${}. Mean reward {}. Latency {} at the median, {} at \
         the 95th percentile. {} explored. {} feedback.",
        all.records,
        all.answered,
        percent(all.success()),
        dollars(all.dollars),
        number(all.reward()),
        ms(all.latency(0.5)),
        ms(all.latency(0.95)),
        percent(all.explored()),
        story.feedback(),
    )
}

/// Every table, without those that would be empty.
pub(super) fn tables(story: &Story) -> Vec<Table> {
    let numbers = ["requests", "reward", "success", "dollars", "median", "95th percentile", "explored"];
    let head = |first: &[&'static str], last: &[&'static str]| [first, &numbers, last].concat();
    let days = story.days.iter().map(|day| row(&[&day.name], &day.tally, &[day.feedback.to_string()]));
    let models = story.models.iter().map(|(name, tally)| {
        let share = tally.records as f64 / story.all.records as f64;
        row(&[name], tally, &[percent(Some(share))])
    });
    let decisions = story.top_decisions().into_iter().map(|(name, tally, models)| {
        let shares = models.iter().map(|(model, n)| (*n, model, *n as f64 / tally.records as f64));
        let mut shares: Vec<_> = shares.collect();
        shares.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
        let shares: Vec<String> =
            shares.iter().map(|(_, model, share)| format!("{model} {}", percent(Some(*share)))).collect();
        row(&[name], tally, &[shares.join(", ")])
    });
    let (tuned, others): (Vec<&Change>, Vec<&Change>) = story.changes.iter().partition(|c| c.what == "tuned");
    let change = |change: &&Change| vec![minute(change.time_ms), change.what.clone(), change.detail.clone()];
    let all = [
        Table { title: "Days", head: head(&["day"], &["feedback"]), rows: days.collect() },
        Table { title: "Models", head: head(&["model"], &["share"]), rows: models.collect() },
        Table { title: "Decisions", head: head(&["decision"], &["models"]), rows: decisions.collect() },
        Table {
            title: "Tuned signals",
            head: vec!["when", "what", "before", "after", "samples speak for", "gain", "± ", "samples"],
            rows: tuned.iter().filter_map(|c| tuning(c)).rev().take(MANY).collect(),
        },
        Table {
            title: "Changes",
            head: vec!["when", "what", "detail"],
            rows: others.iter().map(change).rev().take(MANY).collect(),
        },
        Table {
            title: "Snapshots",
            head: vec!["when", "tag", "which"],
            rows: story.snapshots.iter().collect::<Vec<_>>().iter().map(change).rev().collect(),
        },
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn row(first: &[&String], tally: &Tally, last: &[String]) -> Vec<String> {
    let numbers = [
        tally.records.to_string(),
        number(tally.reward()),
        percent(tally.success()),
        dollars(tally.dollars),
        ms(tally.latency(0.5)),
        ms(tally.latency(0.95)),
        percent(tally.explored()),
    ];
    first.iter().map(|s| (*s).clone()).chain(numbers).chain(last.iter().cloned()).collect()
}

/// A tuned knob as the audit has it.
fn tuning(change: &Change) -> Option<Vec<String>> {
    let detail: Value = serde_json::from_str(&change.detail).ok()?;
    let change_of = detail.get("change")?;
    let knob: dragoman_core::optimizer::Change = serde_json::from_value(change_of.clone()).ok()?;
    let fine = |v: f64| format!("{v:.3}");
    Some(vec![
        minute(change.time_ms),
        knob.knob.to_string(),
        fine(knob.before),
        fine(knob.after),
        fine(knob.target),
        fine(knob.gain),
        fine(knob.error),
        knob.samples.to_string(),
    ])
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.3}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{:.1} %", v * 100.0))
}

fn ms(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.0} ms"))
}

fn dollars(value: f64) -> String {
    if value >= 1.0 { format!("{value:.2}") } else { format!("{value:.6}") }
}
