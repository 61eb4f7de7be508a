//! The plugin: times one case per tick, into Envoy's log.

use std::time::{Duration, Instant};

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

use crate::{ANSWER, Reader, cases, measure};

/// Envoy goes on with its own work in between, so that it notices when it is asked to stop.
const PAUSE: Duration = Duration::from_millis(1);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    next: usize,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.set_tick_period(PAUSE);
        true
    }

    fn on_tick(&mut self) {
        let Some((prompt, embedding)) = cases().nth(self.next) else {
            self.set_tick_period(Duration::ZERO);
            return;
        };
        self.next += 1;
        let start = Instant::now();
        let clock = || start.elapsed().as_nanos() as u64;
        let answer = Reader::new().and_then(|reader| measure(&reader, prompt, embedding, &clock));
        match answer.and_then(|answer| serde_json::to_string(&answer).map_err(|e| e.to_string())) {
            Ok(json) => log::info!("{ANSWER}{json}"),
            Err(why) => log::error!("bench-signals: {why}"),
        }
    }
}
