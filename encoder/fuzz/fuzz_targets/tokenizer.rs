#![no_main]
//! Any bytes are a tokenizer, whose ids are within the cap, or refused in a sentence.
use dragoman_encoder::Encoder;

const MODEL: &[u8] = include_bytes!("../../../models/dragoman-small/model.fused");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match Encoder::load(MODEL.into(), bytes, 64) {
        Ok(encoder) => assert!(encoder.tokenize("Any words, même ça!").unwrap().len() <= 64),
        Err(why) => assert!(why.to_string().contains("token")),
    }
});
