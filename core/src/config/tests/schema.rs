//! The JSON Schema in docs/ knows the same keys as the reader.

use serde_json::json;

use super::super::*;
use super::{document, errors};

/// The names of the keys that the reader knows at `path` (dots between sections), from its own error message.
fn known_keys(path: &str) -> Vec<String> {
    let mut document = document();
    if path.starts_with("encoder.") {
        document["encoder"]["mode"] = json!("endpoint");
    }
    let mut place = &mut document;
    for part in path.split('.').filter(|p| !p.is_empty()) {
        place = match part {
            "[]" => {
                *place = json!([{}]);
                &mut place[0]
            }
            key => &mut place[key],
        };
    }
    if place.is_null() {
        *place = json!({});
    }
    place["zzz"] = json!(1);
    let errors = errors(&document);
    let line = errors.iter().find_map(|e| e.split_once("zzz: is not known here; known are "));
    let mut keys: Vec<String> = line.expect(path).1.split(", ").map(str::to_owned).collect();
    keys.sort();
    keys
}

#[test]
fn the_json_schema_has_exactly_the_keys_the_reader_knows() {
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/dragoman.schema.json")).unwrap();
    let at = |pointer: &str| {
        let mut keys: Vec<String> =
            schema.pointer(pointer).and_then(Value::as_object).expect(pointer).keys().cloned().collect();
        keys.sort();
        keys
    };
    let sections = [
        "listen",
        "signals",
        "policy",
        "reward",
        "judge",
        "learner",
        "escalation",
        "encoder",
        "requests",
        "replay",
        "privacy",
        "sticky",
        "access",
        "envoy",
        "tls",
        "reload",
        "guard",
        "guard.limits",
        "alerts",
        "schedule",
        "retention",
        "optimizer",
    ];
    for section in sections {
        assert_eq!(
            known_keys(section),
            at(&format!("/properties/{}/properties", section.replace('.', "/properties/"))),
            "{section}"
        );
    }
    let bounds = "/properties/optimizer/properties/threshold/properties";
    assert_eq!(known_keys("optimizer.threshold"), at(bounds));
    let model = "/properties/models/additionalProperties/properties";
    assert_eq!(known_keys(""), at("/properties"));
    assert_eq!(known_keys("models.small"), at(model));
    assert_eq!(known_keys("models.small.price"), at(&format!("{model}/price/properties")));
    assert_eq!(known_keys("models.large.api_key"), at(&format!("{model}/api_key/properties")));
    let endpoint = "/properties/encoder/properties/endpoint/properties";
    assert_eq!(known_keys("encoder.endpoint"), at(endpoint));
    assert_eq!(known_keys("encoder.endpoint.api_key"), at(&format!("{endpoint}/api_key/properties")));
    let judge = "/properties/judge/properties/endpoint/properties";
    assert_eq!(known_keys("judge.endpoint"), at(judge));
    assert_eq!(known_keys("judge.endpoint.api_key"), at(&format!("{judge}/api_key/properties")));
    let decision = "/properties/decisions/items/properties";
    assert_eq!(known_keys("decisions.[]"), at(decision));
    assert_eq!(known_keys("decisions.[].policy"), at(&format!("{decision}/policy/properties")));
    assert_eq!(known_keys("decisions.[].when.[]"), at("/definitions/condition/properties"));
    for list in ["keywords", "embeddings"] {
        let items = format!("/properties/signals/properties/{list}/items/properties");
        assert_eq!(known_keys(&format!("signals.{list}.[]")), at(&items));
    }
}
