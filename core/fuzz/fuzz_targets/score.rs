#![no_main]
//! Any reply of a judge is a score from 1 to 5, or none.
use dragoman_core::reward::read_score;

libfuzzer_sys::fuzz_target!(|reply: &str| {
    assert!(read_score(reply).is_none_or(|score| (1..=5).contains(&score)));
});
