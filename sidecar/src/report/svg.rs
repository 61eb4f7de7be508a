//! Small charts as inline SVG: one value a day for each of a few series. Colours come from the page's style sheet, so
//! that they follow a dark screen.

use std::fmt::Write as _;

use super::html::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 220.0;
/// Room at the left, top, right and bottom.
const ROOM: [f64; 4] = [56.0, 12.0, 12.0, 24.0];
/// Series colours of the page: `--c0`…; more series take them in turn.
const COLOURS: usize = 8;
/// Days that have their name at the axis, at most.
const NAMED: usize = 8;
/// Lines of the grid.
const GRID: usize = 4;

/// How a value is written at the axis.
pub(super) type Label = fn(f64) -> String;

/// A chart.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) label: Label,
    /// Bars stacked on each other, or else lines.
    pub(super) stacked: bool,
    pub(super) days: Vec<&'a str>,
    /// A name, and a value for each day.
    pub(super) series: Vec<(String, Vec<Option<f64>>)>,
}

// === impl Chart ===

impl Chart<'_> {
    /// A `<figure>` with the chart and its legend; nothing if no value is known.
    pub(super) fn figure(&self) -> String {
        let known = self.series.iter().any(|(_, values)| values.iter().any(Option::is_some));
        if !known {
            return String::new();
        }
        let scale = self.scale();
        let (title, grid) = (escape(self.title), self.grid(scale));
        let marks = if self.stacked { self.bars(scale) } else { self.lines(scale) };
        let legend = if self.series.len() > 1 { self.legend() } else { String::new() };
        format!(
            "<figure><figcaption>{title}</figcaption>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{grid}{marks}</svg>{legend}</figure>\n"
        )
    }

    /// Least and greatest value of the axis. Bars start at 0, or they would lie.
    fn scale(&self) -> (f64, f64) {
        let values = || self.series.iter().flat_map(|(_, values)| values.iter().flatten().copied());
        let (low, high) = match self.stacked {
            true => {
                let sum = |day: usize| -> f64 {
                    self.series.iter().filter_map(|(_, values)| values.get(day).copied().flatten()).sum()
                };
                (0.0, (0..self.days.len()).map(sum).fold(0.0, f64::max))
            }
            false => (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)),
        };
        let least = 1e-9 + high.abs() * 1e-3;
        let room = if self.stacked { 0.0 } else { (0.08 * (high - low)).max(least) };
        (low - room, (high + room).max(low + least))
    }

    fn grid(&self, scale: (f64, f64)) -> String {
        let [left, _, right, bottom] = ROOM;
        let mut svg = String::new();
        for line in 0..=GRID {
            let value = scale.0 + (scale.1 - scale.0) * line as f64 / GRID as f64;
            let (y, label) = (height(value, scale), escape(&(self.label)(value)));
            // Writing into a text cannot fail.
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - right,
                left - 6.0,
                y + 4.0
            );
        }
        let every = self.days.len().div_ceil(NAMED).max(1);
        for (day, name) in self.days.iter().enumerate().step_by(every) {
            let (x, y) = (self.middle(day), HEIGHT - bottom + 16.0);
            let short = escape(name.get(5..).unwrap_or(name));
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{short}</text>");
        }
        svg
    }

    fn lines(&self, scale: (f64, f64)) -> String {
        let mut svg = String::new();
        for (number, (name, values)) in self.series.iter().enumerate() {
            let (mut path, mut pen) = (String::new(), 'M');
            for (day, value) in values.iter().enumerate() {
                let Some(value) = value else {
                    pen = 'M';
                    continue;
                };
                let (x, y) = (self.middle(day), height(*value, scale));
                let _ = write!(path, "{pen}{x:.1} {y:.1}");
                let told = self.told(day, name, *value);
                let _ = write!(
                    svg,
                    "<circle class=\"f{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\">{told}</circle>",
                    number % COLOURS
                );
                pen = 'L';
            }
            let _ = write!(svg, "<path class=\"s{}\" d=\"{path}\"/>", number % COLOURS);
        }
        svg
    }

    fn bars(&self, scale: (f64, f64)) -> String {
        let mut svg = String::new();
        let width = 0.7 * self.step();
        for day in 0..self.days.len() {
            let mut sum = 0.0;
            for (number, (name, values)) in self.series.iter().enumerate() {
                let Some(value) = values.get(day).copied().flatten().filter(|v| *v > 0.0) else { continue };
                let (top, bottom) = (height(sum + value, scale), height(sum, scale));
                sum += value;
                let _ = write!(
                    svg,
                    "<rect class=\"f{}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\">{}</rect>",
                    number % COLOURS,
                    self.middle(day) - width / 2.0,
                    bottom - top,
                    self.told(day, name, value)
                );
            }
        }
        svg
    }

    fn legend(&self) -> String {
        let entry = |(number, (name, _)): (usize, &(String, _))| {
            format!("<li><i class=\"b{}\"></i>{}</li>", number % COLOURS, escape(name))
        };
        format!("<ul class=\"legend\">{}</ul>", self.series.iter().enumerate().map(entry).collect::<String>())
    }

    /// What is shown when the mouse rests on a mark.
    fn told(&self, day: usize, name: &str, value: f64) -> String {
        let day = self.days.get(day).copied().unwrap_or_default();
        format!("<title>{}</title>", escape(&format!("{day}, {name}: {}", (self.label)(value))))
    }

    fn step(&self) -> f64 {
        let [left, _, right, _] = ROOM;
        (WIDTH - left - right) / self.days.len().max(1) as f64
    }

    fn middle(&self, day: usize) -> f64 {
        ROOM[0] + (day as f64 + 0.5) * self.step()
    }
}

fn height(value: f64, (low, high): (f64, f64)) -> f64 {
    let [_, top, _, bottom] = ROOM;
    HEIGHT - bottom - (value - low) / (high - low) * (HEIGHT - top - bottom)
}
