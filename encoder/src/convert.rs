//! `model.onnx` → `model.fused`, for graphs that are a ModernBERT as `fused` runs it, and no others.
//!
//! Weights are found by name (`models/README.md`). Whether the graph between them is the architecture is not guessed:
//! tract runs the graph, `fused` runs the weights in f32, and both must agree.

mod feed;
mod rounding;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Cursor;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, TensorProto};
use tract_onnx::prelude::Framework;

use crate::EncoderError;
use crate::fused::write::{Tensor, Values, write};
use crate::fused::{Fused, Shape, file};
use crate::tract::TractModel;

use feed::Feed;
use rounding::Rounding;

/// How matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// float32.
    Float,
    /// int8, one scale per output: a quarter of the size and of the time.
    Int8,
}

/// Largest difference of any number of an embedding, between tract and `fused` in f32.
const AGREEMENT: f32 = 1e-4;
/// Lengths the two are compared at: within a local window and well beyond one.
const LENGTHS: [usize; 5] = [2, 3, 17, 90, 200];

/// The bytes of a `model.fused`.
///
/// # Errors
///
/// A sentence: what of the graph is not this architecture.
pub fn convert(onnx: &[u8], precision: Precision) -> Result<Vec<u8>, EncoderError> {
    let differs = |why| EncoderError::Model(format!("model.onnx cannot be made a model.fused: {why}"));
    let model = tract_onnx::onnx()
        .proto_model_for_read(&mut Cursor::new(onnx))
        .map_err(|e| differs(format!("it is not an ONNX file: {e:#}")))?;
    let weights = Weights::of(&model).map_err(differs)?;
    let exact = weights.file(Precision::Float).map_err(differs)?;
    compare(onnx, exact.clone(), weights.shape.vocabulary).map_err(differs)?;
    match precision {
        Precision::Float => Ok(exact),
        Precision::Int8 => weights.file(Precision::Int8).map_err(differs),
    }
}

/// Runs both on the same tokens.
fn compare(onnx: &[u8], exact: Vec<u8>, vocabulary: usize) -> Result<(), String> {
    let graph = TractModel::load(onnx)?;
    let fused = Fused::load(Cow::Owned(exact))?;
    for length in LENGTHS {
        // Tokens all over the table.
        let ids: Vec<u32> = (0..length).map(|i| ((i * 7919 + length) % vocabulary) as u32).collect();
        let (want, got) = (graph.run(&ids)?, fused.run(&ids)?);
        let alike = want.len() == got.len() && want.iter().zip(&got).all(|(a, b)| (a - b).abs() <= AGREEMENT);
        if !alike {
            let off = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            return Err(format!(
                "it computes something else than a ModernBERT of these weights: the embeddings of {length} tokens \
                 differ by {off}"
            ));
        }
    }
    Ok(())
}

/// The weights of a graph, by name.
struct Weights<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
    shape: Shape,
}

impl<'a> Weights<'a> {
    fn of(model: &'a ModelProto) -> Result<Self, String> {
        let graph = model.graph.as_ref().ok_or("it has no graph")?;
        let tensors = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let properties: HashMap<&str, &str> =
            model.metadata_props.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        match properties.get("architecture") {
            Some(&"modernbert") => {}
            Some(other) => return Err(format!("its architecture is {other}, not modernbert")),
            None => return Err("its metadata do not say `architecture: modernbert`".into()),
        }
        let shape = shape(&properties, &tensors)?;
        shape.check()?;
        let known = Self { tensors, shape };
        known.refuse_others()?;
        Ok(known)
    }

