//! The runtime of the graph: tract runs any ONNX encoder of one id input and one embedding output.

use std::io::Cursor;
use std::sync::Arc;

use tract_onnx::prelude::*;

use crate::EncoderError;

pub(crate) struct TractModel {
    plan: Arc<TypedRunnableModel>,
}

impl TractModel {
    /// Parses and optimises the graph; the sequence length stays symbolic.
    pub(crate) fn load(onnx: &[u8]) -> Result<Self, EncoderError> {
        let model = tract_onnx::onnx()
            .model_for_read(&mut Cursor::new(onnx))
            .and_then(|model| model.into_optimized())
            .map_err(|e| EncoderError::Model(format!("model.onnx cannot be loaded: {e:#}")))?;
        let (inputs, outputs) = (model.inputs.len(), model.outputs.len());
        if (inputs, outputs) != (1, 1) {
            return Err(EncoderError::Model(format!(
                "the graph must have one input (token ids) and one output (the embedding), not {inputs} and {outputs}"
            )));
        }
        let plan = model
            .into_runnable()
            .map_err(|e| EncoderError::Model(format!("the graph cannot be run: {e:#}")))?;
        Ok(Self { plan })
    }

    /// Runs the graph on one sequence: `ids [S] → embedding [D]`.
    pub(crate) fn run(&self, ids: &[u32]) -> Result<Vec<f32>, EncoderError> {
        let failed = |e: TractError| EncoderError::Model(format!("the graph failed: {e:#}"));
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let input = Tensor::from_shape(&[1, ids.len()], &ids).map_err(failed)?;
        let mut outputs = self.plan.run(tvec!(input.into())).map_err(failed)?;
        let Some(output) = outputs.pop() else {
            return Err(EncoderError::Model("the graph gave no output".into()));
        };
        let view = output.to_plain_array_view::<f32>().map_err(failed)?;
        Ok(view.iter().copied().collect())
    }
}
