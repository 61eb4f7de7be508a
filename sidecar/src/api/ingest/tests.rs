use proptest::prelude::*;

use super::*;

#[test]
fn an_id_is_plain_and_short() {
    assert!(check_id("0189-ab_C").is_ok());
    for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
        assert!(check_id(bad).is_err(), "{bad}");
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf =
        prop_oneof![any::<i64>().prop_map(Into::into), "[^\u{0}]{0,12}".prop_map(serde_json::Value::from)];
    prop::collection::btree_map("[a-z]{1,4}", leaf, 0..4).prop_map(|map| serde_json::json!(map))
}

proptest! {
    #[test]
    fn an_array_and_lines_hold_the_same_records(values in prop::collection::vec(value(), 1..8)) {
        let array = serde_json::to_vec(&values).unwrap();
        let lines: Vec<String> = values.iter().map(ToString::to_string).collect();
        let lines = lines.join("\n");
        let parsed = |items: Vec<(usize, &[u8])>| -> Vec<(usize, serde_json::Value)> {
            items.into_iter().map(|(i, text)| (i, serde_json::from_slice(text).unwrap())).collect()
        };
        let wanted: Vec<_> = values.into_iter().enumerate().collect();
        prop_assert_eq!(parsed(split(&array).unwrap()), wanted.clone());
        prop_assert_eq!(parsed(split(lines.as_bytes()).unwrap()), wanted);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((records, rejected)) = read(&body, &Privacy::default()) {
            prop_assert!(records.is_empty());
            prop_assert!(rejected.iter().all(|r| !r.why.is_empty()));
        }
    }

    #[test]
    fn anything_json_in_an_array_is_refused_one_by_one(values in prop::collection::vec(value(), 0..8)) {
        let (records, rejected) = read(&serde_json::to_vec(&values).unwrap(), &Privacy::default()).unwrap();
        prop_assert_eq!((records.len(), rejected.len()), (0, values.len()));
    }
}
