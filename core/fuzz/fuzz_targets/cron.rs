#![no_main]
//! Any text is a schedule, whose next time lies ahead, or refused.
use dragoman_core::cron::Cron;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(cron) = Cron::parse(text) {
        let after = 1_795_000_000_000;
        assert!(cron.next(after).is_none_or(|at| at > after));
    }
});
