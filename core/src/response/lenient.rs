//! Small values that take any JSON type, and mean nothing where it is not theirs.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A count of tokens; `None` for anything that is not a number from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u32>);

/// Whether a value is there: not null, not false, not an empty string or array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present(pub(super) bool);

/// A name; `None` for anything that is not a string of 1 to 256 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Id(pub(super) Option<String>);

/// A longer name is none; it would only fill records.
const MAX_ID: usize = 256;

/// What the `type` of a piece of output says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text for the user.
    Text,
    /// A message, whose content is a list of pieces.
    Message,
    /// A call of a tool.
    Tool,
    /// Anything else, such as reasoning.
    #[default]
    Other,
}

const KINDS: [(&str, Kind); 7] = [
    ("text", Kind::Text),
    ("output_text", Kind::Text),
    ("refusal", Kind::Text),
    ("message", Kind::Message),
    ("function_call", Kind::Tool),
    ("custom_tool_call", Kind::Tool),
    ("tool_use", Kind::Tool),
];

/// The tools that a server runs itself end like those of clients.
const TOOL_ENDINGS: [&str; 2] = ["_call", "tool_use"];

/// What a lenient field can be made of.
trait Lenient: Default {
    fn of_str(_: &str) -> Self {
        Self::default()
    }
    fn of_number(_: f64) -> Self {
        Self::default()
    }
    fn of_list(_any_element: bool) -> Self {
        Self::default()
    }
    fn of_object() -> Self {
        Self::default()
    }
}

// === impl Count, Present, Id, Kind ===

impl Lenient for Count {
    fn of_number(number: f64) -> Self {
        // `as` saturates, and u32 is exact in f64.
        Count((number >= 0.0).then_some(number as u32))
    }
}

impl Lenient for Present {
    fn of_str(text: &str) -> Self {
        Present(!text.is_empty())
    }
    fn of_number(_: f64) -> Self {
        Present(true)
    }
    fn of_list(any_element: bool) -> Self {
        Present(any_element)
    }
    fn of_object() -> Self {
        Present(true)
    }
}

impl Lenient for Id {
    fn of_str(name: &str) -> Self {
        Id((1..=MAX_ID).contains(&name.len()).then(|| name.to_owned()))
    }
}

impl Lenient for Kind {
    fn of_str(kind: &str) -> Self {
        match KINDS.iter().find(|(name, _)| *name == kind) {
            Some(&(_, known)) => known,
            None if TOOL_ENDINGS.iter().any(|end| kind.ends_with(end)) => Kind::Tool,
            None => Kind::Other,
        }
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for LenientVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_str(text))
    }
    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::of_number(number as f64))
    }
    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::of_number(number as f64))
    }
    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::of_number(number))
    }
    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(if value { T::of_object() } else { T::default() })
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let mut any = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(T::of_list(any))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(T::of_object())
    }
}

macro_rules! deserialize_leniently {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(LenientVisitor(PhantomData))
            }
        }
    )*};
}

deserialize_leniently!(Count, Present, Id, Kind);
