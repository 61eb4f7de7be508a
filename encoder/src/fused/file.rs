//! `model.fused`: safetensors whose metadata hold the shape and a checksum.
//!
//! Matrices are `[outputs, inputs]`, f32 as `NAME.weight` or, as `NAME.rows`, int8 with one f32 per row as `NAME.scale`.
//! The feed-forward layer's lie band by band (`Shape::bands`). The pooled numbers are
//! standardised by `pooled.centre` and `pooled.spread`.

use std::borrow::Cow;
use std::ops::Range;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use serde::{Deserialize, Serialize};

use super::lines::{Line, to_lines};
use super::matrix::Plain;
use super::shape::Shape;

/// The metadata key of [`About`]; there is only one, so that the same weights make the same bytes.
pub(super) const KEY: &str = "dragoman_fused";
/// The layout this code reads and writes.
pub(super) const VERSION: u32 = 3;

/// What the metadata say.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) version: u32,
    /// CRC-32 of the tensors' bytes.
    pub(super) crc32: u32,
    pub(super) shape: Shape,
}

/// Only this is read of another version.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Names of the weights; a layer's are behind [`layer`].
pub(crate) const TABLE: &str = "encoder.embeddings.tok_embeddings";
pub(crate) const UP: &str = "encoder.embeddings.up";
pub(crate) const EMBEDDING_NORM: &str = "encoder.embeddings.norm";
pub(crate) const FINAL_NORM: &str = "encoder.final_norm";
pub(crate) const POOLED: &str = "pooled";
pub(crate) const HEAD: &str = "head.dense";
pub(crate) const PROJECTION: &str = "projection";

/// The name of a layer's weight.
pub(crate) fn layer(i: usize, part: &str) -> String {
    format!("encoder.layers.{i}.{part}")
}

/// The name of a feed-forward weight within its layer.
pub(crate) fn band(b: usize, part: &str) -> String {
    format!("mlp.{b}.{part}")
}

/// The tensors' bytes, and what is where in them.
pub(super) fn payload(file: &[u8]) -> Result<(Metadata, &[u8]), String> {
    let (header, metadata) = SafeTensors::read_metadata(file).map_err(|e| e.to_string())?;
    Ok((metadata, file.get(8 + header..).unwrap_or_default()))
}

/// Whether these are the bytes of a safetensors file, and not of an ONNX file: after eight bytes of length, JSON.
pub(crate) fn is_fused(file: &[u8]) -> bool {
    file.get(8) == Some(&b'{')
}

/// What a `model.fused` says its checksum is, eight hexadecimal digits: two files of one are the same encoder. Only the
/// header is read; `None` of anything else.
pub fn checksum(file: &[u8]) -> Option<String> {
    let (metadata, _) = is_fused(file).then(|| payload(file).ok())??;
    let about = serde_json::from_str::<About>(metadata.metadata().as_ref()?.get(KEY)?).ok()?;
    Some(format!("{:08x}", about.crc32))
}

/// A `model.fused` that was read and whose checksum fits.
pub(super) struct File {
    bytes: Cow<'static, [u8]>,
    metadata: Metadata,
    start: usize,
    pub(super) shape: Shape,
}

impl File {
    /// # Errors
    ///
    /// A sentence: what of the file is wrong, and what to do.
    pub(super) fn read(bytes: Cow<'static, [u8]>) -> Result<Self, String> {
        let told =
            |why: String| format!("model.fused cannot be read: {why}; make it again of its model.onnx");
        let (metadata, data) = payload(&bytes).map_err(told)?;
        let about = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let about =
            about.ok_or_else(|| told("it is a safetensors file, but not one of dragoman-convert".into()))?;
        let parsed = serde_json::from_str::<Version>(about);
        if let Ok(Version { version }) = parsed
            && version != VERSION
        {
            return Err(told(format!("its format is version {version}, this reads version {VERSION}")));
        }
        let About { crc32, shape, .. } =
            serde_json::from_str(about).map_err(|e| told(format!("its shape is not valid: {e}")))?;
        if crc32 != crc32fast::hash(data) {
            return Err(told("its checksum does not fit: it was cut or changed".into()));
        }
        shape.check().map_err(told)?;
        let start = bytes.len() - data.len();
        Ok(Self { bytes, metadata, start, shape })
    }

    /// Where a tensor of this type and shape lies.
    fn find(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Range<usize>, String> {
        let info = self.metadata.info(name).ok_or_else(|| format!("model.fused lacks {name}"))?;
        if info.dtype != dtype || info.shape != shape {
            return Err(format!(
                "{name} in model.fused is {:?} {:?} and should be {dtype:?} {shape:?}",
                info.dtype, info.shape
            ));
        }
        let (begin, end) = info.data_offsets;
        Ok(self.start + begin..self.start + end)
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let bytes = self.bytes.get(self.find(name, Dtype::F32, shape)?).unwrap_or_default();
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match floats.iter().all(|x| x.is_finite()) {
            true => Ok(floats),
            false => Err(format!("{name} in model.fused has a number that is not finite")),
        }
    }

    /// A vector, such as a norm's weights.
    pub(super) fn vector(&self, name: &str, size: usize) -> Result<Vec<Line>, String> {
        Ok(to_lines(&self.floats(name, &[size])?))
    }

    /// A matrix `[outputs, inputs]` in the precision it was stored in.
    pub(super) fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Plain, String> {
        let rows = format!("{name}.rows");
        if self.metadata.info(&rows).is_none() {
            return Ok(Plain::Float(self.floats(&format!("{name}.weight"), &[outputs, inputs])?));
        }
        let bytes = self.bytes.get(self.find(&rows, Dtype::I8, &[outputs, inputs])?).unwrap_or_default();
        let scale = self.floats(&format!("{name}.scale"), &[outputs])?;
        Ok(Plain::Int8(bytemuck::cast_slice(bytes).to_vec(), scale))
    }

    /// The token table: it stays in the file's bytes, which in the filter are the module's own.
    pub(super) fn table(self) -> Result<Table, String> {
        let (vocabulary, width) = (self.shape.vocabulary, self.shape.embedding_rank);
        let (rows, scale) = (format!("{TABLE}.rows"), format!("{TABLE}.scale"));
        if self.metadata.info(&rows).is_none() {
            let values = self.floats(&format!("{TABLE}.weight"), &[vocabulary, width])?;
            return Ok(Table::Float { values, width });
        }
        let rows = self.find(&rows, Dtype::I8, &[vocabulary, width])?;
        let scale = self.floats(&scale, &[vocabulary])?;
        Ok(Table::Int8 { bytes: self.bytes, rows, scale, width })
    }
}

/// The token table, `[vocabulary, width]`.
#[derive(Debug)]
pub(super) enum Table {
    Float { values: Vec<f32>, width: usize },
    Int8 { bytes: Cow<'static, [u8]>, rows: Range<usize>, scale: Vec<f32>, width: usize },
}

impl Table {
    /// Writes a token's row to `to`; `None` if the table has no such token.
    pub(super) fn row(&self, token: usize, to: &mut [f32]) -> Option<()> {
        match self {
            Self::Float { values, width } => {
                let row = values.get(token * width..(token + 1) * width)?;
                to.iter_mut().zip(row).for_each(|(to, x)| *to = *x);
            }
            Self::Int8 { bytes, rows, scale, width } => {
                let row = bytes.get(rows.clone())?.get(token * width..(token + 1) * width)?;
                let scale = scale.get(token)?;
                to.iter_mut().zip(row).for_each(|(to, x)| *to = f32::from(*x as i8) * scale);
            }
        }
        Some(())
    }
}
