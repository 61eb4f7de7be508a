//! Learning curves as a picture: the running mean of reward, and of cost where it is known, over the score steps.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::register_font;

use super::plan::Plan;
use super::rows::Answer;
use super::{Baseline, Run};

const SIZE: (u32, u32) = (1200, 900);
const FONT: &str = "sans-serif";
/// Means over fewer steps jump about and would set the scale.
const SKIPPED: usize = 20;
/// What a cost of nothing is drawn as on a logarithmic axis.
const TINY: f64 = 1e-9;

/// One line: its name and a value for each step, `None` while there is none.
struct Curve {
    name: String,
    values: Vec<Option<f64>>,
}

/// Draws to a PNG file.
///
/// # Errors
///
/// A sentence with the path.
pub(crate) fn draw(file: &Path, plan: &Plan, runs: &[Run]) -> Result<(), String> {
    // Embedded, so that the picture is the same where no fonts are installed.
    register_font(FONT, FontStyle::Normal, notosans::REGULAR_TTF)
        .map_err(|_| "the embedded font cannot be read".to_owned())?;
    draw_charts(file, plan, runs).map_err(|e| format!("{}: cannot be drawn: {e}", file.display()))
}

fn draw_charts(file: &Path, plan: &Plan, runs: &[Run]) -> Result<(), Box<dyn std::error::Error>> {
    let root = BitMapBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let rewards = curves(plan, runs, |a| Some(a.reward));
    let (title, unit) = match plan.budget {
        Some(budget) => ("cost / budget, running mean", budget),
        None => ("dollars a request, running mean", 1.0),
    };
    let costs = curves(plan, runs, |a| a.cost.map(|c| c / unit));
    let rows = if costs.is_empty() { 1 } else { 2 };
    let areas = root.split_evenly((rows, 1));
    let charts = [("reward, running mean", rewards, false), (title, costs, true)];
    for (area, (title, curves, log)) in areas.iter().zip(&charts) {
        chart(area, title, curves, *log)?;
    }
    root.present()?;
    Ok(())
}

/// The router first, then the baselines; none if a value is unknown.
fn curves(plan: &Plan, runs: &[Run], of: impl Fn(&Answer) -> Option<f64>) -> Vec<Curve> {
    let router = |run: &Run| -> Vec<Option<Answer>> { run.steps.iter().map(|s| Some(s.got)).collect() };
    let own = Curve { name: format!("dragoman ({})", plan.policy), values: over_seeds(runs, router, &of) };
    let names: Vec<String> =
        runs.first().map_or(vec![], |r| r.baselines.iter().map(|b| b.name.clone()).collect());
    let others = names.into_iter().enumerate().map(|(index, name)| {
        let trace = |run: &Run| run.baselines.get(index).map_or(vec![], |b: &Baseline| b.trace.clone());
        Curve { name, values: over_seeds(runs, trace, &of) }
    });
    let all: Vec<Curve> = std::iter::once(own).chain(others).collect();
    let known = all.iter().all(|c| c.values.iter().any(Option::is_some));
    if known { all } else { vec![] }
}

/// The running mean, in the mean of the seeds that have one at that step.
fn over_seeds(
    runs: &[Run],
    trace: impl Fn(&Run) -> Vec<Option<Answer>>,
    of: &dyn Fn(&Answer) -> Option<f64>,
) -> Vec<Option<f64>> {
    let mut sums: Vec<(f64, f64)> = Vec::new();
    for run in runs {
        let (mut sum, mut n) = (0.0, 0.0);
        for (step, answer) in trace(run).iter().enumerate() {
            if let Some(value) = answer.as_ref().and_then(of) {
                (sum, n) = (sum + value, n + 1.0);
            }
            if sums.len() <= step {
                sums.push((0.0, 0.0));
            }
            if n > 0.0 {
                sums[step] = (sums[step].0 + sum / n, sums[step].1 + 1.0);
            }
        }
    }
    sums.iter().map(|(sum, n)| (*n > 0.0).then(|| sum / n)).collect()
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// With `log` the values stand on a logarithmic axis: costs of models lie decades apart.
fn chart(area: &Area, title: &str, curves: &[Curve], log: bool) -> Result<(), Box<dyn std::error::Error>> {
    let steps = curves.iter().map(|c| c.values.len()).max().unwrap_or(1);
    let skipped = if steps > 10 * SKIPPED { SKIPPED } else { 0 };
    let height = |v: f64| if log { v.max(TINY).log10() } else { v };
    let label = |y: &f64| if log { format!("{:.1e}", 10f64.powf(*y)) } else { format!("{y:.3}") };
    let shown = || curves.iter().flat_map(|c| c.values.iter().skip(skipped).flatten().map(|v| height(*v)));
    let (low, high) = (shown().fold(f64::INFINITY, f64::min), shown().fold(f64::NEG_INFINITY, f64::max));
    let room = ((high - low) * 0.05).max(1e-9);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(76)
        .build_cartesian_2d(0..steps + steps / 4, low - room..high + room)?;
    chart
        .configure_mesh()
        .label_style((FONT, 14))
        .light_line_style(WHITE)
        .y_label_formatter(&label)
        .x_desc("scored steps")
        .draw()?;
    for (number, curve) in curves.iter().enumerate() {
        // The router stands out; the others take the palette's colours in turn. Room for their names is kept at the
        // right of the axis.
        let style = match number.checked_sub(1) {
            None => BLACK.stroke_width(3),
            Some(n) => Palette99::pick(n).stroke_width(2),
        };
        let points = curve
            .values
            .iter()
            .enumerate()
            .skip(skipped)
            .filter_map(|(step, v)| v.map(|v| (step, height(v))));
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .label_font((FONT, 13))
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
