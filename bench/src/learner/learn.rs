//! Learning, timed: the only file here that touches the learner's API.

use std::sync::Arc;
use std::time::Instant;

use dragoman_bench_decide::{Form, competing, components, config, context};
use dragoman_core::config::{LearnerConfig, Routing};
use dragoman_core::context::Context;
use dragoman_core::learner::{Base, Learner, Observation};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Effort;
use super::report::Learn;
use crate::Outcome;
use crate::numbers::quantile;

/// Different contexts.
const CONTEXTS: usize = 1024;
/// Observations before it counts: until then kernel features are fitted again and again.
const SETTLED: usize = 4096;

/// Times observing, in turn on each of `routes` routes, and turning their statistics into parameters.
pub(super) fn measure(form: Form, dimensions: usize, routes: usize, effort: &Effort) -> Outcome<Learn> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let contexts: Vec<Arc<Context>> = (0..CONTEXTS).map(|_| Arc::new(context(&mut random))).collect();
    let rewards: Vec<f64> = (0..CONTEXTS).map(|_| random.random()).collect();
    let routing = competing(&config()?.routing, routes);
    let mut learner = learner(form, dimensions)?;
    let mut observe = |number: usize| {
        let at = number % CONTEXTS;
        learner.observe(&Observation {
            route: &routing.routes[number % routes].name,
            context: &contexts[at],
            reward: rewards[at],
            completion_tokens: Some(300),
        })
    };
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < effort.warm_up || count < SETTLED {
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
    let publish_ms = publish(&learner, &routing)?;
    Ok(Learn {
        form,
        routes,
        dimensions: learner.features().size(),
        updates_per_s,
        p50_us: quantile(&times, 0.5) as f64 / 1e3,
        p99_us: quantile(&times, 0.99) as f64 / 1e3,
        publish_ms,
    })
}

/// Milliseconds to turn all routes' statistics into parameters, the least of three: what else ran does not count.
fn publish(learner: &Learner, routing: &Routing) -> Outcome<f64> {
    let once = || {
        let start = Instant::now();
        let solved = std::hint::black_box(learner.params(routing)).is_some();
        solved.then(|| start.elapsed().as_secs_f64() * 1e3).ok_or("the statistics give no parameters")
    };
    let times = [once()?, once()?, once()?];
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
}

/// With the configuration's defaults (it forgets, so every update goes over all sums).
fn learner(form: Form, dimensions: usize) -> Outcome<Learner> {
    let (mean, components) = components();
    let base = Base::from_components(&mean, &components).ok_or("there is no projection")?;
    let config = LearnerConfig { dimensions, whole_context: form == Form::Whole, ..config()?.learner };
    Ok(Learner::new(config, base, None))
}
