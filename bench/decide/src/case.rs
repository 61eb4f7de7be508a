//! One case: what is decided, and how long it takes.

use std::hint::black_box;

use dragoman_core::context::Context;
use dragoman_core::decision::{Decision, decide};
use dragoman_core::request::{Api, RequestFacts};
use dragoman_core::signals::Signals;
use dragoman_core::snapshot::Snapshot;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Form, snapshot};

/// Different contexts, so that no branch is learned by heart.
const CONTEXTS: usize = 64;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How routes are scored.
    pub form: Form,
    /// Candidates of every request.
    pub routes: usize,
    /// k, number of features; d where they are the whole context.
    pub dimensions: usize,
}

/// How long to measure a case.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Effort {
    /// Nanoseconds of deciding before it counts: V8 optimises what runs often.
    pub warm_up_ns: u64,
    /// Nanoseconds of measuring.
    pub measure_ns: u64,
    /// Decisions between two looks at the clock.
    pub batch: u32,
}

/// Nanoseconds since some moment, never falling.
pub type Clock<'a> = &'a dyn Fn() -> u64;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Nanoseconds of each batch.
    pub batches: Vec<u64>,
    /// Decisions in a batch.
    pub batch: u32,
    /// A digest of the bits of one decision per context: equal wherever the arithmetic is equal.
    pub digest: u64,
}

/// Times `case`.
///
/// # Errors
///
/// A sentence, if the case has no snapshot or nothing is decided.
pub fn measure(case: &Case, effort: Effort, clock: Clock) -> Result<Timing, String> {
    let requests = Requests::of(case)?;
    let batch = effort.batch.max(1);
    let mut next = 0;
    let mut run = || {
        for _ in 0..batch {
            black_box(requests.decide(next)).ok();
            next += 1;
        }
    };
    let start = clock();
    while clock() - start < effort.warm_up_ns {
        run();
    }
    let mut batches = Vec::new();
    let (start, mut last) = (clock(), clock());
    while last - start < effort.measure_ns {
        run();
        let now = clock();
        batches.push(now - last);
        last = now;
    }
    Ok(Timing { batches, batch, digest: requests.digest()? })
}

/// What is asked again and again.
struct Requests {
    snapshot: Snapshot,
    /// Each with its draw.
    contexts: Vec<(Context, f64)>,
    signals: Signals,
    facts: RequestFacts,
}

// === impl Requests ===

impl Requests {
    fn of(case: &Case) -> Result<Self, String> {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let contexts = (0..CONTEXTS).map(|_| (snapshot::context(&mut random), random.random())).collect();
        let facts = RequestFacts { token_estimate: 200, ..RequestFacts::default() };
        Ok(Self { snapshot: snapshot::of(case)?, contexts, signals: Signals::default(), facts })
    }

    fn decide(&self, number: usize) -> Result<Decision, String> {
        let (context, draw) = self.contexts.get(number % CONTEXTS).ok_or("there is no context")?;
        let Self { snapshot, signals, facts, .. } = self;
        decide(snapshot, context, signals, Api::ChatCompletions, facts, None, *draw)
            .map_err(|why| format!("nothing is decided: {}", why.reason()))
    }

    /// FNV-1a over everything that was decided, bit by bit.
    fn digest(&self) -> Result<u64, String> {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bits: u64| hash = (hash ^ bits).wrapping_mul(0x0100_0000_01b3);
        for number in 0..CONTEXTS {
            let decision = self.decide(number)?;
            add(decision.chosen.map_or(u64::MAX, |i| i as u64));
            for c in &decision.candidates {
                add(c.reward.to_bits().into());
                add(c.bonus.to_bits().into());
                add(c.cost.to_bits());
                add(c.utility.to_bits().into());
            }
        }
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_timed_in_batches_and_gives_the_same_decisions_again() {
        let case = Case { form: Form::Kernel, routes: 24, dimensions: 32 };
        let effort = Effort { warm_up_ns: 1, measure_ns: 10, batch: 2 };
        let time = std::cell::Cell::new(0);
        let clock = || time.replace(time.get() + 1);
        let timing = measure(&case, effort, &clock).unwrap();
        assert!(timing.batches.iter().all(|t| *t == 1) && timing.batches.len() >= 9, "{timing:?}");
        assert_eq!(measure(&case, effort, &clock).unwrap().digest, timing.digest);
    }
}
