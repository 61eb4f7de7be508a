//! What differs between two documents, for the answer, the log and the audit.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// One value that changed; null where there was or is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where, such as `models.small.price.input`.
    pub path: String,
    /// As it was.
    pub before: Value,
    /// As it is.
    pub after: Value,
}

/// Every difference, down to the values of mappings; a list is one value.
pub(super) fn between(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(String::new(), before, after, &mut changes);
    changes
}

fn compare(path: String, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return changes.push(Change { path, before: before.clone(), after: after.clone() });
    };
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        compare(path, &value(old), &value(new), changes);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.path, self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_told_down_to_the_value_and_whole_where_something_comes_or_goes() {
        let before = json!({"a": {"x": 1, "y": [1]}, "b": 2});
        let after = json!({"a": {"x": 1.5, "y": [1]}, "c": {"z": 3}});
        let told: Vec<String> = between(&before, &after).iter().map(Change::to_string).collect();
        assert_eq!(told, ["a.x: 1 → 1.5", "b: 2 → null", "c: null → {\"z\":3}"]);
        assert_eq!(between(&before, &before), []);
    }
}
