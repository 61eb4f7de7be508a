//! The results: tables for people, JSON for machines.

use std::fmt;

use dragoman_bench_decide::Form;
use serde::Serialize;
use serde_json::{Map, Value};

use super::run::{DIMENSIONS, ROUTES};

/// Everything measured in one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Deciding, natively and in V8.
    pub decide: Vec<Decide>,
    /// Learning.
    pub learn: Vec<Learn>,
    /// What was asked for, and whether it was reached.
    pub goals: Vec<Goal>,
    /// What each peer's script wrote; a sentence where there is nothing.
    pub peers: Map<String, Value>,
    /// Cores of the machine; everything is measured on one.
    pub cores: usize,
    /// The machine's load average of the minute before the run.
    pub load_average: Option<f64>,
}

/// One decision, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Decide {
    /// In which form the parameters are.
    pub form: Form,
    /// Candidates.
    pub routes: usize,
    /// k.
    pub dimensions: usize,
    /// Decisions in a second, native.
    pub native_per_s: f64,
    /// Median, native.
    pub native_p50_us: f64,
    /// 99th percentile, native.
    pub native_p99_us: f64,
    /// Median, in Envoy.
    pub v8_p50_us: f64,
    /// 99th percentile, in Envoy.
    pub v8_p99_us: f64,
    /// Whether both decided the same, bit by bit.
    pub same_bits: bool,
}

/// One update of the learner, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Learn {
    /// In which form the parameters are.
    pub form: Form,
    /// Routes that learn in turn.
    pub routes: usize,
    /// k.
    pub dimensions: usize,
    /// On one core.
    pub updates_per_s: f64,
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Milliseconds to turn all routes' statistics into parameters.
    pub publish_ms: f64,
}

/// One number that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Goal {
    /// What.
    pub what: String,
    /// In which unit.
    pub unit: &'static str,
    /// The number to reach.
    pub goal: f64,
    /// The number measured; `null` if it was not.
    pub measured: Option<f64>,
    /// Whether it was reached.
    pub met: bool,
}

// === impl Report ===

impl Default for Report {
    fn default() -> Self {
        Self {
            decide: Vec::new(),
            learn: Vec::new(),
            goals: Vec::new(),
            peers: Map::new(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: None,
        }
    }
}

impl Report {
    /// Holds the measurements against the goals, all at 24 routes and d = 816.
    pub(super) fn judge(&mut self) {
        let decide = |form, pick: fn(&Decide) -> f64| {
            let row =
                self.decide.iter().find(|d| (d.form, d.routes, d.dimensions) == (form, ROUTES, size(form)));
            row.map(pick)
        };
        let learn = |form| {
            let row = self.learn.iter().find(|l| (l.form, l.dimensions) == (form, size(form)));
            row.map(|l| l.updates_per_s)
        };
        let most = |what: &str, goal, measured: Option<f64>| Goal {
            what: what.to_owned(),
            unit: "µs at most",
            goal,
            measured,
            met: measured.is_some_and(|m| m <= goal),
        };
        let least = |what: &str, goal, measured: Option<f64>| Goal {
            what: what.to_owned(),
            unit: "/s at least",
            goal,
            measured,
            met: measured.is_some_and(|m| m >= goal),
        };
        self.goals = vec![
            most("decide in V8, projected to 64, p50", 20.0, decide(Form::Kernel, |d| d.v8_p50_us)),
            most("decide in V8, unprojected, p50", 200.0, decide(Form::Whole, |d| d.v8_p50_us)),
            most("decide natively, projected to 64, p50", 10.0, decide(Form::Kernel, |d| d.native_p50_us)),
            least("updates on one core, projected to 64", 100_000.0, learn(Form::Kernel)),
            least("updates on one core, full d = 816", 3_600.0, learn(Form::Whole)),
        ];
    }
}

/// The k that a form's goals are set for.
fn size(form: Form) -> usize {
    match form {
        Form::Kernel => DIMENSIONS,
        Form::Whole => dragoman_bench_decide::CONTEXT,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Deciding and learning on ONE core of {}; d = {}",
            self.cores,
            dragoman_bench_decide::CONTEXT
        )?;
        if let Some(load) = self.load_average.filter(|load| *load > 0.5) {
            writeln!(
                f,
                "NOTE: the machine was busy in the minute before (load average {load:.1}; a build counts too): \
                 if others are running, run it again when they are not"
            )?;
        }
        self.deciding(f)?;
        self.learning(f)?;
        self.beside(f)?;
        self.routing(f)?;
        self.goals(f)
    }
}

