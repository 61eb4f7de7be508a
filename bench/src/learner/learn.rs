//! Learning, timed: the only file here that touches the learner's API.

use std::time::Instant;

use dragoman_bench_decide::{CONTEXT, context};
use dragoman_core::config::LearnerConfig;
use dragoman_core::context::Context;
use dragoman_core::learner::Learner;
use dragoman_core::policy::Projection;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Effort;
use super::report::Learn;
use crate::Outcome;
use crate::numbers::quantile;

/// Different contexts.
const CONTEXTS: usize = 64;

/// Times observing, in turn on each of `routes` routes, and turning their statistics into parameters.
pub(super) fn measure(projection: Projection, routes: usize, effort: &Effort) -> Outcome<Learn> {
    let dimensions = projection.rows();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let contexts: Vec<Context> = (0..CONTEXTS).map(|_| context(&mut random)).collect();
    let rewards: Vec<f64> = (0..CONTEXTS).map(|_| random.random()).collect();
    let names: Vec<String> = (0..routes).map(|i| format!("bench/{i}")).collect();
    let mut learner = Learner::new(config(dimensions), projection);
    let mut observe = |number: usize| {
        let at = number % CONTEXTS;
        learner.observe(&names[number % routes], &contexts[at], rewards[at], Some(300))
    };
    let (start, mut count) = (Instant::now(), 0);
    // Every route gets its statistics, and the core its clock.
    while start.elapsed() < effort.warm_up || count < routes {
        observe(count);
        count += 1;
    }
    let mut times = Vec::new();
    let (start, mut last) = (Instant::now(), Instant::now());
    while start.elapsed() < effort.measure {
        if !observe(count + times.len()) {
            return Err("the learner refuses an observation".into());
        }
        let now = Instant::now();
        times.push((now - last).as_nanos() as u64);
        last = now;
    }
    let updates_per_s = times.len() as f64 / (last - start).as_secs_f64();
    let publish_ms = publish(&learner, &names)?;
    Ok(Learn {
        form: if dimensions == CONTEXT { "full" } else { "projected" },
        routes,
        dimensions,
        updates_per_s,
        p50_us: quantile(&times, 0.5) as f64 / 1e3,
        p99_us: quantile(&times, 0.99) as f64 / 1e3,
        publish_ms,
    })
}

/// Milliseconds to turn all routes' statistics into parameters, the least of three: what else ran does not count.
fn publish(learner: &Learner, names: &[String]) -> Outcome<f64> {
    let once = || {
        let start = Instant::now();
        let solved = names.iter().all(|name| std::hint::black_box(learner.params(name)).is_some());
        solved.then(|| start.elapsed().as_secs_f64() * 1e3).ok_or("the statistics give no parameters")
    };
    let times = [once()?, once()?, once()?];
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
}

/// Never forgets: the learner's default. (Forgetting scales all sums at each update.)
fn config(dimensions: usize) -> LearnerConfig {
    LearnerConfig { dimensions, ridge: 1.0, forgetting: 1.0, publish_ms: 1000, batch_seconds: 900 }
}
