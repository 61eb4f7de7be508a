//! What `model.onnx` becomes, and what is refused.
#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use std::path::PathBuf;
use std::sync::OnceLock;

use dragoman_encoder::{Encoder, EncoderError, Precision, convert};
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/dragoman-small");
    std::fs::read(folder.join(name)).expect("the shipped model is in models/dragoman-small")
}

fn onnx() -> ModelProto {
    ModelProto::decode(file("model.onnx").as_slice()).expect("an ONNX file")
}

/// Why the shipped graph is refused after a change.
fn refused(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut model = onnx();
    change(&mut model);
    convert(&model.encode_to_vec(), Precision::Int8).expect_err("refused").to_string()
}

fn weight<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    let graph = model.graph.as_mut().expect("a graph");
    graph.initializer.iter_mut().find(|t| t.name == name).expect("the weight is there")
}

fn say(model: &mut ModelProto, key: &str, value: &str) {
    let property = model.metadata_props.iter_mut().find(|p| p.key == key).expect("the key is there");
    property.value = value.into();
}

#[test]
fn a_file_that_is_not_onnx_is_refused() {
    let why = convert(b"not onnx", Precision::Int8).err().unwrap().to_string();
    assert!(why.contains("not an ONNX file"), "{why}");
}

#[test]
fn another_architecture_is_refused() {
    let why = refused(|m| say(m, "architecture", "bert"));
    assert!(why.contains("its architecture is bert, not modernbert"), "{why}");
    let why = refused(|m| m.metadata_props.clear());
    assert!(why.contains("do not say `architecture: modernbert`"), "{why}");
}

#[test]
fn a_missing_weight_is_named() {
    let why = refused(|m| weight(m, "encoder.layers.2.attn.Wo.weight_t").name = "onnx::MatMul_12".into());
    assert!(why.contains("a weight onnx::MatMul_12"), "{why}");
    let why = refused(|m| {
        weight(m, "encoder.layers.2.attn.Wo.weight_t").dims = vec![64, 256];
    });
    assert!(why.contains("encoder.layers.2.attn.Wo.weight_t is [64, 256]"), "{why}");
}

#[test]
fn a_weight_too_many_is_named() {
    let why = refused(|m| {
        let mut bias = weight(m, "encoder.layers.1.attn_norm.weight").clone();
        bias.name = "encoder.layers.1.attn_norm.bias".into();
        m.graph.as_mut().expect("a graph").initializer.push(bias);
    });
    assert!(why.contains("encoder.layers.1.attn_norm.bias"), "{why}");
}

#[test]
fn metadata_that_do_not_fit_the_graph_are_found_by_running_both() {
    for (key, value) in
        [("heads", "4"), ("local_attention", "16"), ("global_every", "3"), ("global_rope_theta", "10000.0")]
    {
        let why = refused(|m| say(m, key, value));
        assert!(why.contains("computes something else"), "{key}: {why}");
    }
}

#[test]
fn a_readout_that_is_neither_there_nor_not_is_a_sentence() {
    let why = refused(|m| say(m, "readout", "wide"));
    assert!(why.contains("`readout: wide`, which is neither True nor False"), "{why}");
    let why = refused(|m| say(m, "readout", "False"));
    assert!(why.contains("pooled.centre is [992] and should be [128]"), "{why}");
}

#[test]
fn another_activation_is_found_by_running_both() {
    let why = refused(|m| {
        for node in &mut m.graph.as_mut().expect("a graph").node {
            if node.op_type == "Erf" {
                node.op_type = "Tanh".into();
            }
        }
    });
    assert!(why.contains("computes something else"), "{why}");
}

#[test]
fn a_shape_the_kernels_cannot_run_is_a_sentence() {
    let why = refused(|m| say(m, "heads", "5"));
    assert!(why.contains("hidden / heads must be a multiple of 32"), "{why}");
    let why = refused(|m| say(m, "layers", "many"));
    assert!(why.contains("`layers: many`, which is not a number"), "{why}");
}

#[test]
fn a_changed_byte_or_a_cut_is_found() {
    static TOKENIZER: OnceLock<Vec<u8>> = OnceLock::new();
    let tokenizer = TOKENIZER.get_or_init(|| file("tokenizer.json"));
    let whole = file("model.fused");
    let load = |bytes: Vec<u8>| Encoder::load(bytes.into(), tokenizer, 128).err();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let error = load(changed).unwrap_or_else(|| panic!("byte {at}"));
        assert!(matches!(error, EncoderError::Model(_)), "{at}: {error}");
        assert!(load(whole[..at].to_vec()).is_some(), "cut at {at}");
    }
    let error = load(b"\x02\0\0\0\0\0\0\0{}".to_vec()).unwrap().to_string();
    assert!(error.contains("not one of dragoman-convert"), "{error}");
}
