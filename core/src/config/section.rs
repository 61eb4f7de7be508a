//! Reading one mapping of the document, collecting every error instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ConfigError;

/// Where errors are collected while a document is read.
#[derive(Default)]
pub(super) struct Errors(RefCell<Vec<ConfigError>>);

impl Errors {
    pub(super) fn push(&self, path: &str, message: impl Into<String>) {
        self.0.borrow_mut().push(ConfigError { path: path.to_owned(), message: message.into() });
    }

    pub(super) fn take(&self) -> Vec<ConfigError> {
        self.0.take()
    }
}

/// A mapping of the document with its path. Getters give a usable value in every case; what was wrong is among
/// the errors. [`Section::finish`] reports the keys nobody asked for.
pub(super) struct Section<'a> {
    path: String,
    map: Option<&'a Map<String, Value>>,
    errors: &'a Errors,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(document: &'a Value, errors: &'a Errors) -> Self {
        Self::new(String::new(), Some(document), errors)
    }

    fn new(path: String, value: Option<&'a Value>, errors: &'a Errors) -> Self {
        let map = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => {
                let place = if path.is_empty() { "the document" } else { &path };
                errors.push(place, format!("must be a mapping, not {}", kind(other)));
                None
            }
        };
        Self { path, map, errors, known: RefCell::default() }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn error(&self, key: &str, message: impl Into<String>) {
        self.errors.push(&self.path(key), message);
    }

    /// Something is wrong with the section as a whole.
    pub(super) fn fault(&self, message: impl Into<String>) {
        self.errors.push(&self.path, message);
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().insert(key);
        self.map?.get(key).filter(|v| !v.is_null())
    }

    pub(super) fn section(&self, key: &'static str) -> Section<'a> {
        Section::new(self.path(key), self.get(key), self.errors)
    }

    /// The entries of a mapping whose keys are names, in document order.
    pub(super) fn named(&self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let inner = self.section(key);
        let entries = inner.map.into_iter().flatten();
        entries.map(|(k, v)| (k.clone(), Section::new(inner.path(k), Some(v), self.errors))).collect()
    }

    /// The mappings of a list, each a section of its own; empty when the key is absent.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let items = self.items(key);
        let section = |(i, v)| Section::new(format!("{}[{i}]", self.path(key)), Some(v), self.errors);
        items.iter().enumerate().map(section).collect()
    }

    fn items(&self, key: &'static str) -> &'a [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.error(key, format!("must be a list, not {}", kind(other)));
                &[]
            }
        }
    }

    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        let mut texts = Vec::new();
        for (i, item) in self.items(key).iter().enumerate() {
            match item {
                Value::String(s) if !s.trim().is_empty() => texts.push(s.clone()),
                other => self.error(
                    &format!("{key}[{i}]"),
                    format!("must be a text that is not empty, not {}", kind(other)),
                ),
            }
        }
        texts
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        match self.get(key)? {
            Value::String(s) if !s.trim().is_empty() => Some(s.clone()),
            other => {
                self.error(key, format!("must be a text that is not empty, not {}", kind(other)));
                None
            }
        }
    }

    pub(super) fn text_or(&self, key: &'static str, default: &str) -> String {
        self.text(key).unwrap_or_else(|| default.to_owned())
    }

    /// A text that must be there.
    pub(super) fn required(&self, key: &'static str, what: &str) -> String {
        if self.get(key).is_none() {
            self.error(key, format!("is missing: {what}"));
        }
        self.text_or(key, "")
    }

    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<f64>, default: f64) -> f64 {
        self.optional_number(key, range).unwrap_or(default)
    }

    pub(super) fn optional_number(&self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.get(key)?;
        match value.as_f64() {
            Some(n) if range.contains(&n) => Some(n),
            Some(n) => {
                self.error(key, format!("must be between {} and {}, not {n}", range.start(), range.end()));
                None
            }
            None => {
                self.error(key, format!("must be a number, not {}", kind(value)));
                None
            }
        }
    }

    /// A mapping of names to numbers.
    pub(super) fn numbers(&self, key: &'static str, range: RangeInclusive<f64>) -> Vec<(String, f64)> {
        let inner = self.section(key);
        let mut numbers = Vec::new();
        for (name, value) in inner.map.into_iter().flatten() {
            match value.as_f64().filter(|n| range.contains(n)) {
                Some(n) => numbers.push((name.clone(), n)),
                None => {
                    let (low, high) = (range.start(), range.end());
                    inner.error(
                        name,
                        format!("must be a number between {low} and {high}, not {}", kind(value)),
                    );
                }
            }
        }
        numbers
    }

    pub(super) fn whole(&self, key: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(value) = self.get(key) else { return default };
        match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if range.contains(&n) => n,
            _ => {
                let (low, high) = (range.start(), range.end());
                self.error(key, format!("must be a whole number between {low} and {high}, not {value}"));
                default
            }
        }
    }

    /// A list of whole numbers; `None` if the key is absent.
    pub(super) fn wholes(&self, key: &'static str, range: RangeInclusive<u32>) -> Option<Vec<u32>> {
        self.get(key)?;
        let mut numbers = Vec::new();
        for (i, item) in self.items(key).iter().enumerate() {
            match item.as_u64().and_then(|n| u32::try_from(n).ok()) {
                Some(n) if range.contains(&n) => numbers.push(n),
                _ => self.error(
                    &format!("{key}[{i}]"),
                    format!(
                        "must be a whole number between {} and {}, not {item}",
                        range.start(),
                        range.end()
                    ),
                ),
            }
        }
        Some(numbers)
    }

    pub(super) fn switch(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.error(key, format!("must be true or false, not {value}"));
            default
        })
    }

    /// One of a fixed set of words; the first of the table is the default.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, table: &[(&str, T)], default: T) -> T {
        let Some(word) = self.text(key) else { return default };
        table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).unwrap_or_else(|| {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            self.error(key, format!("must be one of {}, not \"{word}\"", names.join(", ")));
            default
        })
    }

    /// Reports every key that no getter asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        for key in self.map.into_iter().flat_map(Map::keys) {
            if !known.contains(key.as_str()) {
                let names: Vec<&str> = known.iter().copied().collect();
                self.error(key, format!("is not known here; known are {}", names.join(", ")));
            }
        }
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Object(_) => "a mapping".into(),
        Value::Array(_) => "a list".into(),
        Value::String(s) if s.trim().is_empty() => "an empty text".into(),
        scalar => scalar.to_string(),
    }
}
