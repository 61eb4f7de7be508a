//! How a knob went, and what is told of it.

use dragoman_core::config::OptimizerConfig;

use super::super::Report;

/// What counts as being at the optimum, by its value.
const NEAR: f64 = 0.05;
/// Looks between arriving and staying.
const SETTLE: usize = 10;

/// One run: the knob's value and its optimum at each look.
pub(super) struct Trace(pub(super) Vec<(f64, f64)>);

pub(super) fn heading(report: &mut Report, what: &str) {
    report.line(&format!(
        "{what:<30}arrived after     end (seeds within 5 %)  worst look  in bounds  mean distance"
    ));
}

/// The worlds' criterion: in `bounds` at every look, and in every run the mean over the last quarter within 5 % of the
/// optimum, by its value.
pub(super) fn tell(report: &mut Report, name: &str, traces: &[Trace], bounds: [f64; 2]) {
    let every = OptimizerConfig::default().every as usize;
    let mut arrivals: Vec<usize> =
        traces.iter().filter_map(Trace::arrival).map(|look| (look + 1) * every).collect();
    arrivals.sort_unstable();
    let arrived = match arrivals.as_slice() {
        [first, .., last] => format!("{first}..{last}"),
        [only] => only.to_string(),
        [] => "never".into(),
    };
    let most = |of: fn(&Trace) -> f64| 100.0 * traces.iter().map(of).fold(0.0, f64::max);
    let (near, runs) = (traces.iter().filter(|t| t.end() <= NEAR).count(), traces.len());
    let mean = traces.iter().map(Trace::mean).sum::<f64>() / runs as f64;
    let inside = traces.iter().all(|t| t.within(bounds));
    report.line(&format!(
        "  {name:<28}{arrived:<18}{:>4.1} % ({near:>2} of {runs})         {:>4.1} %      {:<9}  {:.1} %",
        most(Trace::end),
        most(Trace::worst_later),
        if inside { "yes" } else { "NO" },
        100.0 * mean
    ));
    report.goal(inside, &format!("{name}: in its bounds at every look"));
    report.goal(near == runs, &format!("{name}: within 5 % of the optimum in {near} of {runs}"));
}

// === impl Trace ===

impl Trace {
    fn distances(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().map(|(value, optimum)| (value - optimum).abs() / optimum)
    }

    /// The first look since the optimum last jumped that finds the knob at it.
    fn arrival(&self) -> Option<usize> {
        let jump =
            self.0.windows(2).rposition(|w| (w[0].1 - w[1].1).abs() > NEAR * w[0].1).map_or(0, |i| i + 1);
        self.distances().skip(jump).position(|d| d <= NEAR)
    }

    /// The greatest distance after arriving and settling.
    fn worst_later(&self) -> f64 {
        let jump =
            self.0.windows(2).rposition(|w| (w[0].1 - w[1].1).abs() > NEAR * w[0].1).map_or(0, |i| i + 1);
        let from = self.arrival().map_or(usize::MAX, |look| jump + look + SETTLE);
        self.distances().skip(from).fold(0.0, f64::max)
    }

    /// The distance of the mean over the last quarter.
    fn end(&self) -> f64 {
        let from = self.0.len() / 4 * 3;
        let mean = |of: fn(&(f64, f64)) -> f64| {
            self.0.iter().skip(from).map(of).sum::<f64>() / (self.0.len() - from).max(1) as f64
        };
        let (value, optimum) = (mean(|look| look.0), mean(|look| look.1));
        (value - optimum).abs() / optimum
    }

    /// The mean distance over the second half.
    fn mean(&self) -> f64 {
        let half = self.0.len() / 2;
        self.distances().skip(half).sum::<f64>() / (self.0.len() - half).max(1) as f64
    }

    fn within(&self, [low, high]: [f64; 2]) -> bool {
        self.0.iter().all(|(value, _)| (low - 1e-9..=high + 1e-9).contains(value))
    }
}
