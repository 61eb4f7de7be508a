//! How much a piece of output says, at any nesting: a string, a part, a block, an item, or a list of them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient::Kind;

/// What a piece of output holds. Any JSON value is one; of objects, the `type` says what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    /// Characters of text meant for the user.
    pub(super) chars: u32,
    /// Whether a tool is called.
    pub(super) tool: bool,
}

/// The keys of an object that count.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Type,
    Text,
    Refusal,
    Content,
    #[serde(other)]
    Unknown,
}

// === impl Output ===

impl Output {
    /// Both together.
    pub(super) fn and(self, other: Output) -> Output {
        Output { chars: self.chars.saturating_add(other.chars), tool: self.tool || other.tool }
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OutputVisitor)
    }
}

struct OutputVisitor;

impl<'de> Visitor<'de> for OutputVisitor {
    type Value = Output;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Output, E> {
        Ok(Output { chars: u32::try_from(text.chars().count()).unwrap_or(u32::MAX), tool: false })
    }

    fn visit_unit<E>(self) -> Result<Output, E> {
        Ok(Output::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Output, E> {
        Ok(Output::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Output, E> {
        Ok(Output::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Output, E> {
        Ok(Output::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Output, E> {
        Ok(Output::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Output, A::Error> {
        let mut sum = Output::default();
        while let Some(piece) = seq.next_element::<Output>()? {
            sum = sum.and(piece);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Output, A::Error> {
        let (mut kind, mut text, mut content) = (Kind::Other, Output::default(), Output::default());
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Type => kind = map.next_value()?,
                Key::Text | Key::Refusal => text = text.and(map.next_value()?),
                Key::Content => content = map.next_value()?,
                Key::Unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match kind {
            Kind::Text => text,
            Kind::Message => content,
            Kind::Tool => Output { chars: 0, tool: true },
            Kind::Other => Output::default(),
        })
    }
}
