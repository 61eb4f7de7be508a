//! Any ONNX encoder of one id input and one embedding output, run by tract: slower than `fused`, and not choosy.

use std::io::Cursor;
use std::sync::Arc;

use tract_onnx::prelude::*;

/// A graph made ready to run.
pub(crate) struct TractModel {
    plan: Arc<TypedRunnableModel>,
}

impl TractModel {
    /// Parses and optimises the graph; the sequence length stays symbolic.
    ///
    /// # Errors
    ///
    /// A sentence: why the graph cannot be loaded.
    pub(crate) fn load(onnx: &[u8]) -> Result<Self, String> {
        let model = tract_onnx::onnx()
            .model_for_read(&mut Cursor::new(onnx))
            .and_then(|model| model.into_optimized())
            .map_err(|e| format!("model.onnx cannot be loaded: {e:#}"))?;
        let (inputs, outputs) = (model.inputs.len(), model.outputs.len());
        if (inputs, outputs) != (1, 1) {
            return Err(format!(
                "the graph must have one input (token ids) and one output (the embedding), not {inputs} and {outputs}"
            ));
        }
        let plan = model.into_runnable().map_err(|e| format!("the graph cannot be run: {e:#}"))?;
        Ok(Self { plan })
    }

    /// Runs the graph on one sequence: `ids [S] → embedding [D]`.
    ///
    /// # Errors
    ///
    /// A sentence: what the graph did not do.
    pub(crate) fn run(&self, ids: &[u32]) -> Result<Vec<f32>, String> {
        let failed = |e: TractError| format!("the graph failed: {e:#}");
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let input = Tensor::from_shape(&[1, ids.len()], &ids).map_err(failed)?;
        let mut outputs = self.plan.run(tvec!(input.into())).map_err(failed)?;
        let output = outputs.pop().ok_or("the graph gave no output")?;
        let view = output.to_plain_array_view::<f32>().map_err(failed)?;
        Ok(view.iter().copied().collect())
    }
}
