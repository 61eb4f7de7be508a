//! Holding: whether a conversation stays on the model that answered it before.
//!
//! What is compared is what is expected of this turn, `q̂ − λ·ĉ`, without the exploration bonus: curiosity is no reason
//! to leave a conversation's prompt cache behind. A held turn explores nothing; its propensity is exactly 1, so it
//! teaches what the held model is worth, and estimates of other policies leave it out. Conversations explore with
//! their first turn, and whenever they are free to move.

use super::{Candidate, Terms};
use crate::config::StickyOverride;

/// The candidate (its index) that `previous`, an index of the models, is held on; `None` leaves the choice free.
/// `best` is what the policy would take, `None` nothing of these: the default route, worth 0. `own` is what the decision
/// says for itself.
pub(super) fn held(
    terms: &Terms,
    own: Option<StickyOverride>,
    candidates: &[Candidate],
    best: Option<usize>,
    previous: Option<usize>,
) -> Option<usize> {
    let Terms { routing, policy, pace, .. } = terms;
    let margin = routing.sticky.margin_of(own)?;
    // The others either never move or are there to gather evidence alike.
    if !policy.kind.predicts() {
        return None;
    }
    let previous = previous?;
    let is_held = |c: &Candidate| routing.routes.get(c.route).is_some_and(|r| r.model == previous);
    let index = candidates.iter().position(is_held)?;
    let value = |c: &Candidate| c.value(pace.cost_weight);
    let nothing = if best.is_none() { 0.0 } else { f64::NEG_INFINITY };
    let most = candidates.iter().map(value).fold(nothing, f64::max);
    let gain = most - value(candidates.get(index)?);
    (gain <= f64::from(margin)).then_some(index)
}

/// Writes the propensities of a held turn.
pub(super) fn certain(candidates: &mut [Candidate], held: usize) {
    for (i, candidate) in candidates.iter_mut().enumerate() {
        candidate.propensity = if i == held { 1.0 } else { 0.0 };
    }
}
