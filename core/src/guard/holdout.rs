//! Before any traffic: what the newest records say of a candidate. It is refused if even the upper end of what it may
//! be worth lies below the live snapshot by more than the limit; where the log says too little, the canary has to.

use serde::Serialize;

use super::rollout::LEAST_REWARD;
use crate::evaluate::{Estimate, Estimates};

/// Effective records below which the log says too little.
const FEWEST: f64 = 50.0;

/// What the log says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Holdout {
    /// Records that could be judged by.
    pub records: usize,
    /// Mean reward that live would have earned on them, doubly robust.
    pub live: Option<Estimate>,
    /// The same of the candidate.
    pub candidate: Option<Estimate>,
    /// What follows.
    pub finding: Finding,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It may be tried.
    Passed,
    /// Too few records, or too few of what the candidate would do: it may be tried, by its canary alone.
    TooFew,
    /// It is surely worse.
    Refused,
}

impl Holdout {
    /// Weighs both estimates, which are of the same records.
    pub fn weigh(live: Option<&Estimates>, candidate: Option<&Estimates>, limit: f64) -> Self {
        let finding = match (live, candidate) {
            (Some(live), Some(new)) if live.effective.min(new.effective) >= FEWEST => {
                let fall = limit * live.dr.value.abs().max(LEAST_REWARD);
                if new.dr.high < live.dr.value - fall { Finding::Refused } else { Finding::Passed }
            }
            _ => Finding::TooFew,
        };
        let dr = |e: Option<&Estimates>| e.map(|e| e.dr);
        Self { records: candidate.map_or(0, |e| e.n), live: dr(live), candidate: dr(candidate), finding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Evaluation, Logged, Range};

    /// Two arms drawn alike, worth 0.8 and 0.2; a policy that takes the first with this probability.
    fn estimates(first: f64, n: u32) -> Option<Estimates> {
        let range = Range { low: -1.0, high: 1.0 };
        let mut all = Evaluation::new(range);
        for i in 0..n {
            let chosen = (i % 2) as usize;
            let reward = [0.8, 0.2][chosen] + if i % 4 < 2 { 0.1 } else { -0.1 };
            let target = [first, 1.0 - first];
            all.add(&Logged {
                chosen,
                propensity: &[0.5, 0.5],
                reward,
                target: &target,
                predicted: &[0.5, 0.5],
            });
        }
        all.finish()
    }

    #[test]
    fn a_candidate_that_is_surely_worse_gets_no_traffic() {
        let (good, bad) = (estimates(0.9, 1000), estimates(0.1, 1000));
        let weigh =
            |live: &Option<_>, new: &Option<_>| Holdout::weigh(live.as_ref(), new.as_ref(), 0.05).finding;
        assert_eq!(weigh(&good, &bad), Finding::Refused);
        assert_eq!(weigh(&bad, &good), Finding::Passed);
        assert_eq!(weigh(&good, &good), Finding::Passed);
    }

    #[test]
    fn too_few_records_leave_it_to_the_canary() {
        let (good, bad) = (estimates(0.9, 20), estimates(0.1, 20));
        assert_eq!(Holdout::weigh(good.as_ref(), bad.as_ref(), 0.05).finding, Finding::TooFew);
        assert_eq!(Holdout::weigh(None, None, 0.05).finding, Finding::TooFew);
    }
}
