//! Heads as tensors: `heads.safetensors` in an encoder's folder, and their part of a snapshot.
//!
//! f32 tensors `NAME.weight` `[n, D]` and `NAME.bias` `[n]` for each head; the feedback head's weight has a column more for
//! each of its cues, a JSON list under the metadata key `feedback.cues`.

use safetensors::tensor::{Dtype, SafeTensors};

use super::{BadHeads, DOMAINS, FeedbackHead, Head, Heads};

/// The metadata key of the feedback head's cues.
pub(crate) const CUES_KEY: &str = "feedback.cues";

/// A tensor to write: its name, shape and numbers.
pub(crate) type Tensor<'h> = (String, Vec<usize>, &'h [f32]);

// === impl Heads ===

impl Heads {
    /// Reads the bytes of a `heads.safetensors`.
    ///
    /// # Errors
    ///
    /// [`BadHeads`]: it is no such file, a tensor has another shape, or a number is not finite.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadHeads> {
        let not_a_file = |e| BadHeads(format!("is not a safetensors file: {e}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_a_file)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_a_file)?;
        let cues = header.metadata().as_ref().and_then(|m| m.get(CUES_KEY)).map(String::as_str);
        Self::read(&tensors, "", cues)
    }

    /// Those of `tensors` whose names start with `prefix`; `cues` is what stands under [`CUES_KEY`].
    pub(crate) fn read(tensors: &SafeTensors, prefix: &str, cues: Option<&str>) -> Result<Self, BadHeads> {
        let cues: Vec<String> = match cues {
            Some(json) => crate::json::from_str(json)
                .map_err(|e| BadHeads(format!("has {CUES_KEY} that is no list of texts: {e}")))?,
            None => vec![],
        };
        let domain = head(tensors, prefix, "domain", Some(DOMAINS.len()))?;
        let fact_check = head(tensors, prefix, "fact_check", Some(1))?;
        let feedback = head(tensors, prefix, "feedback", None)?
            .map(|head| FeedbackHead::new(head, cues))
            .transpose()
            .map_err(|why| BadHeads(format!("has \"feedback\", which {why}")))?;
        let heads = Self { domain, fact_check, feedback };
        let sizes = [&heads.domain, &heads.fact_check].into_iter().flatten().map(|head| head.columns);
        let sizes: Vec<usize> =
            sizes.chain(heads.feedback.as_ref().map(FeedbackHead::embedding_size)).collect();
        match sizes.iter().all(|size| Some(size) == sizes.first()) {
            true => Ok(heads),
            false => Err(BadHeads(format!("has heads for embeddings of different sizes: {sizes:?}"))),
        }
    }

    /// The tensors and the cues of a file.
    pub(crate) fn tensors(&self, prefix: &str) -> (Vec<Tensor<'_>>, Option<String>) {
        let feedback = self.feedback.as_ref();
        let named = [
            ("domain", self.domain.as_ref()),
            ("fact_check", self.fact_check.as_ref()),
            ("feedback", feedback.map(|f| &f.head)),
        ];
        let parts = named.into_iter().filter_map(|(name, head)| Some((name, head?)));
        let tensors = parts.flat_map(|(name, Head { weight, bias, columns })| {
            let (rows, name) = (bias.len(), format!("{prefix}{name}"));
            [
                (format!("{name}.weight"), vec![rows, *columns], weight.as_slice()),
                (format!("{name}.bias"), vec![rows], bias.as_slice()),
            ]
        });
        (tensors.collect(), feedback.and_then(|f| serde_json::to_string(&f.cues).ok()))
    }
}

/// The head of this name with `rows` rows, if it is there.
fn head(
    tensors: &SafeTensors,
    prefix: &str,
    name: &str,
    rows: Option<usize>,
) -> Result<Option<Head>, BadHeads> {
    let (weight, bias) = (format!("{prefix}{name}.weight"), format!("{prefix}{name}.bias"));
    if !tensors.names().contains(&weight.as_str()) {
        return Ok(None);
    }
    let (shape, numbers) = read(tensors, &weight)?;
    let (_, bias) = read(tensors, &bias)?;
    let wanted = rows.unwrap_or(bias.len());
    let &[n, columns] = shape.as_slice() else {
        return Err(BadHeads(format!("has \"{weight}\" as {shape:?} instead of [{wanted}, D]")));
    };
    if n != wanted || bias.len() != wanted {
        let got = bias.len();
        return Err(BadHeads(format!(
            "has \"{weight}\" as {shape:?} with {got} biases instead of [{wanted}, D] with {wanted}"
        )));
    }
    let head = Head::new(numbers, bias, columns);
    head.map(Some).map_err(|why| BadHeads(format!("has \"{prefix}{name}\", which {why}")))
}

fn read(tensors: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f32>), BadHeads> {
    let tensor =
        tensors.tensor(name).map_err(|e| BadHeads(format!("has no usable tensor \"{name}\": {e}")))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(BadHeads(format!("has \"{name}\" as {:?} instead of F32", tensor.dtype())));
    }
    let (words, _) = tensor.data().as_chunks::<4>();
    Ok((tensor.shape().to_vec(), words.iter().map(|word| f32::from_le_bytes(*word)).collect()))
}
