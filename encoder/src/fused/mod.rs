//! A ModernBERT on kernels of our own.
//!
//! This room owns the forward pass and the file it is read from: f32 or int8, of any depth and width, on WebAssembly's
//! SIMD, AVX2, AVX-512 or plain Rust. It must not know texts, tokenizers or what an embedding is used for.

mod attention;
pub(crate) mod dots;
pub(crate) mod file;
mod forward;
mod known;
mod lines;
mod matrix;
mod panels;
mod pointwise;
mod readout;
mod rows;
mod shape;
mod simd;
mod sink;
mod tile;
#[cfg(any(feature = "tract", test))]
pub(crate) mod write;

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use file::File;
use forward::{Arena, Model};

pub(crate) use shape::Shape;

/// A loaded `model.fused`.
#[derive(Debug)]
pub(crate) struct Fused {
    engine: Engine,
    /// Arenas not in use: as many as there were ever runs at one time.
    arenas: Mutex<Vec<Arena>>,
}

/// The model packed for this processor.
#[derive(Debug)]
enum Engine {
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    Wasm(Model<simd::Wasm>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Model<simd::Avx512>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Model<simd::Avx2>),
    #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
    Portable(Model<simd::Portable>),
}

/// The same of whichever model there is.
macro_rules! on_any {
    ($engine:expr, $model:ident => $value:expr) => {
        match $engine {
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Engine::Wasm($model) => $value,
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512($model) => $value,
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2($model) => $value,
            #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
            Engine::Portable($model) => $value,
        }
    };
}

impl Fused {
    /// # Errors
    ///
    /// A sentence: what of the file is wrong.
    pub(crate) fn load(bytes: Cow<'static, [u8]>) -> Result<Self, String> {
        let engine = Engine::load(File::read(bytes)?)?;
        Ok(Self { engine, arenas: Mutex::default() })
    }

    /// The embedding of `ids`.
    ///
    /// # Errors
    ///
    /// A sentence: there are no ids, or one that the table does not have.
    pub(crate) fn run(&self, ids: &[u32]) -> Result<Vec<f32>, String> {
        if ids.is_empty() {
            return Err("a text without tokens has no embedding".into());
        }
        let taken = self.arenas.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut arena = taken.unwrap_or_else(|| self.engine.arena());
        let embedding = self.engine.run(ids, &mut arena);
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        embedding.ok_or_else(|| {
            let size = self.engine.shape().vocabulary;
            format!("the tokenizer gave an id beyond the model's {size} tokens: they are not of one model")
        })
    }
}

impl Engine {
    fn load(file: File) -> Result<Self, String> {
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        return Model::load(file).map(Self::Wasm);
        #[cfg(target_arch = "x86_64")]
        if simd::Avx512::here().is_some() {
            return Model::load(file).map(Self::Avx512);
        } else if simd::Avx2::here().is_some() {
            return Model::load(file).map(Self::Avx2);
        }
        #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
        Model::load(file).map(Self::Portable)
    }

    fn shape(&self) -> &Shape {
        on_any!(self, model => model.shape())
    }

    fn arena(&self) -> Arena {
        on_any!(self, model => model.arena())
    }

    #[allow(unsafe_code, reason = "a function compiled for instructions is called where they were found")]
    fn run(&self, ids: &[u32], arena: &mut Arena) -> Option<Vec<f32>> {
        match self {
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Self::Wasm(model) => model.run(ids, arena),
            // SAFETY: a model of this kind is loaded only where the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(model) => unsafe { on_avx512(model, ids, arena) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(model) => unsafe { on_avx2(model, ids, arena) },
            #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
            Self::Portable(model) => model.run(ids, arena),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
fn on_avx512(model: &Model<simd::Avx512>, ids: &[u32], arena: &mut Arena) -> Option<Vec<f32>> {
    model.run(ids, arena)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn on_avx2(model: &Model<simd::Avx2>, ids: &[u32], arena: &mut Arena) -> Option<Vec<f32>> {
    model.run(ids, arena)
}

#[cfg(test)]
mod tests;
