//! The answer: one object for machines, the same as a table and sentences for people.

use std::fmt;

use dragoman_core::evaluate::{Estimate, Estimates, Verdict};
use serde::Serialize;

use super::actions::{Actions, LeftOut};
use super::target::Target;
use super::{Tally, window};

/// If the client left more of the requests than this share, who left may matter.
const MANY_LEFT: f64 = 0.05;

/// What `dragoman evaluate` says.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    target: String,
    /// Records in the window.
    records: usize,
    left_out: LeftOut,
    #[serde(flatten)]
    estimates: Estimates,
    /// Mean dollars a request.
    dollars: Dollars,
    verdict: Verdict,
    /// The verdict as a sentence.
    says: String,
    warnings: Vec<String>,
}

/// Mean dollars a request (sums until [`Dollars::mean`]).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(super) struct Dollars {
    /// What was spent.
    logged: f64,
    /// What the target would have spent, by inverse propensity scoring.
    target: f64,
    /// What the logging policy was to spend by its predictions.
    logged_predicted: f64,
    /// What the target would have been to spend by its own.
    target_predicted: f64,
}

// === impl Dollars ===

impl Dollars {
    pub(super) fn add(&mut self, actions: &Actions, spent: f64) {
        let (logged, target) = actions.predicted_dollars();
        self.logged += spent;
        self.target += actions.weight() * spent;
        self.logged_predicted += logged;
        self.target_predicted += target;
    }

    fn mean(self, n: usize) -> Self {
        let mean = |sum: f64| sum / n as f64;
        Self {
            logged: mean(self.logged),
            target: mean(self.target),
            logged_predicted: mean(self.logged_predicted),
            target_predicted: mean(self.target_predicted),
        }
    }
}

// === impl Report ===

impl Report {
    /// # Errors
    ///
    /// A sentence: no record could be used, and why.
    pub(super) fn of(target: &Target, tally: &Tally) -> Result<Self, String> {
        let left_out = tally.left_out;
        let estimates = tally.evaluation.finish().ok_or_else(|| nothing(tally.records, &left_out))?;
        let verdict = estimates.verdict();
        Ok(Self {
            target: target.name.clone(),
            records: tally.records,
            left_out,
            dollars: tally.dollars.mean(estimates.n),
            verdict,
            says: says(verdict, &estimates.difference),
            warnings: warnings(target, tally, &estimates),
            estimates,
        })
    }
}

fn nothing(records: usize, left_out: &LeftOut) -> String {
    match (records, left_out) {
        (0, _) => "the replay log has no records in this window: widen --since and --until".into(),
        (_, LeftOut { other_context, .. }) if *other_context == records => {
            "no record has a context of the size that the target takes: they are of another encoder".into()
        }
        _ => format!("none of the {records} records can be used: {}", listed(left_out)),
    }
}

fn listed(left_out: &LeftOut) -> String {
    let parts = [
        (left_out.not_decided, "not decided by a policy"),
        (left_out.held, "of conversations held on their model"),
        (left_out.client_left, "left by the client before the answer"),
        (left_out.other_context, "with a context that the target does not take"),
        (left_out.unusable, "whose probabilities do not add up"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    told.join(", ")
}

fn says(verdict: Verdict, d: &Estimate) -> String {
    match verdict {
        Verdict::Better => format!(
            "The target is better than what was logged: {:.4} more reward a request ({:.4} to {:.4}).",
            d.value, d.low, d.high
        ),
        Verdict::Worse => format!(
            "The target is worse than what was logged: {:.4} less reward a request ({:.4} to {:.4}).",
            -d.value, -d.high, -d.low
        ),
        Verdict::Undecided => format!(
            "Undecided: the difference to what was logged may be anything from {:.4} to {:.4}.",
            d.low, d.high
        ),
    }
}

fn warnings(target: &Target, tally: &Tally, estimates: &Estimates) -> Vec<String> {
    let mut all = estimates.warnings();
    if let (Some(made), true) = (target.created_ms(), tally.learned_from > 0) {
        let made = window::text(made);
        all.push(format!(
            "{} of the {} records are older than the target's parameters, which may have learned from them: the \
             estimate is too kind; judge it on later records (--since {made})",
            tally.learned_from, estimates.n
        ));
    }
    if tally.left_out.client_left as f64 > MANY_LEFT * tally.records as f64 {
        all.push(format!(
            "the client left {} of {} requests before the answer; they are left out, which is fair only if it did \
             not depend on the model",
            tally.left_out.client_left, tally.records
        ));
    }
    all
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.estimates;
        writeln!(f, "target: {}; {} of {} records", self.target, e.n, self.records)?;
        if self.left_out != LeftOut::default() {
            writeln!(f, "left out: {}", listed(&self.left_out))?;
        }
        writeln!(f, "\n{:24} {:>8}   95 % interval", "reward a request", "value")?;
        let rows = [
            ("logged policy", &e.logged),
            ("target, IPS", &e.ips),
            ("target, SNIPS", &e.snips),
            ("target, doubly robust", &e.dr),
            ("target - logged", &e.difference),
        ];
        for (name, row) in rows {
            writeln!(f, "{name:24} {:>8.4}   {:.4} to {:.4}", row.value, row.low, row.high)?;
        }
        writeln!(f, "\neffective samples {:.0}, largest weight {:.1}", e.effective, e.largest_weight)?;
        let d = &self.dollars;
        writeln!(f, "\n{:24} {:>10}   {:>10}", "dollars a request", "logged", "target")?;
        writeln!(f, "{:24} {:>10.6}   {:>10.6}", "spent (target: IPS)", d.logged, d.target)?;
        writeln!(f, "{:24} {:>10.6}   {:>10.6}", "predicted", d.logged_predicted, d.target_predicted)?;
        writeln!(f, "\n{}", self.says)?;
        self.warnings.iter().try_for_each(|w| writeln!(f, "warning: {w}"))
    }
}
