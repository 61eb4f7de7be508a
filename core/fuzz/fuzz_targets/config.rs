#![no_main]
//! Any document is a configuration or refused.
use dragoman_core::config::{Config, FilterConfig};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = serde_json::from_slice(bytes) {
        let _ = Config::from_value(&document);
    }
    let _ = serde_json::from_slice::<FilterConfig>(bytes);
});
