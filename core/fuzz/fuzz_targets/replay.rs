#![no_main]
//! Any line is a replay record or refused.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = serde_json::from_slice::<dragoman_core::replay::ReplayRecord>(bytes);
});
