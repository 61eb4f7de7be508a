//! The shipped encoder against the vectors its training wrote down (torch through onnxruntime).
#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use std::path::PathBuf;
use std::sync::OnceLock;

use dragoman_encoder::{Encoder, EncoderError, Precision, convert};
use serde::Deserialize;

const MAX_TOKENS: usize = 128;
/// Runtimes add in different orders.
const TOLERANCE: f32 = 1e-5;
/// Least cosine of an int8 embedding to the exact one.
const INT8_COSINE: f32 = 0.999;
/// The same of words in no order, which nothing in the training was like.
const SCATTERED_COSINE: f32 = 0.998;

#[derive(Deserialize)]
struct Vector {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/dragoman-small");
    std::fs::read(folder.join(name)).expect("the shipped model is in models/dragoman-small")
}

fn load(model: Vec<u8>) -> Encoder {
    Encoder::load(model.into(), &file("tokenizer.json"), MAX_TOKENS).expect("the shipped model loads")
}

/// The encoder as it is shipped.
fn encoder() -> &'static Encoder {
    static ENCODER: OnceLock<Encoder> = OnceLock::new();
    ENCODER.get_or_init(|| load(file("model.fused")))
}

fn vectors() -> Vec<Vector> {
    serde_json::from_slice(&file("vectors.json")).expect("vectors.json is a list of vectors")
}

#[test]
fn token_ids_are_those_of_the_training() {
    for vector in vectors() {
        assert_eq!(encoder().tokenize(&vector.text).unwrap(), vector.ids, "{:?}", vector.text);
    }
}

#[test]
fn exact_embeddings_are_those_of_torch() {
    let exact = convert(&file("model.onnx"), Precision::Float).unwrap();
    for (runtime, encoder) in [("tract", load(file("model.onnx"))), ("fused", load(exact))] {
        for vector in vectors() {
            let embedding = encoder.embed(&vector.text).unwrap();
            assert_eq!(embedding.len(), vector.embedding.len());
            let pairs = embedding.iter().zip(&vector.embedding);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < TOLERANCE, "{runtime}: {worst} for {:?}", vector.text);
        }
    }
}

#[test]
fn shipped_embeddings_are_near_those_of_torch() {
    for vector in vectors() {
        let embedding = encoder().embed(&vector.text).unwrap();
        let cosine: f32 = embedding.iter().zip(&vector.embedding).map(|(a, b)| a * b).sum();
        assert!(cosine >= INT8_COSINE, "{cosine} for {:?}", vector.text);
    }
}

#[test]
fn shipped_embeddings_are_near_the_graphs_at_every_length() {
    let cosine = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>();
    let graph = load(file("model.onnx"));
    let texts = vectors();
    let written: Vec<u32> = texts.iter().flat_map(|v| v.ids.iter().copied()).filter(|id| *id > 103).collect();
    let scattered: Vec<u32> = (0..4096).map(|i| 1996 + (i * i * 7 + i * 13) % 3000).collect();
    for (kind, ids, least) in [("written", written, INT8_COSINE), ("scattered", scattered, SCATTERED_COSINE)]
    {
        for length in [16, 64, 128, 256] {
            for start in (0..ids.len()).step_by(ids.len() / 8) {
                let inner = ids.iter().cycle().skip(start).take(length - 2).copied();
                let ids: Vec<u32> = std::iter::once(101).chain(inner).chain([102]).collect();
                let near = cosine(encoder().embed_ids(&ids).unwrap(), graph.embed_ids(&ids).unwrap());
                assert!(near >= least, "{near} for {length} {kind} tokens from {start}");
            }
        }
    }
}

#[test]
fn an_embedding_has_unit_length_whatever_the_text() {
    for text in ["", " ", "\u{0}", "a", "🙂", &"long ".repeat(100_000)] {
        let square: f32 = encoder().embed(text).unwrap().iter().map(|v| v * v).sum();
        assert!((square - 1.0).abs() < 1e-4, "{square}");
    }
}

#[test]
fn a_text_of_any_length_costs_at_most_the_cap() {
    assert_eq!(encoder().tokenize(&"word ".repeat(1_000_000)).unwrap().len(), MAX_TOKENS);
    assert!(encoder().tokenize(&" ".repeat(10_000_000)).unwrap().len() <= 2);
}

#[test]
fn of_a_long_text_the_head_and_the_tail_are_read() {
    let ids = |text: &str| encoder().tokenize(text).unwrap();
    let pasted = "the river floods its banks ".repeat(100_000);
    let read = ids(&format!("Translate this into French. {pasted}. And how many birds are there?"));
    let inner = |text: &str| {
        let all = ids(text);
        all[1..all.len() - 1].to_vec()
    };
    assert_eq!(read.len(), MAX_TOKENS);
    assert!(read[1..].starts_with(&inner("Translate this into French.")));
    assert!(read[..MAX_TOKENS - 1].ends_with(&inner("And how many birds are there?")));
}

#[test]
fn a_special_token_in_a_text_is_text() {
    let ids = encoder().tokenize("[CLS] ignore this [SEP]").unwrap();
    let special = |id: &&u32| [101, 102].contains(*id);
    assert_eq!(ids.iter().filter(special).count(), 2, "{ids:?}");
}

#[test]
fn similar_questions_are_nearer_than_others() {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let [sort, order, cake] =
        ["How do I sort a list in Python?", "Python: order the items of a list", "A recipe for apple cake"]
            .map(|t| encoder().embed(t).unwrap());
    assert!(dot(&sort, &order) > dot(&sort, &cake) + 0.2);
}

#[test]
fn a_broken_file_is_named_in_a_sentence() {
    let load = |model: &[u8], tokenizer: &[u8], cap| {
        Encoder::load(model.to_vec().into(), tokenizer, cap).err().unwrap()
    };
    let error = load(b"not onnx", &file("tokenizer.json"), MAX_TOKENS);
    assert!(matches!(&error, EncoderError::Model(_)) && error.to_string().contains("model.onnx"), "{error}");
    let error = load(&file("model.fused"), b"{}", MAX_TOKENS);
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    let error = load(&file("model.fused"), &file("tokenizer.json"), 2);
    assert!(error.to_string().contains("at least 3"), "{error}");
}
