//! The report for people.

use std::fmt::Write;

use super::apgr::Apgr;
use super::off_policy::Check;
use super::report::{Mean, Report};

pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { policy, seeds, steps, learned, .. } = report;
    let budget = report.budget.map_or("no budget".into(), |b| format!("budget ${b} a request"));
    writeln!(out, "{policy}, {budget}, {seeds} seeds: learned on {learned} rows, scored on {steps}\n")?;
    let width = report.baselines.iter().map(|b| b.name.len()).max().unwrap_or(0).max(20);
    writeln!(out, "{:width$}  {:>7}  {:>10}  {:>6}  apgr / cpt50 / cpt80", "", "reward", "cost $", "use")?;
    line(out, width, report, &format!("dragoman ({policy})"), &report.router, report.apgr)?;
    for baseline in &report.baselines {
        line(out, width, report, &baseline.name, &baseline.mean, baseline.apgr)?;
    }
    let sd = report.sd.map_or("-".into(), |sd| format!("{sd:.4}"));
    writeln!(out, "\nsd of the reward over seeds {sd}, regret to the oracle {:.4}", report.regret)?;
    writeln!(out, "\nshares")?;
    for (arm, share) in report.arms.iter().zip(&report.shares) {
        writeln!(out, "  {arm:width$}{:6.1} %", 100.0 * share)?;
    }
    if report.phases.len() > 1 {
        writeln!(out, "\nphases")?;
        for (number, phase) in report.phases.iter().enumerate() {
            line(out, width, report, &format!("  {}", number + 1), &phase.mean, None)?;
        }
    }
    for added in &report.added {
        let held = added.steps_to_10_percent.map_or("never".into(), |s| format!("after {s:.0} steps"));
        let late = added.share_after_300.map_or("-".into(), |s| format!("{:.1} %", 100.0 * s));
        let reached = 100.0 * added.reached;
        writeln!(
            out,
            "\n{} added at {}: 10 % {held} (in {reached:.0} % of the seeds); share after 300 steps {late}",
            added.arm, added.step
        )?;
    }
    checks(out, width, report.off_policy.as_deref().unwrap_or_default())
}

fn checks(out: &mut String, width: usize, checks: &[Check]) -> std::fmt::Result {
    if !checks.is_empty() {
        writeln!(
            out,
            "\n{:width$}  {:>7}  {:>8}  {:>7}  {:>8}  {:>6}",
            "off-policy", "", "estimate", "truth", "coverage", "width"
        )?;
    }
    for Check { target, estimator, estimate, truth, coverage, width: wide } in checks {
        writeln!(
            out,
            "{target:width$}  {estimator:>7}  {estimate:8.4}  {truth:7.4}  {coverage:8.3}  {wide:6.4}"
        )?;
    }
    Ok(())
}

fn line(
    out: &mut String,
    width: usize,
    report: &Report,
    name: &str,
    mean: &Mean,
    apgr: Option<Apgr>,
) -> std::fmt::Result {
    let cost = mean.cost.map_or("-".into(), |c| format!("{c:.3e}"));
    let used = report.usage(mean).map_or("-".into(), |u| format!("{u:.3}"));
    let apgr = apgr.map_or(String::new(), |a| format!("{:.3} / {:.1} / {:.1}", a.apgr, a.cpt50, a.cpt80));
    writeln!(out, "{name:width$}  {:7.4}  {cost:>10}  {used:>6}  {apgr}", mean.reward)
}
