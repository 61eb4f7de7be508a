//! Simulated worlds with a known truth for what closes the loop: each shows, over many seeds, that a part of it does
//! what it is there for. Everything is seeded; nothing here is timed.
//!
//! A world is a row of [`WORLDS`]; it prints a table and says which of its goals were missed.

mod guard;
mod optimizer;

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::num::NonZero;
use std::thread;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// One part of the loop in its worlds.
struct World {
    name: &'static str,
    /// Tells what the seeds from this one on show.
    run: fn(&mut Report, u64),
}

const WORLDS: [World; 2] =
    [World { name: "guard", run: guard::run }, World { name: "optimizer", run: optimizer::run }];

/// The first seed that judges. The rule: constants of the guard and the optimizer are chosen on seeds from 10,000 on
/// (`--from 10000`) and nowhere else; those from here on judge, once for each choice. Whoever has looked at them and then
/// changes a constant moves this on to where none were, below 10,000 (0..3000 and 5000..5100 are used up).
pub const FIRST_SEED: u64 = 7000;

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

/// Runs the worlds whose names are given, with the seeds from `from` on; all of them if none is. Unknown names are an error.
///
/// # Errors
///
/// A sentence that names the worlds there are.
pub fn run(names: &[String], from: u64) -> Result<Report, String> {
    let known = || WORLDS.iter().map(|w| w.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|n| WORLDS.iter().all(|w| w.name != n.as_str())) {
        return Err(format!("there is no world \"{name}\"; known are {}", known()));
    }
    let mut report = Report::default();
    for world in WORLDS.iter().filter(|w| names.is_empty() || names.iter().any(|n| n == w.name)) {
        report.line(&format!("== {} ==", world.name));
        (world.run)(&mut report, from);
        report.line("");
    }
    Ok(report)
}

/// What `run` says of each of so many seeds, in their order; as many at once as there are processors.
fn over<T: Send>(from: u64, count: usize, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let seeds: Vec<u64> = (from..).take(count).collect();
    let share = seeds.len().div_ceil(thread::available_parallelism().map_or(1, NonZero::get)).max(1);
    thread::scope(|scope| {
        let run = &run;
        let parts: Vec<_> = seeds
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(|seed| run(*seed)).collect::<Vec<T>>()))
            .collect();
        // A panic over there is one here.
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    })
}

/// A standard normal number (Box & Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}
