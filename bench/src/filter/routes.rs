//! How the cost grows with the number of routes, and what a push of them costs.

use super::report::RouteRow;
use super::run::Effort;
use super::setups::Setups;
use crate::Outcome;
use crate::http::{Client, Load, Measured};
use crate::numbers::{micros, quantile_ms};

/// Numbers of candidate routes.
const ROUTES: [usize; 2] = [3, 24];
/// Short prompts: the routes' share of the cost shows best.
const TOKENS: usize = 16;

/// What was measured of one number of routes.
#[derive(Default)]
struct Taken {
    bytes: usize,
    acks: Vec<u64>,
    first: Vec<u64>,
    load: Measured,
    decide: Vec<u64>,
    total: Vec<u64>,
}

/// Measures each number of routes, in turn.
pub(super) fn measure(setups: &mut Setups, effort: Effort) -> Outcome<Vec<RouteRow>> {
    let requests = setups.prompts.requests(TOKENS)?;
    let mut taken = ROUTES.map(|routes| (routes, Taken::default()));
    for _ in 0..effort.blocks {
        for (routes, taken) in &mut taken {
            block(setups, effort, *routes, &requests, taken)?;
        }
    }
    Ok(taken.iter().map(|(routes, taken)| row(*routes, taken)).collect())
}

fn block(
    setups: &mut Setups,
    effort: Effort,
    routes: usize,
    requests: &[Vec<u8>],
    taken: &mut Taken,
) -> Outcome<()> {
    let at = setups.filter.listen.gateway;
    let mut client = Client::connect(at)?;
    let request = requests.first().ok_or("no requests to send")?;
    let pushes = effort.pushes.div_ceil(effort.blocks);
    for _ in 0..pushes {
        let (bytes, ack) = setups.push(routes)?;
        taken.bytes = bytes;
        taken.acks.push(micros(ack));
        taken.first.push(micros(client.ask(request)?));
    }
    setups.records.take(pushes)?;
    let load = Load { at, requests, concurrency: 1, duration: effort.block };
    let measured = load.run()?;
    let stages = setups.records.take(measured.latencies.len() + load.unmeasured())?;
    taken.decide.extend(stages.iter().map(|s| s.decide_us));
    taken.total.extend(stages.iter().map(|s| s.total_us));
    taken.load.add(measured);
    Ok(())
}

fn row(routes: usize, taken: &Taken) -> RouteRow {
    RouteRow {
        routes,
        tokens: TOKENS,
        snapshot_bytes: taken.bytes,
        p50_ms: quantile_ms(&taken.load.latencies, 0.5),
        decide_p50_ms: quantile_ms(&taken.decide, 0.5),
        total_p50_ms: quantile_ms(&taken.total, 0.5),
        push_ack_p50_ms: quantile_ms(&taken.acks, 0.5),
        push_ack_max_ms: quantile_ms(&taken.acks, 1.0),
        first_request_p50_ms: quantile_ms(&taken.first, 0.5),
    }
}
