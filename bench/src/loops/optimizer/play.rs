//! A configuration with one threshold, and the sidecar's side of tuning it: the log and the tuner.

use std::collections::VecDeque;

use dragoman_core::config::{Condition, Config, OptimizerConfig, Routing};
use dragoman_core::optimizer::{Seen, Step, Tuner, apply, dials, step};
use serde_json::json;

pub(super) fn routing(above: f64) -> Routing {
    let model = json!({"endpoint": "http://127.0.0.1:1", "price": {}});
    let document = json!({
        "default_model": "small",
        "models": {"small": model, "large": model},
        "decisions": [
            {"name": "code", "priority": 10, "when": [{"signal": "code", "above": above}], "models": ["large"]},
            {"name": "hard", "priority": 5, "when": [{"signal": "complexity", "above": 0.5}], "models": ["large"]},
            {"name": "rest", "models": ["small"]},
        ],
    });
    // The document is a constant.
    Config::from_value(&document).map(|config| config.routing).unwrap_or_else(|e| unreachable!("{e}"))
}

pub(super) fn threshold_of(routing: &Routing) -> f32 {
    let rule = routing.decisions.iter().find(|d| d.name == "code");
    let above = rule.and_then(|rule| rule.when.first());
    if let Some(Condition::Above(_, threshold)) = above { *threshold } else { f32::NAN }
}

/// The sidecar's side: the log and the tuner.
#[derive(Default)]
pub(super) struct World {
    /// The newest records, newest first.
    seen: VecDeque<Seen>,
    tuner: Tuner,
    /// After so many records, the configuration in use.
    pub(super) values: Vec<(u64, Routing)>,
}

impl World {
    /// Asks for so many records, and tunes by them.
    pub(super) fn play(
        &mut self,
        records: u64,
        configured: &Routing,
        mut ask: impl FnMut(u64, &Routing) -> Seen,
    ) {
        let config = OptimizerConfig::default();
        let mut now = configured.clone();
        for n in 1..=records {
            self.seen.push_front(ask(n, &now));
            self.seen.truncate(config.window);
            if n.is_multiple_of(config.every) {
                let newest = self.seen.make_contiguous();
                let dials = self.tuner.awake(dials(configured, self.tuner.live(), newest, &config));
                let changes = step(&dials, &config);
                self.tuner.propose(n, Step { changes, rest: config.rest, time_ms: n * 1000 });
                self.tuner.judge(n, true);
                now = apply(configured, self.tuner.live());
                self.values.push((n, now.clone()));
            }
        }
    }
}
