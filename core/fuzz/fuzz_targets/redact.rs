#![no_main]
//! Any text is redacted, and once is enough.
use dragoman_core::privacy::redact;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let once = redact(text);
    assert_eq!(redact(&once), once);
});
