//! The shipped encoders against the vectors their training wrote down (torch through onnxruntime).
#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use std::path::PathBuf;
use std::sync::LazyLock;

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

/// A model's folder and what is in it, as it is shipped.
struct Shipped {
    name: &'static str,
    encoder: Encoder,
}

/// The small one, which is the default, and the others.
static SHIPPED: LazyLock<[Shipped; 2]> =
    LazyLock::new(|| ["dragoman-small", "dragoman-base"].map(Shipped::new));

impl Shipped {
    fn new(name: &'static str) -> Self {
        Self { name, encoder: load(file(name, "model.fused")) }
    }

    fn file(&self, name: &str) -> Vec<u8> {
        file(self.name, name)
    }

    fn vectors(&self) -> Vec<Vector> {
        serde_json::from_slice(&self.file("vectors.json")).expect("vectors.json is a list of vectors")
    }
}

fn file(model: &str, name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models").join(model);
    std::fs::read(folder.join(name)).expect("the shipped models are in models/")
}

/// All have one tokenizer.
fn load(model: Vec<u8>) -> Encoder {
    Encoder::load(model.into(), &file("dragoman-small", "tokenizer.json"), MAX_TOKENS)
        .expect("a shipped model loads")
}

/// The default one.
fn encoder() -> &'static Encoder {
    &SHIPPED[0].encoder
}

#[test]
fn token_ids_are_those_of_the_training() {
    for model in &*SHIPPED {
        assert!(model.file("tokenizer.json") == file("dragoman-small", "tokenizer.json"), "{}", model.name);
        for vector in model.vectors() {
            assert_eq!(encoder().tokenize(&vector.text).unwrap(), vector.ids, "{:?}", vector.text);
        }
    }
}

#[test]
fn exact_embeddings_are_those_of_torch() {
    for model in &*SHIPPED {
        let exact = convert(&model.file("model.onnx"), Precision::Float).unwrap();
        for (runtime, encoder) in [("tract", load(model.file("model.onnx"))), ("fused", load(exact))] {
            for vector in model.vectors() {
                let embedding = encoder.embed(&vector.text).unwrap();
                assert_eq!(embedding.len(), vector.embedding.len());
                let pairs = embedding.iter().zip(&vector.embedding);
                let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < TOLERANCE, "{}, {runtime}: {worst} for {:?}", model.name, vector.text);
            }
        }
    }
}

#[test]
fn the_shipped_files_are_what_convert_makes_of_the_shipped_graphs() {
    for model in &*SHIPPED {
        let made = convert(&model.file("model.onnx"), Precision::Int8).unwrap();
        assert!(made == model.file("model.fused"), "run `dragoman-convert models/{}`", model.name);
    }
}

#[test]
fn shipped_embeddings_are_near_those_of_torch() {
    for model in &*SHIPPED {
        for vector in model.vectors() {
            let near = cosine(&model.encoder.embed(&vector.text).unwrap(), &vector.embedding);
            assert!(near >= INT8_COSINE, "{}: {near} for {:?}", model.name, vector.text);
        }
    }
}

#[test]
fn shipped_embeddings_are_near_the_graphs_at_every_length() {
    for model in &*SHIPPED {
        let graph = load(model.file("model.onnx"));
        let texts = model.vectors();
        let written: Vec<u32> =
            texts.iter().flat_map(|v| v.ids.iter().copied()).filter(|id| *id > 103).collect();
        let scattered: Vec<u32> = (0..4096).map(|i| 1996 + (i * i * 7 + i * 13) % 3000).collect();
        for (kind, ids, least) in
            [("written", written, INT8_COSINE), ("scattered", scattered, SCATTERED_COSINE)]
        {
            for length in [16, 64, 128, 256] {
                for start in (0..ids.len()).step_by(ids.len() / 8) {
                    let inner = ids.iter().cycle().skip(start).take(length - 2).copied();
                    let ids: Vec<u32> = std::iter::once(101).chain(inner).chain([102]).collect();
                    let near =
                        cosine(&model.encoder.embed_ids(&ids).unwrap(), &graph.embed_ids(&ids).unwrap());
                    assert!(near >= least, "{}: {near} for {length} {kind} tokens from {start}", model.name);
                }
            }
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
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
    let [sort, order, cake] =
        ["How do I sort a list in Python?", "Python: order the items of a list", "A recipe for apple cake"]
            .map(|t| encoder().embed(t).unwrap());
    assert!(cosine(&sort, &order) > cosine(&sort, &cake) + 0.2);
}

#[test]
fn a_broken_file_is_named_in_a_sentence() {
    let load = |model: &[u8], tokenizer: &[u8], cap| {
        Encoder::load(model.to_vec().into(), tokenizer, cap).err().unwrap()
    };
    let small = |name| file("dragoman-small", name);
    let error = load(b"not onnx", &small("tokenizer.json"), MAX_TOKENS);
    assert!(matches!(&error, EncoderError::Model(_)) && error.to_string().contains("model.onnx"), "{error}");
    let error = load(&small("model.fused"), b"{}", MAX_TOKENS);
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    let error = load(&small("model.fused"), &small("tokenizer.json"), 2);
    assert!(error.to_string().contains("at least 3"), "{error}");
}
