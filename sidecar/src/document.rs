//! Reads `dragoman.yaml`: the file, its YAML syntax and keys that stand twice. What the values mean is
//! `dragoman_core::config`'s business.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use dragoman_core::config::Config;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads and checks a configuration file.
///
/// # Errors
///
/// A text for people that names the file: why it cannot be read, the line and column of a syntax error or of a key
/// that stands twice, or every error of its values together, each with its path.
pub fn load(path: &Path) -> Result<Config, String> {
    let value = value(path)?;
    Config::from_value(&value).map_err(|errors| format!("{}: {errors}", path.display()).trim_end().to_owned())
}

/// Reads a file's values as they stand, unchecked.
///
/// # Errors
///
/// A text for people that names the file: why it cannot be read, or the line and column of a syntax error or of a
/// key that stands twice.
pub fn value(path: &Path) -> Result<Value, String> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("{file}: cannot be read: {e}. Name the file with --config FILE."))?;
    parse(&text).map_err(|why| format!("{file}: {why}"))
}

/// YAML to a JSON value; mappings keep their order.
///
/// # Errors
///
/// A sentence with line and column.
pub fn parse(yaml: &str) -> Result<Value, String> {
    Node.deserialize(serde_yaml_ng::Deserializer::from_str(yaml)).map_err(|e| e.to_string())
}

/// Reads any value, as `serde_json::Value` would, but refuses what it would swallow: a key that stands twice and
/// a number that is not finite.
struct Node;

/// Reads a key and remembers it. The check stands here because here the parser still knows the key's line.
struct Key<'a>(&'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a list, a text, a number, true, false or nothing")
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format!("a number must be finite, not {v}")))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Node)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut entries, mut seen) = (Map::new(), HashSet::new());
        while let Some(key) = map.next_key_seed(Key(&mut seen))? {
            entries.insert(key, map.next_value_seed(Node)?);
        }
        Ok(Value::Object(entries))
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<String, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a text")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        match self.0.insert(key.to_owned()) {
            true => Ok(key.to_owned()),
            false => Err(E::custom(format!("the key \"{key}\" stands twice in one mapping; keep one"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_becomes_json_in_document_order() {
        let value = parse("b: 1\na: [x, 2.5, true, null]\nc: {d: -3}\n").unwrap();
        assert_eq!(value.to_string(), r#"{"b":1,"a":["x",2.5,true,null],"c":{"d":-3}}"#);
        assert_eq!(parse("").unwrap(), Value::Null);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_its_line() {
        let why = parse("models:\n  a: 1\n  b: 2\n  a: 3\n").unwrap_err();
        assert!(why.contains("\"a\" stands twice") && why.contains("line 4"), "{why}");
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let why = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(why.contains("line "), "{why}");
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused() {
        assert!(parse("a: .nan").unwrap_err().contains("must be finite"));
    }

    #[test]
    fn anchors_work() {
        let value = parse("a: &p {x: 1}\nb: *p\n").unwrap();
        assert_eq!(value["b"]["x"], 1);
    }
}
