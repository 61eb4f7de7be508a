//! Priorities of decisions that hold at once.

use super::super::{Dial, Evidence, Knob, Rewarded};
use super::record::Record;
use crate::config::{OptimizerConfig, Routing};

/// For each two decisions that hold at once, whether the lower one should decide instead. A decision that always holds
/// never rises: it would leave the others nothing.
pub(super) fn of(
    configured: &Routing,
    now: &Routing,
    records: &[Record],
    config: &OptimizerConfig,
) -> Vec<Dial> {
    let mut dials = Vec::new();
    for (upper, above) in now.decisions.iter().enumerate() {
        for (lower, below) in now.decisions.iter().enumerate().skip(upper + 1) {
            if below.when.is_empty() {
                continue;
            }
            let both: Vec<&Record> = records.iter().filter(|r| r.holds(upper) && r.holds(lower)).collect();
            let taken_by = |place: usize| -> Vec<Rewarded> {
                both.iter().filter(|r| r.taken == place).map(|r| r.got).collect()
            };
            let (shared, mut own) = (taken_by(upper), taken_by(lower));
            if shared.len() < config.samples {
                continue;
            }
            // Best is what it earned where both held, from a time when it was the upper one.
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
    dials
}
