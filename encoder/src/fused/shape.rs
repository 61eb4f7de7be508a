//! The shape of a ModernBERT: what its file says of it, checked once.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::attention::MOST_HEAD_LINES;
use super::lines::LINE;

/// Everything but the weights. Widths are in floats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    /// Rows of the token table.
    pub(crate) vocabulary: usize,
    /// Width of the token table; if it is not `hidden`, a matrix leads from the one to the other.
    pub(crate) embedding_rank: usize,
    /// Width of the residual stream.
    pub(crate) hidden: usize,
    /// Transformer layers.
    pub(crate) layers: usize,
    /// Attention heads, each `hidden / heads` wide.
    pub(crate) heads: usize,
    /// Width between the two halves of the gated feed-forward layer.
    pub(crate) intermediate: usize,
    /// A token of a local layer sees those at most `local_attention / 2` places away.
    pub(crate) local_attention: usize,
    /// Layer i is global, and sees everything, if `i % global_every == 0`.
    pub(crate) global_every: usize,
    /// Added to the variance in a layer norm.
    pub(crate) norm_eps: f32,
    /// Base of the rotary frequencies of global layers.
    pub(crate) global_rope_theta: f32,
    /// Base of the rotary frequencies of local layers.
    pub(crate) local_rope_theta: f32,
    /// Width of the dense layer (GELU) whose numbers go into the projection beside the pooled ones; 0: there is none.
    pub(crate) head: usize,
    /// Whether the pooled vector also holds what the layers' matrices are given on their way back to the residual stream.
    #[serde(default)]
    pub(crate) readout: bool,
    /// Numbers of the embedding.
    pub(crate) output: usize,
}

/// Bounds that keep every size computed from a file within memory and arithmetic.
const MOST: [(&str, usize); 7] = [
    ("vocabulary", 1 << 20),
    ("embedding_rank", 1 << 13),
    ("hidden", 1 << 13),
    ("layers", 256),
    ("intermediate", 1 << 15),
    ("head", 1 << 14),
    ("output", 1 << 14),
];

impl Shape {
    /// Whether the kernels can run it.
    ///
    /// # Errors
    ///
    /// A sentence that names the first value they cannot.
    pub(crate) fn check(&self) -> Result<(), String> {
        let sizes = [
            self.vocabulary,
            self.embedding_rank,
            self.hidden,
            self.layers,
            self.intermediate,
            self.head,
            self.output,
        ];
        for ((name, most), size) in MOST.into_iter().zip(sizes) {
            if size > most || (size == 0 && name != "head") {
                return Err(format!("{name} must be from 1 to {most}, not {size}"));
            }
        }
        for (name, size, by) in [
            ("embedding_rank", self.embedding_rank, 16),
            ("hidden", self.hidden, 16),
            ("intermediate", self.intermediate, 16),
            ("head", self.head, 16),
        ] {
            if !size.is_multiple_of(by) {
                return Err(format!("{name} must be a multiple of {by}, not {size}"));
            }
        }
        if self.heads == 0 || !self.hidden.is_multiple_of(self.heads) || !self.head_size().is_multiple_of(32)
        {
            return Err(format!(
                "hidden / heads must be a multiple of 32, but hidden is {} and heads is {}",
                self.hidden, self.heads
            ));
        }
        if self.head_size() > MOST_HEAD_LINES * LINE {
            return Err(format!("hidden / heads must be at most {}", MOST_HEAD_LINES * LINE));
        }
        if self.global_every == 0 {
            return Err("global_every must be at least 1".into());
        }
        let positive = |x: f32| x.is_finite() && x > 0.0;
        for (name, value) in [
            ("norm_eps", self.norm_eps),
            ("global_rope_theta", self.global_rope_theta),
            ("local_rope_theta", self.local_rope_theta),
        ] {
            if !positive(value) {
                return Err(format!("{name} must be a number above 0, not {value}"));
            }
        }
        Ok(())
    }

    /// Numbers of the pooled vector: the mean over the tokens of what the last norm gives and, with `readout`, for each
    /// layer of attention's mix and of the gated numbers.
    pub(crate) fn pooled(&self) -> usize {
        self.hidden + if self.readout { self.layers * (self.hidden + self.intermediate) } else { 0 }
    }

    /// Width of a head.
    pub(super) fn head_size(&self) -> usize {
        self.hidden / self.heads
    }

    /// The feed-forward layer's inner channels in two parts with scales of their own: `convert` puts the few channels that
    /// dwarf the rest into the first, so that the rest keep their seven bits (`convert/feed.rs`).
    pub(crate) fn bands(&self) -> Vec<Range<usize>> {
        let cut = LINE.min(self.intermediate);
        [0..cut, cut..self.intermediate].into_iter().filter(|band| !band.is_empty()).collect()
    }

    /// How far a token of this layer sees to each side; `None`: everything.
    pub(super) fn window(&self, layer: usize) -> Option<usize> {
        (!layer.is_multiple_of(self.global_every)).then_some(self.local_attention / 2)
    }
}
