//! Simulated worlds with a known truth for what closes the loop: each shows, over many seeds, that a part of it does
//! what it is there for. Everything is seeded; nothing here is timed.
//!
//! A world is a row of [`WORLDS`]; it prints a table and says which of its goals were missed.

mod guard;
mod optimizer;

use std::fmt::Write as _;

/// One part of the loop in its worlds.
struct World {
    name: &'static str,
    run: fn(&mut Report),
}

const WORLDS: [World; 2] =
    [World { name: "guard", run: guard::run }, World { name: "optimizer", run: optimizer::run }];

/// What a world tells.
#[derive(Debug, Default)]
pub struct Report {
    text: String,
    missed: Vec<String>,
}

// === impl Report ===

impl Report {
    /// A line of text.
    fn line(&mut self, text: &str) {
        // Writing into a text cannot fail.
        let _ = writeln!(self.text, "{}", text.trim_end());
    }

    /// A goal, and whether it was reached.
    fn goal(&mut self, reached: bool, what: &str) {
        self.line(&format!("  {} {what}", if reached { "reached" } else { "MISSED " }));
        if !reached {
            self.missed.push(what.to_owned());
        }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Goals that were not reached.
    pub fn missed(&self) -> &[String] {
        &self.missed
    }
}

/// Runs the worlds whose names are given; all of them if none is. Unknown names are an error.
///
/// # Errors
///
/// A sentence that names the worlds there are.
pub fn run(names: &[String]) -> Result<Report, String> {
    let known = || WORLDS.iter().map(|w| w.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|n| WORLDS.iter().all(|w| w.name != n.as_str())) {
        return Err(format!("there is no world \"{name}\"; known are {}", known()));
    }
    let mut report = Report::default();
    for world in WORLDS.iter().filter(|w| names.is_empty() || names.iter().any(|n| n == w.name)) {
        report.line(&format!("== {} ==", world.name));
        (world.run)(&mut report);
        report.line("");
    }
    Ok(report)
}
