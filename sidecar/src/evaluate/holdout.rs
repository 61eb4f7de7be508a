//! The newest records of the log as a first judge of a candidate, before it gets any traffic.

use dragoman_core::config::Routing;
use dragoman_core::evaluate::{Estimates, Evaluation, Range};
use dragoman_core::guard::holdout::Holdout;
use dragoman_core::replay::ReplayRecord;
use dragoman_core::snapshot::Snapshot;

use super::actions::{Actions, LeftOut};
use super::target::{Policy, Target};

/// Weighs `candidate` against `live` on records with their rewards, which lie in `range`.
pub(crate) fn weigh(
    live: &Snapshot,
    candidate: &Snapshot,
    records: &[(ReplayRecord, f64)],
    range: Range,
    limit: f64,
) -> Holdout {
    let [live, candidate] = [live, candidate].map(|snapshot| estimates(snapshot, records, range));
    Holdout::weigh(live.as_ref(), candidate.as_ref(), limit)
}

fn estimates(snapshot: &Snapshot, records: &[(ReplayRecord, f64)], range: Range) -> Option<Estimates> {
    let routing: &Routing = &snapshot.meta.routing;
    let target = Target { name: String::new(), policy: Policy::Snapshot(Box::new(snapshot.clone())) };
    let (mut evaluation, mut left_out) = (Evaluation::new(range), LeftOut::default());
    for (record, reward) in records {
        if let Some(actions) = Actions::of(record, &target, routing, &mut left_out) {
            evaluation.add(&actions.logged(*reward));
        }
    }
    evaluation.finish()
}
