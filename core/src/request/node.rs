//! A JSON value of which only the few keys are kept that conversations are made of.
//!
//! Requests nest strings, parts and blocks in many ways, and the type of a part may stand after its
//! text. So the shape is taken as it comes, and `conversation.rs` judges it once the type is known.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value, with what no conversation needs left out. A body may be large and hostile, so nodes stay
/// small and the ones without meaning are dropped on arrival: memory stays within some 30 times the body.
#[derive(Debug, Default)]
pub(super) enum Node<'a> {
    /// Absent or null.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// An array, without its empty elements; scalars in a row are kept as one.
    List(Vec<Node<'a>>),
    /// An object's known keys.
    Object(Vec<(Key, Node<'a>)>),
    /// A number or a boolean.
    Scalar,
}

/// The keys that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
    Type,
    Role,
    Text,
    Content,
    Output,
    Format,
    Id,
    #[serde(other)]
    Unknown,
}

// === impl Node ===

impl<'a> Node<'a> {
    /// The value under `key`; absent for whatever is no object. Of doubled keys the last counts, as in
    /// the parsers of the servers behind us.
    pub(super) fn get(&self, key: Key) -> &Node<'a> {
        const ABSENT: &Node<'static> = &Node::Absent;
        match self {
            Node::Object(fields) => fields.iter().rev().find(|(k, _)| *k == key).map_or(ABSENT, |(_, v)| v),
            _ => ABSENT,
        }
    }

    /// The string, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The string under `type`.
    pub(super) fn kind(&self) -> Option<&str> {
        self.get(Key::Type).as_text()
    }

    fn means_nothing_after(&self, last: Option<&Node<'_>>) -> bool {
        match self {
            Node::Text(text) => text.is_empty(),
            Node::List(list) => list.is_empty(),
            Node::Scalar => matches!(last, Some(Node::Scalar)),
            Node::Absent | Node::Object(_) => false,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node<'de>, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut list: Vec<Node<'de>> = Vec::new();
        while let Some(node) = seq.next_element::<Node<'de>>()? {
            if !node.means_nothing_after(list.last()) {
                list.push(node);
            }
        }
        list.shrink_to_fit();
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            if key == Key::Unknown {
                map.next_value::<IgnoredAny>()?;
            } else {
                let value = map.next_value::<Node<'de>>()?;
                fields.push((key, value));
            }
        }
        fields.shrink_to_fit();
        Ok(Node::Object(fields))
    }
}
