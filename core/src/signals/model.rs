//! What embeddings are read with: heads, and the embeddings of the rules' candidates.

use super::embeddings::EmbeddingRule;
use super::heads::Heads;

/// All that signals need beside the configuration; it travels in the snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SignalModel {
    /// Classifiers.
    pub heads: Heads,
    /// The embeddings of the candidates of all embedding rules, one rule after the other, of unit length; none where
    /// nobody could make them, and then no such rule fires.
    pub candidates: Vec<Vec<f32>>,
}

// === impl SignalModel ===

impl SignalModel {
    /// Whether it fits `rules` and embeddings of `dimensions` numbers.
    ///
    /// # Errors
    ///
    /// A clause that says what does not fit.
    pub fn check(&self, rules: &[EmbeddingRule], dimensions: usize) -> Result<(), String> {
        if let Some(size) = self.heads.embedding_size().filter(|size| *size != dimensions) {
            return Err(format!("its heads take embeddings of {size} numbers instead of {dimensions}"));
        }
        let (wanted, got) =
            (rules.iter().map(|rule| rule.candidates.len()).sum::<usize>(), self.candidates.len());
        if got != 0 && got != wanted {
            return Err(format!("it has {got} candidates' embeddings instead of {wanted}"));
        }
        if let Some(odd) = self.candidates.iter().find(|c| c.len() != dimensions) {
            return Err(format!("a candidate's embedding has {} numbers instead of {dimensions}", odd.len()));
        }
        match self.candidates.iter().flatten().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err("a candidate's embedding has a number that is not finite".into()),
        }
    }
}
