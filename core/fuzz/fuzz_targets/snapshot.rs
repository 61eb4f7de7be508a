#![no_main]
//! Any bytes are a snapshot or refused; behind the magic and a signature's space, to reach the inner parser.
use dragoman_core::snapshot::Snapshot;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let blob = [b"DRAGOMAN".as_slice(), &[0; 64], payload].concat();
    let _ = Snapshot::decode_trusted(&blob);
});
