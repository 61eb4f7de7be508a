//! Embeds texts as the filter would embed prompts.

use std::sync::Arc;

use dragoman_encoder::{Encoder, excerpt};

use super::ask::Asker;

/// Where embeddings come from; clones share the model.
#[derive(Clone)]
pub(super) enum Embedder {
    /// A model, and how many tokens of a text it reads.
    Local(Arc<Encoder>, usize),
    /// A server, and the same.
    Remote(Box<Asker>, usize),
}

// === impl Embedder ===

impl Embedder {
    /// The embedding of each text, of unit length, in their order.
    ///
    /// # Errors
    ///
    /// A sentence that never repeats a text.
    pub(super) async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, String> {
        match self {
            Self::Local(encoder, max_tokens) => {
                let (encoder, max_tokens) = (Arc::clone(encoder), *max_tokens);
                let embed =
                    move |text: &String| encoder.embed(&excerpt(text, max_tokens)).map_err(|e| e.to_string());
                let work = move || texts.iter().map(embed).collect();
                tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
            }
            Self::Remote(asker, max_tokens) => {
                let mut embedded = Vec::with_capacity(texts.len());
                for text in &texts {
                    embedded.push(asker.embed(&excerpt(text, *max_tokens)).await?);
                }
                Ok(embedded)
            }
        }
    }
}
