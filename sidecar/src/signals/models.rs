//! Makes what signals of an embedding are read with, for each configuration that comes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use dragoman_core::config::{Config, EncoderConfig, EncoderMode};
use dragoman_core::signals::{Heads, SignalModel};
use log::info;

use super::ask::Asker;
use super::embedder::Embedder;
use super::heads;
use crate::client::Client;
use crate::embed;
use crate::learn::projection;

/// Remembers what it has made: the encoder stays the same while the sidecar runs, so heads are read once and each text
/// is embedded once.
pub struct Models {
    client: Client,
    heads: Option<Heads>,
    embedded: HashMap<String, Vec<f32>>,
}

// === impl Models ===

impl Models {
    /// Asks servers of embeddings with `client`.
    pub fn new(client: Client) -> Self {
        Self { client, heads: None, embedded: HashMap::new() }
    }

    /// What `config` reads embeddings with.
    ///
    /// # Errors
    ///
    /// A sentence: a file of the encoder cannot be used, or a candidate of an embedding rule cannot be embedded.
    pub async fn of(&mut self, config: &Config) -> Result<Arc<SignalModel>, String> {
        let folder = Path::new(&config.encoder.path);
        let dimensions = projection::load(folder)?.embedding_size();
        if self.heads.is_none() {
            self.heads = Some(heads::load(folder)?.unwrap_or_else(|| {
                info!("{} has no {}: signals of heads are neutral", folder.display(), heads::FILE);
                Heads::default()
            }));
        }
        let rules = &config.routing.embeddings;
        let texts: Vec<&String> = rules.iter().flat_map(|rule| &rule.candidates).collect();
        self.embed(&texts, &config.encoder, dimensions).await?;
        let candidates = texts.iter().filter_map(|text| self.embedded.get(*text).cloned()).collect();
        let model = SignalModel { heads: self.heads.clone().unwrap_or_default(), candidates };
        model.check(rules, dimensions).map_err(|why| format!("{}: {why}", folder.display()))?;
        Ok(Arc::new(model))
    }

    /// Embeds those of `texts` that are new.
    async fn embed(
        &mut self,
        texts: &[&String],
        encoder: &EncoderConfig,
        dimensions: usize,
    ) -> Result<(), String> {
        let mut new: Vec<String> = texts
            .iter()
            .filter(|text| !self.embedded.contains_key(**text))
            .map(|text| (*text).clone())
            .collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        let told = |why| format!("signals.embeddings: {why}");
        let embedder = embedder(&self.client, encoder, dimensions).map_err(told)?;
        let embedded = embedder.embed(new.clone()).await.map_err(told)?;
        info!("embedded {} texts of signals.embeddings", new.len());
        self.embedded.extend(new.into_iter().zip(embedded));
        Ok(())
    }
}

/// Embeds as the filter does with this configuration.
pub(super) fn embedder(
    client: &Client,
    encoder: &EncoderConfig,
    dimensions: usize,
) -> Result<Embedder, String> {
    let max_tokens = encoder.max_tokens as usize;
    match &encoder.mode {
        EncoderMode::Endpoint(endpoint) => {
            let asker = Asker::new(client.clone(), endpoint.clone(), dimensions);
            Ok(Embedder::Remote(Box::new(asker), max_tokens))
        }
        EncoderMode::Local | EncoderMode::Sidecar => {
            let encoder = embed::load(Path::new(&encoder.path), max_tokens)?;
            Ok(Embedder::Local(Arc::new(encoder), max_tokens))
        }
    }
}
