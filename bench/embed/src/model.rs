//! A model on its way to the plugin.

use std::borrow::Cow;

use dragoman_encoder::Encoder;

/// The files of an encoder, and how many tokens it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// At most so many tokens of a text.
    pub max_tokens: u32,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `model.fused` or `model.onnx`.
    pub weights: Vec<u8>,
}

// === impl Model ===

impl Model {
    /// As bytes: the cap and the tokenizer's length (u32, little endian), the tokenizer, the weights.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = self.tokenizer.len() as u32;
        [&self.max_tokens.to_le_bytes(), &length.to_le_bytes(), &self.tokenizer[..], &self.weights].concat()
    }

    /// The inverse of [`Model::to_bytes`]; `None` if the bytes are cut short.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (max_tokens, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (tokenizer, weights) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let max_tokens = u32::from_le_bytes(*max_tokens);
        Some(Self { max_tokens, tokenizer: tokenizer.to_vec(), weights: weights.to_vec() })
    }

    /// The encoder that these files make.
    ///
    /// # Errors
    ///
    /// A sentence with what the encoder refuses.
    pub fn load(self) -> Result<Encoder, String> {
        Encoder::load(Cow::Owned(self.weights), &self.tokenizer, self.max_tokens as usize)
            .map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_arrives_as_it_left_or_not_at_all() {
        let model = Model { max_tokens: 256, tokenizer: b"{}".to_vec(), weights: b"weights".to_vec() };
        let bytes = model.to_bytes();
        assert_eq!(Model::from_bytes(&bytes), Some(model));
        assert_eq!(Model::from_bytes(&bytes[..9]), None);
    }
}