    /// A weight that would be left out makes another model.
    fn refuse_others(&self) -> Result<(), String> {
        let names = self.names().into_iter();
        let known: Vec<String> = names.flat_map(|(name, kind)| kind.stored(name)).collect();
        let base = |name: &str| {
            let cut = [".weight_t", ".weight", ".rows", ".scale", ".centre", ".spread"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            cut.unwrap_or(name).to_owned()
        };
        let weight =
            |t: &&TensorProto| t.data_type == DataType::Float as i32 && t.dims.iter().product::<i64>() > 1;
        let mut others: Vec<&str> =
            self.tensors.values().copied().filter(weight).map(|t| t.name.as_str()).collect();
        others.retain(|name| {
            !known.contains(&base(name)) && !name.ends_with(".bias") || self.unknown_bias(name)
        });
        others.sort_unstable();
        match others.first() {
            None => Ok(()),
            Some(name) => {
                Err(format!("it has a weight {name}, which a ModernBERT of this shape does not have"))
            }
        }
    }

    fn unknown_bias(&self, name: &str) -> bool {
        name.strip_suffix(".bias").is_some_and(|of| of != file::PROJECTION && of != file::HEAD)
    }

    /// Every weight but the table: name, and outputs and inputs of a matrix or the size of a norm.
    fn names(&self) -> Vec<(String, Kind)> {
        let s = &self.shape;
        let d = s.hidden;
        let mut names = vec![
            (file::TABLE.to_owned(), Kind::Table),
            (file::EMBEDDING_NORM.to_owned(), Kind::Norm(d)),
            (file::FINAL_NORM.to_owned(), Kind::Norm(d)),
            (file::POOLED.to_owned(), Kind::Pooled),
            (file::PROJECTION.to_owned(), Kind::Dense(s.output, s.pooled() + s.head)),
        ];
        if s.embedding_rank != d {
            names.push((file::UP.to_owned(), Kind::Matrix(d, s.embedding_rank)));
        }
        if s.head > 0 {
            names.push((file::HEAD.to_owned(), Kind::Dense(s.head, s.pooled())));
        }
        for i in 0..s.layers {
            let mut add = |part: &str, kind| names.push((file::layer(i, part), kind));
            if i > 0 {
                add("attn_norm", Kind::Norm(d));
            }
            add("attn.Wqkv", Kind::Matrix(3 * d, d));
            add("attn.Wo", Kind::Matrix(d, d));
            add("mlp_norm", Kind::Norm(d));
            add("mlp", Kind::Feed(i));
        }
        names
    }

    fn file(&self, precision: Precision) -> Result<Vec<u8>, String> {
        let mut tensors = Vec::new();
        let columns = self.columns()?;
        let settle = |tensor: Tensor, rounding: &Rounding<'_>| match precision {
            Precision::Float => vec![tensor],
            Precision::Int8 => rounding.of(tensor),
        };
        for (name, kind) in self.names() {
            match kind {
                Kind::Norm(size) => tensors.push(self.floats(&name, "weight", &[size])?),
                Kind::Dense(outputs, inputs) => {
                    tensors.push(self.floats(&name, "bias", &[outputs])?);
                    let weight = sorted(self.matrix(&name, outputs, inputs)?, &columns);
                    tensors.extend(settle(weight, &Rounding::Exact));
                }
                Kind::Pooled => tensors.extend(self.standard(&columns)?),
                Kind::Matrix(outputs, inputs) => {
                    let alike = vec![1.0; inputs];
                    tensors.extend(settle(self.matrix(&name, outputs, inputs)?, &Rounding::Weighted(&alike)));
                }
                Kind::Feed(i) => {
                    for band in self.feed(i)?.bands(&self.shape) {
                        let alike = vec![1.0; self.shape.hidden];
                        tensors.extend(settle(band.wi, &Rounding::Weighted(&alike)));
                        tensors.extend(settle(band.wo, &Rounding::Weighted(&band.importance)));
                    }
                }
                Kind::Table => tensors.extend(self.table()?),
            }
        }
        write(&self.shape, &tensors)
    }

    /// What the pooled numbers are standardised by: nothing, if the graph does not.
    fn standard(&self, columns: &[usize]) -> Result<[Tensor; 2], String> {
        let pooled = self.shape.pooled();
        let tensor = |part: &str, without: f32| -> Result<Tensor, String> {
            let name = format!("{}.{part}", file::POOLED);
            match self.tensors.contains_key(name.as_str()) {
                true => Ok(sorted(self.floats(file::POOLED, part, &[pooled])?, columns)),
                false => {
                    Ok(Tensor { name, shape: vec![pooled], values: Values::Float(vec![without; pooled]) })
                }
            }
        };
        Ok([tensor("centre", 0.0)?, tensor("spread", 1.0)?])
    }

