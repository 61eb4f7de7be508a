#![no_main]
//! Any answer is one embedding of the size that was asked for, finite and of unit length, or refused.
use dragoman_core::embedding::read;

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (dimensions, body) = (usize::from(input.0), input.1);
    if let Ok(vector) = read(body, dimensions) {
        let length: f64 = vector.iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!(vector.len() == dimensions && (length - 1.0).abs() < 1e-5);
    }
});
