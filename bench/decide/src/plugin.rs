//! The plugin: answers its configuration's questions into Envoy's log, one case per tick.

use std::time::{Duration, Instant};

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

use crate::{ANSWER, Answer, Questions, measure};

/// Envoy goes on with its own work in between, so that it notices when it is asked to stop.
const PAUSE: Duration = Duration::from_millis(1);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    questions: Option<Questions>,
    next: usize,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        match serde_json::from_slice(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(questions) => self.questions = Some(questions),
            Err(why) => {
                log::error!("bench-decide cannot read its questions: {why}");
                return false;
            }
        }
        self.set_tick_period(PAUSE);
        true
    }

    fn on_tick(&mut self) {
        let Some(questions) = &self.questions else { return };
        let Some(case) = questions.cases.get(self.next) else {
            self.set_tick_period(Duration::ZERO);
            return;
        };
        let start = Instant::now();
        let clock = || start.elapsed().as_nanos() as u64;
        let answer = Answer { case: self.next, result: measure(case, questions.effort, &clock) };
        match serde_json::to_string(&answer) {
            Ok(json) => log::info!("{ANSWER}{json}"),
            Err(why) => log::error!("bench-decide has an answer without a JSON form: {why}"),
        }
        self.next += 1;
    }
}