    /// int8 if it is so in the graph or is to be.
    fn table(&self) -> Result<Vec<Tensor>, String> {
        let (vocabulary, width) = (self.shape.vocabulary, self.shape.embedding_rank);
        let name = |part: &str| format!("{}.{part}", file::TABLE);
        let Some(rows) = self.tensors.get(name("rows").as_str()) else {
            return Ok(vec![self.floats(file::TABLE, "weight", &[vocabulary, width])?]);
        };
        expect_dims(rows, &[vocabulary, width])?;
        let mut scale = self.floats(file::TABLE, "scale", &[vocabulary, 1])?;
        scale.shape = vec![vocabulary];
        let values = Values::Int8(bytes(rows)?);
        Ok(vec![Tensor { name: name("rows"), shape: vec![vocabulary, width], values }, scale])
    }

    fn floats(&self, name: &str, part: &str, shape: &[usize]) -> Result<Tensor, String> {
        let name = format!("{name}.{part}");
        let tensor =
            self.tensors.get(name.as_str()).ok_or_else(|| format!("it has no weight named {name}"))?;
        expect_dims(tensor, shape)?;
        Ok(Tensor { shape: shape.to_vec(), values: Values::Float(floats(tensor)?), name })
    }

    fn feed(&self, layer: usize) -> Result<Feed, String> {
        let (d, inner) = (self.shape.hidden, self.shape.intermediate);
        let name = |part: &str| file::layer(layer, part);
        let values = |tensor: Tensor| match tensor.values {
            Values::Float(values) => values,
            _ => Vec::new(),
        };
        Ok(Feed {
            layer,
            norm: values(self.floats(&name("mlp_norm"), "weight", &[d])?),
            wi: values(self.matrix(&name("mlp.Wi"), 2 * inner, d)?),
            wo: values(self.matrix(&name("mlp.Wo"), d, inner)?),
        })
    }

    /// Where each number that the projection is given stands in the graph: bands have an order of their own (`feed.rs`).
    fn columns(&self) -> Result<Vec<usize>, String> {
        let s = &self.shape;
        let mut columns: Vec<usize> = (0..s.pooled() + s.head).collect();
        let layers = if s.readout { s.layers } else { 0 };
        for (layer, part) in (0..layers).zip(columns.chunks_exact_mut(s.hidden + s.intermediate)) {
            let start = layer * (s.hidden + s.intermediate) + s.hidden;
            let order = self.feed(layer)?.order(s);
            part.iter_mut().skip(s.hidden).zip(order).for_each(|(column, c)| *column = start + c);
        }
        Ok(columns)
    }

    /// `[outputs, inputs]`, whichever way round it is stored.
    fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Tensor, String> {
        if !self.tensors.contains_key(format!("{name}.weight_t").as_str()) {
            return self.floats(name, "weight", &[outputs, inputs]);
        }
        let mut tensor = self.floats(name, "weight_t", &[inputs, outputs])?;
        if let Values::Float(values) = &tensor.values {
            let turned = (0..outputs).flat_map(|o| values.iter().skip(o).step_by(outputs.max(1)).copied());
            tensor = Tensor {
                name: format!("{name}.weight"),
                shape: vec![outputs, inputs],
                values: Values::Float(turned.collect()),
            };
        }
        Ok(tensor)
    }
}

/// What a weight is.
enum Kind {
    Table,
    Norm(usize),
    Matrix(usize, usize),
    /// Both matrices of this layer's feed-forward half.
    Feed(usize),
    /// Runs once per prompt.
    Dense(usize, usize),
    /// What the pooled numbers are standardised by.
    Pooled,
}

impl Kind {
    /// What the graph calls it.
    fn stored(&self, name: String) -> Vec<String> {
        match self {
            Self::Feed(_) => vec![format!("{name}.Wi"), format!("{name}.Wo")],
            _ => vec![name],
        }
    }
}