impl Report {
    fn deciding(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nOne decision, µs                 native              V8 in Envoy")?;
        writeln!(f, "form            routes     k       p50       p99       p50       p99   same bits")?;
        for d in &self.decide {
            writeln!(
                f,
                "{:<15} {:>6} {:>5} {:>9.1} {:>9.1} {:>9.1} {:>9.1}   {}",
                d.form.to_string(),
                d.routes,
                d.dimensions,
                d.native_p50_us,
                d.native_p99_us,
                d.v8_p50_us,
                d.v8_p99_us,
                if d.same_bits { "yes" } else { "NO" }
            )?;
        }
        Ok(())
    }

    fn learning(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nLearning, natively          k   updates/s    p50 µs    p99 µs   parameters of all routes, ms"
        )?;
        for l in &self.learn {
            writeln!(
                f,
                "{:<15} {:>2} routes {:>5} {:>11.0} {:>9.1} {:>9.1} {:>14.1}",
                l.form.to_string(),
                l.routes,
                l.dimensions,
                l.updates_per_s,
                l.p50_us,
                l.p99_us,
                l.publish_ms
            )?;
        }
        Ok(())
    }

    /// Everybody's speed at the sizes that the peers' scripts measure.
    fn beside(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nBeside the peers, {ROUTES} routes, one core")?;
        writeln!(
            f,
            "                                        d   decisions/s   p50 µs   p99 µs    updates/s   p50 µs   p99 µs"
        )?;
        for form in [Form::Kernel, Form::Whole] {
            let k = size(form);
            let decide = self.decide.iter().find(|d| (d.form, d.routes, d.dimensions) == (form, ROUTES, k));
            let learn = self.learn.iter().find(|l| (l.form, l.dimensions) == (form, k));
            if let (Some(d), Some(l)) = (decide, learn) {
                let name = format!("Dragoman {form}");
                speed_row(
                    f,
                    &name,
                    k,
                    [d.native_per_s, d.native_p50_us, d.native_p99_us],
                    [l.updates_per_s, l.p50_us, l.p99_us],
                )?;
            }
        }
        for (name, peer) in &self.peers {
            if let Some(why) = peer.as_str() {
                writeln!(f, "{name}: {why}")?;
            }
            let title = peer["version"].as_str().unwrap_or(name);
            for row in peer["speed"].as_array().into_iter().flatten() {
                let numbers = |part: &str| {
                    ["per_s", "p50_us", "p99_us"].map(|key| row[part][key].as_f64().unwrap_or(f64::NAN))
                };
                let k = row["dimensions"].as_u64().unwrap_or(0) as usize;
                let title = format!("{title} {}", row["way"].as_str().unwrap_or_default());
                speed_row(f, &title, k, numbers("decide"), numbers("update"))?;
            }
        }
        Ok(())
    }

    /// Everybody's routing quality, where it was asked for.
    fn routing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for peer in self.peers.values() {
            let name = peer["version"].as_str().unwrap_or_default();
            for routing in peer["routing"].as_array().into_iter().flatten() {
                let text = |key: &str| routing[key].as_str().unwrap_or_default();
                writeln!(f, "\n{name}: {}; {}, {} seeds", text("title"), text("features"), routing["seeds"])?;
                writeln!(f, "budget $/request   reward (sd)         cost        use")?;
                for row in routing["rows"].as_array().into_iter().flatten() {
                    routing_row(f, row)?;
                }
            }
        }
        Ok(())
    }

    fn goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nGoals at {ROUTES} routes, d = {}", dragoman_bench_decide::CONTEXT)?;
        for goal in &self.goals {
            let measured = goal.measured.map_or("not measured".to_owned(), |m| format!("{m:.1}"));
            let verdict = if goal.met { "met" } else { "NOT MET" };
            writeln!(f, "{:<38} {measured:>12}   ({} {})   {verdict}", goal.what, goal.goal, goal.unit)?;
        }
        Ok(())
    }
}

fn speed_row(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    k: usize,
    decide: [f64; 3],
    update: [f64; 3],
) -> fmt::Result {
    let [rate, p50, p99] = decide;
    let [updates, update_p50, update_p99] = update;
    writeln!(
        f,
        "{name:<36} {k:>4} {rate:>13.0} {p50:>8.1} {p99:>8.1} {updates:>12.0} {update_p50:>8.1} {update_p99:>8.1}"
    )
}

fn routing_row(f: &mut fmt::Formatter<'_>, row: &Value) -> fmt::Result {
    let number = |key: &str| row[key].as_f64();
    let budget = number("budget").map_or("none".to_owned(), |b| format!("{b:.1e}"));
    let part = number("use").map_or(String::new(), |u| format!("{u:.3}"));
    let [reward, sd, cost] = ["reward", "reward_sd", "cost"].map(|key| number(key).unwrap_or(f64::NAN));
    writeln!(f, "{budget:>16}   {reward:.4} ({sd:.4})   {cost:>9.2e}   {part:>6}")
}
