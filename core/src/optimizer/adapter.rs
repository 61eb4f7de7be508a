//! Between the configuration and the knobs: which there are, what records say of them, and settings applied.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Dial, Evidence, Knob, Rewarded, Setting, Side};
use crate::config::{Condition, DecisionRule, OptimizerConfig, Routing, SignalName};
use crate::decision::{holds, score_of};
use crate::signals::Signals;

/// What tuning needs of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The decision rule that held, by its name.
    pub decision: Option<String>,
    /// What the prompt looked like.
    pub signals: Signals,
    /// What the answer was worth, as it is known now.
    pub reward: f64,
}

/// `routing` with the tuned values. A setting that was tuned from another configured value than today's does not apply.
pub fn apply(routing: &Routing, settings: &BTreeMap<Knob, Setting>) -> Routing {
    let tuned = |knob: &Knob, configured: f64| value_of(settings, knob, configured);
    let mut routing = routing.clone();
    for decision in &mut routing.decisions {
        let name = decision.name.clone();
        for condition in &mut decision.when {
            if let Condition::Above(signal, threshold) = condition {
                *threshold = tuned(&threshold_of(&name, *signal), f64::from(*threshold)) as f32;
            }
        }
        let priority = tuned(&Knob::Priority { decision: name }, f64::from(decision.priority));
        decision.priority = priority as u32;
    }
    reorder(&mut routing);
    routing
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
    let mut dials = thresholds(routing, &now, &records);
    dials.extend(priorities(routing, &now, &records, config));
    dials
}

/// A record, with which decisions hold for it by now.
struct Record<'a> {
    seen: &'a Seen,
    /// Place of the decision that was taken; past the last one where none was.
    taken: usize,
    /// Of each decision, how many conditions fail.
    fails: Vec<usize>,
    got: Rewarded,
}

impl<'a> Record<'a> {
    fn of(now: &Routing, seen: &'a Seen, age: usize, config: &OptimizerConfig) -> Self {
        let fails = |d: &DecisionRule| d.when.iter().filter(|c| !holds(c, &seen.signals)).count();
        let taken = now.decisions.iter().position(|d| Some(&d.name) == seen.decision.as_ref());
        let weight = libm::exp2(-(age as f64) / config.half_life);
        Self {
            seen,
            taken: taken.unwrap_or(now.decisions.len()),
            fails: now.decisions.iter().map(fails).collect(),
            got: Rewarded { reward: seen.reward, weight },
        }
    }

    fn holds(&self, decision: usize) -> bool {
        self.fails.get(decision) == Some(&0)
    }
}

fn thresholds(configured: &Routing, now: &Routing, records: &[Record]) -> Vec<Dial> {
    let mut dials: Vec<Dial> = Vec::new();
    for (place, decision) in now.decisions.iter().enumerate() {
        for condition in &decision.when {
            let Condition::Above(signal, threshold) = condition else { continue };
            let knob = threshold_of(&decision.name, *signal);
            let Some(configured) = configured_threshold(configured, decision, *signal) else { continue };
            if dials.iter().any(|d| d.knob == knob) {
                continue;
            }
            let sides = records.iter().filter_map(|r| side(r, place, condition, *signal)).collect();
            let (value, evidence) = (f64::from(*threshold), Evidence::Threshold(sides));
            dials.push(Dial { knob, configured, value, evidence });
        }
    }
    dials
}

/// A record on which decision `place` hinges by this condition alone: taken by it, or taken by one of lower priority
/// although every other condition held.
fn side(record: &Record, place: usize, condition: &Condition, signal: SignalName) -> Option<Side> {
    let above = record.taken == place;
    let passed = usize::from(!holds(condition, &record.seen.signals));
    let hinges = above || (record.taken > place && record.fails.get(place) == Some(&passed));
    let score = f64::from(score_of(signal, &record.seen.signals));
    hinges.then_some(Side { signal: score, above, got: record.got })
}

/// For each two decisions that hold at once, whether the lower one should decide instead. A decision that always holds
/// never rises: it would leave the others nothing.
fn priorities(
    configured: &Routing,
    now: &Routing,
    records: &[Record],
    config: &OptimizerConfig,
) -> Vec<Dial> {
    let mut dials = Vec::new();
    for (upper, above) in now.decisions.iter().enumerate() {
        for (lower, below) in now.decisions.iter().enumerate().skip(upper + 1) {
            let both = || records.iter().filter(move |r| r.holds(upper) && r.holds(lower));
            let shared: Vec<Rewarded> = both().filter(|r| r.taken == upper).map(|r| r.got).collect();
            if below.when.is_empty() || shared.len() < config.samples {
                continue;
            }
            // Best is what it earned where both held, from a time when it was the upper one.
            let mut own: Vec<Rewarded> = both().filter(|r| r.taken == lower).map(|r| r.got).collect();
            if own.len() < config.samples {
                own = records.iter().filter(|r| r.taken == lower).map(|r| r.got).collect();
            }
            let raised = f64::from(above.priority) + 1.0;
            let (turned, target) = match raised <= config.priority.high {
                true => (below, raised),
                false => (above, f64::from(below.priority) - 1.0),
            };
            let original = configured.decisions.iter().find(|d| d.name == turned.name);
            let Some(original) = original else { continue };
            dials.push(Dial {
                knob: Knob::Priority { decision: turned.name.clone() },
                configured: f64::from(original.priority),
                value: f64::from(turned.priority),
                evidence: Evidence::Priority { lower: own, upper: shared, target },
            });
        }
    }
    // One decision may stand in several pairs: the first, which is the highest, counts.
    let mut first = std::collections::BTreeSet::new();
    dials.retain(|dial| first.insert(dial.knob.clone()));
    dials
}

fn threshold_of(decision: &str, signal: SignalName) -> Knob {
    Knob::Threshold { decision: decision.to_owned(), signal: signal.name().to_owned() }
}

fn configured_threshold(configured: &Routing, decision: &DecisionRule, signal: SignalName) -> Option<f64> {
    let own = configured.decisions.iter().find(|d| d.name == decision.name)?;
    own.when.iter().find_map(|condition| match condition {
        Condition::Above(name, threshold) if *name == signal => Some(f64::from(*threshold)),
        _ => None,
    })
}

fn value_of(settings: &BTreeMap<Knob, Setting>, knob: &Knob, configured: f64) -> f64 {
    settings.get(knob).filter(|s| s.configured == configured).map_or(configured, |s| s.value)
}

/// Highest priority first; of equals the document's order. Routes find their decisions again.
fn reorder(routing: &mut Routing) {
    let mut order: Vec<usize> = (0..routing.decisions.len()).collect();
    order.sort_by_key(|i| Reverse(routing.decisions.get(*i).map(|d| d.priority)));
    let decisions = order.iter().filter_map(|i| routing.decisions.get(*i).cloned()).collect();
    for route in &mut routing.routes {
        route.decision = order.iter().position(|i| *i == route.decision).unwrap_or(route.decision);
    }
    routing.decisions = decisions;
}