fn shape(properties: &HashMap<&str, &str>, tensors: &HashMap<&str, &TensorProto>) -> Result<Shape, String> {
    fn read<T: std::str::FromStr>(properties: &HashMap<&str, &str>, key: &str) -> Result<T, String> {
        let text = properties.get(key).ok_or_else(|| format!("its metadata lack `{key}`"))?;
        text.parse().map_err(|_| format!("its metadata say `{key}: {text}`, which is not a number"))
    }
    let dims = |names: &[String]| -> Result<[usize; 2], String> {
        let tensor = names.iter().find_map(|name| tensors.get(name.as_str()));
        let tensor = tensor.ok_or_else(|| format!("it has no weight named {}", names.join(" or ")))?;
        match tensor.dims[..] {
            [rows, columns] => Ok([rows.max(0) as usize, columns.max(0) as usize]),
            _ => Err(format!("{} is not a matrix", tensor.name)),
        }
    };
    let [vocabulary, embedding_rank] =
        dims(&["rows", "weight"].map(|part| format!("{}.{part}", file::TABLE)))?;
    let [output, _] = dims(&[format!("{}.weight", file::PROJECTION)])?;
    let head = dims(&[format!("{}.weight", file::HEAD)]).map_or(0, |[outputs, _]| outputs);
    let readout = match properties.get("readout") {
        None | Some(&"False") => false,
        Some(&"True") => true,
        Some(other) => {
            return Err(format!("its metadata say `readout: {other}`, which is neither True nor False"));
        }
    };
    Ok(Shape {
        vocabulary,
        embedding_rank,
        hidden: read(properties, "hidden")?,
        layers: read(properties, "layers")?,
        heads: read(properties, "heads")?,
        intermediate: read(properties, "intermediate")?,
        local_attention: read(properties, "local_attention")?,
        global_every: read(properties, "global_every")?,
        norm_eps: read(properties, "norm_eps")?,
        global_rope_theta: read(properties, "global_rope_theta")?,
        local_rope_theta: read(properties, "local_rope_theta")?,
        head,
        readout,
        output,
    })
}

/// The columns of a matrix, or the numbers of a vector, in the order of `columns`.
fn sorted(mut tensor: Tensor, columns: &[usize]) -> Tensor {
    let width = tensor.shape.last().copied().unwrap_or_default().max(1);
    if let Values::Float(values) = &mut tensor.values {
        for row in values.chunks_exact_mut(width) {
            let sorted: Vec<f32> = columns.iter().take(width).filter_map(|c| row.get(*c).copied()).collect();
            row.iter_mut().zip(sorted).for_each(|(slot, x)| *slot = x);
        }
    }
    tensor
}

fn expect_dims(tensor: &TensorProto, shape: &[usize]) -> Result<(), String> {
    let want: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    match tensor.dims == want {
        true => Ok(()),
        false => Err(format!("its weight {} is {:?} and should be {want:?}", tensor.name, tensor.dims)),
    }
}

fn floats(tensor: &TensorProto) -> Result<Vec<f32>, String> {
    if tensor.data_type != DataType::Float as i32 {
        return Err(format!("its weight {} is not float32", tensor.name));
    }
    let raw = tensor.raw_data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    sized(tensor, if tensor.float_data.is_empty() { raw.collect() } else { tensor.float_data.clone() })
}

fn bytes(tensor: &TensorProto) -> Result<Vec<i8>, String> {
    if tensor.data_type != DataType::Int8 as i32 {
        return Err(format!("its weight {} is not int8", tensor.name));
    }
    let raw = tensor.raw_data.iter().map(|b| *b as i8);
    let wide = tensor.int32_data.iter().map(|v| *v as i8);
    sized(tensor, if tensor.int32_data.is_empty() { raw.collect() } else { wide.collect() })
}

fn sized<T>(tensor: &TensorProto, values: Vec<T>) -> Result<Vec<T>, String> {
    match values.len() as i64 == tensor.dims.iter().product::<i64>() {
        true => Ok(values),
        false => {
            Err(format!("its weight {} is not in the file (external data must be put into it)", tensor.name))
        }
    }
}
