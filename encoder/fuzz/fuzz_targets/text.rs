#![no_main]
//! Any text has ids: its own between the two special ones, at most as many as the cap.
use std::sync::LazyLock;

use dragoman_encoder::Encoder;

const MODEL: &[u8] = include_bytes!("../../../models/dragoman-small/model.fused");
const TOKENIZER: &[u8] = include_bytes!("../../../models/dragoman-small/tokenizer.json");
static ENCODER: LazyLock<Encoder> = LazyLock::new(|| Encoder::load(MODEL.into(), TOKENIZER, 64).unwrap());

libfuzzer_sys::fuzz_target!(|text: &str| {
    let ids = ENCODER.tokenize(text).unwrap();
    let [101, inner @ .., 102] = &ids[..] else { panic!("{ids:?}") };
    assert!(inner.len() <= 62 && inner.iter().all(|id| ![101, 102].contains(id)));
});
