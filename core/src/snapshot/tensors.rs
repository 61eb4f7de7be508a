//! The safetensors payload: names, shapes and bytes.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Canary, Snapshot, SnapshotError, SnapshotMeta};
use crate::guard::split::Split;
use crate::policy::{Features, Landmarks, Projection};
use crate::signals::{CUES_KEY, Heads, SignalModel, Tensor};

/// The metadata key that holds [`SnapshotMeta`] as JSON.
const META_KEY: &str = "dragoman";

/// The tensor that holds the canary's payload, and the metadata key that says who sees it.
const CANARY: &str = "canary";
/// What names of the heads' tensors start with.
const HEADS: &str = "heads.";
/// The embeddings of the rules' candidates, `[n, D]`.
const CANDIDATES: &str = "candidates";

pub(super) fn write(snapshot: &Snapshot) -> Result<Vec<u8>, SnapshotError> {
    let malformed = |e: &dyn std::fmt::Display| SnapshotError::Malformed(e.to_string());
    let meta = serde_json::to_string(&snapshot.meta).map_err(|e| malformed(&e))?;
    let (n, k) = (snapshot.meta.routing.routes.len(), snapshot.features.size());
    let mut parts: Vec<Tensor> = vec![
        ("theta".into(), vec![n, k], &snapshot.theta),
        ("length".into(), vec![n, k], &snapshot.length),
        ("factor".into(), vec![n, snapshot.factor_len()], &snapshot.factor),
        ("curve".into(), vec![n], &snapshot.curve),
    ];
    match &snapshot.features {
        Features::Whole(_) => parts.push(("prior".into(), vec![n], &snapshot.prior)),
        Features::Landmarks(landmarks) => {
            let (p, m) = (landmarks.projection(), landmarks.count());
            parts.push(("projection".into(), vec![p.rows(), p.columns()], p.values()));
            parts.push(("landmarks".into(), vec![m, p.rows() - landmarks.linear()], landmarks.points()));
            parts.push(("whitening".into(), vec![m, m], landmarks.whitening()));
        }
    }
    let SignalModel { heads, candidates } = snapshot.signals.as_ref();
    let (tensors, cues) = heads.tensors(HEADS);
    parts.extend(tensors);
    let flat = candidates.concat();
    if !flat.is_empty() {
        parts.push((CANDIDATES.into(), vec![candidates.len(), snapshot.embedding_size()], &flat));
    }
    let bytes: Vec<Vec<u8>> = parts.iter().map(|(_, _, values)| to_bytes(values)).collect();
    let views = parts
        .into_iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| TensorView::new(Dtype::F32, shape, bytes).map(|view| (name, view)));
    let mut views: Vec<_> = views.collect::<Result<_, _>>().map_err(|e| malformed(&e))?;
    let cues = cues.map(|cues| (CUES_KEY.to_owned(), cues));
    let mut metadata = HashMap::from_iter([(META_KEY.to_owned(), meta)].into_iter().chain(cues));
    let nested = snapshot.canary.as_ref().map(|canary| write(&canary.snapshot)).transpose()?;
    if let (Some(canary), Some(nested)) = (&snapshot.canary, &nested) {
        let split = serde_json::to_string(&canary.split).map_err(|e| malformed(&e))?;
        metadata.insert(CANARY.to_owned(), split);
        let view = TensorView::new(Dtype::U8, vec![nested.len()], nested).map_err(|e| malformed(&e))?;
        views.push((CANARY.to_owned(), view));
    }
    safetensors::serialize(views, Some(metadata)).map_err(|e| malformed(&e))
}

