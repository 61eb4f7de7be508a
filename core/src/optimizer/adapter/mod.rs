//! Between the configuration and the knobs: which there are, what records say of them, and settings applied.
//!
//! A record speaks for a condition or rule only where the decision hinges on it: with it true one decision holds, with
//! it false another, everything else as it is, and one of these two was taken. So it makes no difference how deep in a
//! tree it stands, under a `not` or in several decisions.

mod apply;
mod conditions;
mod priorities;
mod record;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use super::{Dial, Knob, Setting};
use crate::config::{Condition, OptimizerConfig, Routing};
use crate::signals::Signals;
pub use apply::apply;
use record::Record;

/// What tuning needs of a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// The decision rule that held, by its name.
    pub decision: Option<String>,
    /// The model that was tried first, if one is known.
    pub tried: Option<Tried>,
    /// What the prompt looked like.
    pub signals: Signals,
    /// What the answer was worth, as it is known now.
    pub reward: f64,
}

/// The model that a prompt was given to first.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Its name.
    pub model: String,
    /// Probability with which it was to be taken.
    pub propensity: f64,
    /// What its own try was worth: not that of a model which answered in its place.
    pub reward: f64,
}

/// Every knob of `routing` (the configuration's own), with what the records say, the newest of them first.
pub fn dials(
    routing: &Routing,
    settings: &BTreeMap<Knob, Setting>,
    seen: &[Seen],
    config: &OptimizerConfig,
) -> Vec<Dial> {
    let now = apply(routing, settings);
    let records: Vec<Record> =
        seen.iter().enumerate().map(|(age, seen)| Record::of(&now, seen, age, config)).collect();
    let of_knobs = [
        conditions::thresholds(routing, &now, &records),
        conditions::embeddings(routing, &now, &records, config),
        weights::scores(routing, &now, &records),
        weights::keywords(routing, &now, &records, config),
        priorities::of(routing, &now, &records, config),
    ];
    let mut dials = of_knobs.concat();
    // One decision stands in several pairs, one keyword perhaps twice in its list: the first counts.
    let mut first = BTreeSet::new();
    dials.retain(|dial| first.insert(dial.knob.clone()));
    dials
}

/// The conditions in `when` that are no trees themselves, in the document's order.
fn singles(when: &[Condition]) -> Vec<&Condition> {
    when.iter().flat_map(single).collect()
}

fn single(condition: &Condition) -> Vec<&Condition> {
    match condition {
        Condition::All(list) | Condition::Any(list) => singles(list),
        Condition::Not(inner) => single(inner),
        other => vec![other],
    }
}

/// Names the thresholds of one decision, asked for in the document's order.
struct Thresholds<'d> {
    decision: &'d str,
    /// How many there were of each signal: the second is called `code 2`.
    met: BTreeMap<String, usize>,
}

// === impl Thresholds ===

impl<'d> Thresholds<'d> {
    fn of(decision: &'d str) -> Self {
        Self { decision, met: BTreeMap::new() }
    }

    /// The next condition's knob and its threshold, if it has one.
    fn next(&mut self, condition: &Condition) -> Option<(Knob, f32)> {
        let (signal, threshold) = match condition {
            Condition::Above(signal, threshold) => (signal.name().to_owned(), *threshold),
            Condition::Domain(domain, threshold) => (format!("domain {domain}"), *threshold),
            _ => return None,
        };
        let met = self.met.entry(signal.clone()).or_default();
        *met += 1;
        let signal = if *met == 1 { signal } else { format!("{signal} {met}") };
        Some((Knob::Threshold { decision: self.decision.to_owned(), signal }, threshold))
    }
}
