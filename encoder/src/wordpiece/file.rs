//! `tokenizer.json`: whether it is of the kind that is read here, and its parts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Frame;
use super::vocabulary::Vocabulary;
use super::words::{Rules, Words};

/// Why a file is not read. Both are the rest of a sentence that begins with its name.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is no tokenizer.
    Broken(String),
    /// It is one of another kind.
    Other(String),
}

/// What a tokenizer is made of.
pub(super) struct Parts {
    pub(super) words: Words,
    pub(super) model: Model,
    pub(super) frame: Frame,
}

/// The kinds that are read of each part; the last one may be missing.
const KINDS: [(&str, &[&str]); 4] = [
    ("model", &["WordPiece"]),
    ("normalizer", &["BertNormalizer"]),
    ("pre_tokenizer", &["BertPreTokenizer"]),
    ("post_processor", &["TemplateProcessing", "BertProcessing", "none"]),
];

/// A first look at a file: it need not make sense beyond this.
#[derive(Deserialize)]
struct Look {
    model: Option<Kind>,
    normalizer: Option<Kind>,
    pre_tokenizer: Option<Kind>,
    post_processor: Option<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    name: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Rules,
    post_processor: Option<Frames>,
    model: Model,
}

/// A token that is found in texts before they are split into words.
#[derive(Deserialize)]
struct Added {
    content: String,
    special: bool,
}

/// The vocabulary, and how to use it.
#[derive(Deserialize)]
pub(super) struct Model {
    #[serde(rename = "unk_token")]
    pub(super) unknown: String,
    #[serde(rename = "continuing_subword_prefix")]
    pub(super) within: String,
    #[serde(rename = "max_input_chars_per_word")]
    pub(super) most_chars: usize,
    #[serde(rename = "vocab")]
    pub(super) vocabulary: Vocabulary,
}

/// What is put around a text: a template and what it names, or the two tokens.
#[derive(Deserialize)]
struct Frames {
    single: Option<Vec<Piece>>,
    #[serde(default)]
    special_tokens: BTreeMap<String, Special>,
    cls: Option<(String, u32)>,
    sep: Option<(String, u32)>,
}

#[derive(Deserialize)]
enum Piece {
    Sequence { id: String },
    SpecialToken { id: String },
}

#[derive(Deserialize)]
struct Special {
    ids: Vec<u32>,
}

/// The parts of the bytes of a `tokenizer.json`.
pub(super) fn read(json: &[u8]) -> Result<Parts, Refusal> {
    let broken = |why: serde_json::Error| Refusal::Broken(why.to_string());
    let json = std::str::from_utf8(json).map_err(|why| Refusal::Broken(format!("it is not UTF-8: {why}")))?;
    kinds(serde_json::from_str(json).map_err(broken)?)?;
    let file: File = serde_json::from_str(json).map_err(broken)?;
    // Special tokens in a text are text. Others would have to be found in it.
    if let Some(token) = file.added_tokens.iter().find(|t| !t.special && !t.content.is_empty()) {
        return Err(Refusal::Other(format!("its added token {:?} is not special", token.content)));
    }
    let frame = file.post_processor.map_or(Ok(Frame::default()), frame)?;
    Ok(Parts { words: Words::new(file.normalizer), model: file.model, frame })
}

fn kinds(look: Look) -> Result<(), Refusal> {
    let parts = [look.model, look.normalizer, look.pre_tokenizer, look.post_processor];
    for ((part, known), kind) in KINDS.into_iter().zip(parts) {
        let name = kind.map_or("none".into(), |kind| kind.name.unwrap_or("without a type".into()));
        if !known.contains(&name.as_str()) {
            return Err(Refusal::Other(format!("its {part} is {name}, not {}", known.join(" or "))));
        }
    }
    Ok(())
}

fn frame(frames: Frames) -> Result<Frame, Refusal> {
    let Some(template) = frames.single else {
        return match (frames.cls, frames.sep) {
            (Some((_, cls)), Some((_, sep))) => Ok((vec![cls], vec![sep])),
            _ => Err(Refusal::Broken("its post_processor says neither single nor cls and sep".into())),
        };
    };
    let is_text = |piece: &Piece| matches!(piece, Piece::Sequence { id } if id == "A");
    let mut sides = template.split(is_text).map(|side| ids(side, &frames.special_tokens));
    match (sides.next(), sides.next(), sides.next()) {
        (Some(before), Some(after), None) => Ok((before?, after?)),
        _ => Err(Refusal::Other("its post_processor has a text not once, but more often or never".into())),
    }
}

/// The ids of special tokens.
fn ids(pieces: &[Piece], special: &BTreeMap<String, Special>) -> Result<Vec<u32>, Refusal> {
    let mut all = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Sequence { .. } => {
                return Err(Refusal::Other(
                    "its post_processor has a second text in the template for one".into(),
                ));
            }
            Piece::SpecialToken { id } => match special.get(id) {
                Some(token) => all.extend(&token.ids),
                None => {
                    return Err(Refusal::Broken(format!("its post_processor does not know the id of {id}")));
                }
            },
        }
    }
    Ok(all)
}
