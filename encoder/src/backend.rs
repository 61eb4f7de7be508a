//! Which runtime a model file gets: our own kernels for `model.fused`, tract for any `model.onnx`.

use std::borrow::Cow;

use crate::fused::{Fused, file::is_fused};
#[cfg(feature = "tract")]
use crate::tract::TractModel;

/// A loaded model: `ids → embedding`. Errors are sentences.
pub(crate) enum Backend {
    Fused(Box<Fused>),
    #[cfg(feature = "tract")]
    Tract(TractModel),
}

impl Backend {
    pub(crate) fn load(model: Cow<'static, [u8]>) -> Result<Self, String> {
        if is_fused(&model) {
            return Fused::load(model).map(|model| Self::Fused(Box::new(model)));
        }
        #[cfg(feature = "tract")]
        return TractModel::load(&model).map(Self::Tract);
        #[cfg(not(feature = "tract"))]
        Err("it is not a model.fused, and this build has no runtime for other models: make one of the ONNX file \
             with dragoman-convert, or build with the cargo feature \"tract\""
            .into())
    }

    pub(crate) fn run(&self, ids: &[u32]) -> Result<Vec<f32>, String> {
        match self {
            Self::Fused(model) => model.run(ids),
            #[cfg(feature = "tract")]
            Self::Tract(model) => model.run(ids),
        }
    }
}