pub(super) fn read(payload: &[u8]) -> Result<Snapshot, SnapshotError> {
    let malformed = |e: &dyn std::fmt::Display| SnapshotError::Malformed(e.to_string());
    let (_, header) = SafeTensors::read_metadata(payload).map_err(|e| malformed(&e))?;
    let stored = |key: &str| header.metadata().as_ref().and_then(|m| m.get(key)).map(String::as_str);
    let json = stored(META_KEY).ok_or_else(|| malformed(&"its metadata is missing"))?;
    // The schema is read by itself first, so that another version is named as such.
    let schema: SchemaOnly = crate::json::from_str(json).map_err(|e| malformed(&e))?;
    if schema.schema != super::SCHEMA {
        return Err(SnapshotError::Schema(schema.schema));
    }
    let meta: SnapshotMeta = crate::json::from_str(json).map_err(|e| malformed(&e))?;
    let tensors = SafeTensors::deserialize(payload).map_err(|e| malformed(&e))?;
    let (shape, theta) = tensor(&tensors, "theta")?;
    let [length, factor, curve] =
        ["length", "factor", "curve"].map(|name| tensor(&tensors, name).map(|(_, numbers)| numbers));
    let (length, factor, curve) = (length?, factor?, curve?);
    let (features, prior) = match tensors.names().contains(&"projection") {
        true => (Features::Landmarks(landmarks(&tensors)?), vec![]),
        false => (Features::Whole(shape.last().copied().unwrap_or_default()), tensor(&tensors, "prior")?.1),
    };
    let heads = Heads::read(&tensors, HEADS, stored(CUES_KEY)).map_err(|e| malformed(&e))?;
    let signals = Arc::new(SignalModel { heads, candidates: candidates(&tensors)? });
    let canary = stored(CANARY).map(|split| canary(split, &tensors)).transpose()?;
    let snapshot = Snapshot { meta, features, theta, length, factor, prior, curve, signals, canary };
    snapshot.check()?;
    Ok(snapshot)
}

/// The snapshot on trial. Whatever is wrong with it makes the whole blob wrong.
fn canary(split: &str, tensors: &SafeTensors) -> Result<Canary, SnapshotError> {
    let malformed = |e: &dyn std::fmt::Display| SnapshotError::Malformed(format!("its canary: {e}"));
    let split: Split = crate::json::from_str(split).map_err(|e| malformed(&e))?;
    let payload = tensors.tensor(CANARY).map_err(|e| malformed(&e))?;
    // A canary within the canary is not read: two levels are all that there may be.
    let (_, header) = SafeTensors::read_metadata(payload.data()).map_err(|e| malformed(&e))?;
    if header.metadata().as_ref().is_some_and(|m| m.contains_key(CANARY)) {
        return Err(malformed(&"it has a canary itself"));
    }
    let snapshot = read(payload.data()).map_err(|e| malformed(&e))?;
    Ok(Canary { split, snapshot: Box::new(snapshot) })
}

fn candidates(tensors: &SafeTensors) -> Result<Vec<Vec<f32>>, SnapshotError> {
    if !tensors.names().contains(&CANDIDATES) {
        return Ok(vec![]);
    }
    let (shape, flat) = tensor(tensors, CANDIDATES)?;
    match shape.as_slice() {
        [_, columns] if *columns > 0 => Ok(flat.chunks_exact(*columns).map(<[f32]>::to_vec).collect()),
        _ => Err(SnapshotError::Malformed(format!("the candidates are {shape:?} instead of [n, D]"))),
    }
}

fn landmarks(tensors: &SafeTensors) -> Result<Landmarks, SnapshotError> {
    let malformed = |what: &str| SnapshotError::Malformed(what.to_owned());
    let (shape, values) = tensor(tensors, "projection")?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(malformed("the projection is not a matrix"));
    };
    let projection = Projection::new(rows, columns, values)
        .ok_or_else(|| malformed("the projection is empty or has a number that is not finite"))?;
    let ((shape, points), whitening) = (tensor(tensors, "landmarks")?, tensor(tensors, "whitening")?.1);
    // Rows of P that landmarks do not have are features as they are.
    let linear = shape.last().and_then(|compared| rows.checked_sub(*compared));
    linear.and_then(|linear| Landmarks::new(projection, linear, points, whitening)).ok_or_else(|| {
        malformed("the landmarks do not fit the projection or have a number that is not finite")
    })
}

#[derive(serde::Deserialize)]
struct SchemaOnly {
    schema: u32,
}

fn tensor(tensors: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f32>), SnapshotError> {
    let view = tensors.tensor(name).map_err(|e| SnapshotError::Malformed(format!("{name}: {e}")))?;
    if view.dtype() != Dtype::F32 {
        return Err(SnapshotError::Malformed(format!("{name} is {:?} instead of F32", view.dtype())));
    }
    // Copied: a blob's bytes need not be aligned for f32.
    let (words, _) = view.data().as_chunks::<4>();
    Ok((view.shape().to_vec(), words.iter().map(|w| f32::from_le_bytes(*w)).collect()))
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
