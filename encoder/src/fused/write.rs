//! Writing a `model.fused` (see `file.rs`): in the filter there is no need for it.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::file::{About, KEY, VERSION, payload};
use super::shape::Shape;

/// A tensor to be written.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

/// What a tensor holds.
pub(crate) enum Values {
    Float(Vec<f32>),
    Int8(Vec<i8>),
}

impl Tensor {
    fn bytes(&self) -> (Dtype, Vec<u8>) {
        match &self.values {
            Values::Float(v) => (Dtype::F32, v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Values::Int8(v) => (Dtype::I8, bytemuck::cast_slice(v).to_vec()),
        }
    }
}

/// The bytes of a `model.fused`.
///
/// # Errors
///
/// A sentence: a tensor's values do not fit its shape.
pub(crate) fn write(shape: &Shape, tensors: &[Tensor]) -> Result<Vec<u8>, String> {
    let bytes: Vec<_> = tensors.iter().map(Tensor::bytes).collect();
    let made = |crc32: u32| {
        let views = tensors.iter().zip(&bytes).map(|(tensor, (dtype, bytes))| {
            let view = TensorView::new(*dtype, tensor.shape.clone(), bytes);
            view.map(|view| (tensor.name.as_str(), view)).map_err(|e| format!("{}: {e}", tensor.name))
        });
        let about = About { version: VERSION, crc32, shape: shape.clone() };
        let about = serde_json::to_string(&about).map_err(|e| e.to_string())?;
        let metadata = HashMap::from([(KEY.to_owned(), about)]);
        safetensors::serialize(views.collect::<Result<Vec<_>, String>>()?, Some(metadata))
            .map_err(|e| e.to_string())
    };
    // The checksum is over the tensors' bytes, whose order only the format knows.
    let draft = made(0)?;
    made(crc32fast::hash(payload(&draft)?.1))
}
