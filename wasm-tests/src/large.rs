//! An encoder too large for Envoy's threads: ModernBERT-base's shape with random weights, made here so that the
//! repository need not hold 440 MB. `data/modernbert/make.py` exported the graph and computed torch's vectors with
//! weights of the same arithmetic.

use std::io::{BufWriter, Read, Write};
use std::path::Path;

use flate2::read::GzDecoder;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::system::root;

const GRAPH: &[u8] = include_bytes!("../data/modernbert/graph.onnx.gz");
const EXPECTED: &str = include_str!("../data/modernbert/expected.json");

/// Size of its embeddings.
pub const DIMENSIONS: usize = 768;
/// The cap under which the expected vectors were made.
pub const MAX_TOKENS: usize = 64;

/// Places in ONNX's protobuf: ModelProto.graph, GraphProto.initializer, and of TensorProto.
const GRAPH_FIELD: u64 = 7;
const INITIALIZER: u64 = 5;
const DIMS: u64 = 1;
const DATA_TYPE: u64 = 2;
const NAME: u64 = 8;
const RAW_DATA: u64 = 9;
const FLOAT: u64 = 1;
const INT8: u64 = 3;

/// A text and torch's vector of it.
pub struct Expected {
    /// The text.
    pub text: String,
    /// `[DIMENSIONS]`.
    pub embedding: Vec<f32>,
}

/// What torch says.
pub fn expected() -> Vec<Expected> {
    let document: Value = serde_json::from_str(EXPECTED).expect("expected.json is JSON");
    let read = |v: &Value| Expected {
        text: v["text"].as_str().expect("a text").to_owned(),
        embedding: numbers(&v["embedding"]),
    };
    document["vectors"].as_array().expect("vectors").iter().map(read).collect()
}

/// A JSON list of numbers.
pub fn numbers(list: &Value) -> Vec<f32> {
    list.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

/// Writes the encoder's folder: `model.onnx`, `tokenizer.json`, `projection.safetensors`.
pub fn write(folder: &Path) {
    write_model(&folder.join("model.onnx"));
    let tokenizer = root().join("models/dragoman-small/tokenizer.json");
    std::fs::copy(tokenizer, folder.join("tokenizer.json")).expect("the tokenizer is copied");
    write_projection(&folder.join("projection.safetensors"));
}

/// Protobuf merges what is appended: the graph without weights, then one more piece of graph for each weight.
fn write_model(path: &Path) {
    let mut file = BufWriter::new(std::fs::File::create(path).expect("the model's file opens"));
    let mut graph = Vec::new();
    GzDecoder::new(GRAPH).read_to_end(&mut graph).expect("the graph unpacks");
    file.write_all(&graph).expect("the graph is written");
    let document: Value = serde_json::from_str(EXPECTED).expect("expected.json is JSON");
    for weight in document["weights"].as_array().expect("weights") {
        let name = weight["name"].as_str().expect("a name");
        let shape: Vec<u64> =
            weight["shape"].as_array().expect("a shape").iter().filter_map(Value::as_u64).collect();
        let (kind, data) = match weight["type"].as_str() {
            Some("i8") => (INT8, bytes_of(name, &shape)),
            _ => (FLOAT, floats_of(name, &shape)),
        };
        let mut tensor = Vec::with_capacity(data.len() + 256);
        shape.iter().for_each(|size| put_number(&mut tensor, DIMS, *size));
        put_number(&mut tensor, DATA_TYPE, kind);
        put_bytes(&mut tensor, NAME, name.as_bytes());
        put_bytes(&mut tensor, RAW_DATA, &data);
        let mut head = Vec::new();
        put_head(&mut head, INITIALIZER, tensor.len());
        let mut outer = Vec::new();
        put_head(&mut outer, GRAPH_FIELD, head.len() + tensor.len());
        [outer, head, tensor].iter().for_each(|part| file.write_all(part).expect("a weight is written"));
    }
    file.flush().expect("the model is written");
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

fn put_head(out: &mut Vec<u8>, field: u64, length: usize) {
    put_varint(out, field << 3 | 2);
    put_varint(out, length as u64);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Uniform words: SplitMix64 from FNV-1a of the name (`hashed` in make.py).
fn words(name: &str, shape: &[u64]) -> impl Iterator<Item = u64> {
    let fnv = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325, fnv);
    (1..=shape.iter().product::<u64>()).map(move |i| {
        let z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

fn bytes_of(name: &str, shape: &[u64]) -> Vec<u8> {
    words(name, shape).map(|word| (word >> 56) as u8).collect()
}

/// Uniform around a centre, as wide as the fan-in asks (`numbers` in make.py).
fn floats_of(name: &str, shape: &[u64]) -> Vec<u8> {
    let (centre, width) = match shape {
        _ if name.ends_with("scale") => (0.01, 0.005),
        [_] => (if name.ends_with("bias") { 0.0 } else { 1.0 }, 0.1),
        [fan_in, _] if name.ends_with("weight_t") => (0.0, (3.0 / *fan_in as f64).sqrt()),
        [_, fan_in, ..] => (0.0, (3.0 / *fan_in as f64).sqrt()),
        [] => (0.0, 0.0),
    };
    let (centre, width) = (centre as f32, width as f32);
    let uniform = |word: u64| (word >> 40) as f32 / (1 << 23) as f32 - 1.0;
    words(name, shape).flat_map(|word| (uniform(word) * width + centre).to_le_bytes()).collect()
}

/// The first axes as components: any orthonormal rows are good enough for a learner to begin with.
fn write_projection(path: &Path) {
    const COMPONENTS: usize = 64;
    let bytes = |values: Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let axes = (0..COMPONENTS * DIMENSIONS)
        .map(|i| if i / DIMENSIONS == i % DIMENSIONS { 1.0 } else { 0.0 })
        .collect();
    let parts = [
        ("mean", vec![DIMENSIONS], bytes(vec![0.0; DIMENSIONS])),
        ("components", vec![COMPONENTS, DIMENSIONS], bytes(axes)),
    ];
    let views = parts.iter().map(|(name, shape, data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).expect("a tensor"))
    });
    std::fs::write(path, safetensors::serialize(views, None).expect("a file")).expect("it is written");
}
