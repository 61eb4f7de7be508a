use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn list(vector: &[f32]) -> Vec<u8> {
    json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector}], "model": "m"})
        .to_string()
        .into_bytes()
}

fn packed(vector: &[f32]) -> Vec<u8> {
    json!({"data": [{"embedding": pack(vector)}]}).to_string().into_bytes()
}

#[test]
fn the_question_is_openais() {
    let question = |packed| serde_json::from_slice::<Value>(&question("m", "say \"hi\"\n", packed)).unwrap();
    let input = "say \"hi\"\n";
    assert_eq!(question(false), json!({"model": "m", "input": input, "encoding_format": "float"}));
    assert_eq!(question(true), json!({"model": "m", "input": input, "encoding_format": "base64"}));
}

#[test]
fn an_answer_becomes_a_unit_vector() {
    assert_eq!(read(&list(&[3.0, 0.0, -4.0]), 3), Ok(vec![0.6, 0.0, -0.8]));
    assert_eq!(read(&packed(&[3.0, 0.0, -4.0]), 3), Ok(vec![0.6, 0.0, -0.8]));
    assert_eq!(
        read(br#"{"data":[{"embedding":[0,2]}],"usage":null}"#, 2),
        Ok(vec![0.0, 1.0]),
        "whole numbers"
    );
    let wide = read(&list(&[f32::MAX, f32::MAX]), 2).unwrap();
    assert!(wide.iter().all(|v| (v - 0.5f32.sqrt()).abs() < 1e-6), "no overflow on the way: {wide:?}");
}

#[test]
fn what_is_no_embedding_is_refused_with_its_reason() {
    let refused = |body: &[u8]| read(body, 2).unwrap_err();
    for garbage in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"data":1}"#,
        r#"{"data":[1]}"#,
        r#"{"data":[{"embedding":[1,"a"]}]}"#,
    ] {
        assert!(matches!(refused(garbage.as_bytes()), BadEmbedding::NotAnAnswer { .. }), "{garbage}");
    }
    assert!(matches!(refused(br#"{"data":[{"embedding":[1,NaN]}]}"#), BadEmbedding::NotAnAnswer { .. }));
    assert!(matches!(refused(br#"{"data":[{"embedding":"AAAAAAA="}]}"#), BadEmbedding::NotAnAnswer { .. }));
    assert_eq!(refused(br#"{"data":[]}"#), BadEmbedding::Count(0));
    assert_eq!(refused(br#"{"data":[{"embedding":[1,0]},{"embedding":[1,0]}]}"#), BadEmbedding::Count(2));
    assert_eq!(refused(&list(&[1.0, 0.0, 0.0])), BadEmbedding::Size { got: 3, wanted: 2 });
    assert!(matches!(refused(br#"{"data":[{"embedding":[1,1e300]}]}"#), BadEmbedding::NotAnAnswer { .. }));
    assert_eq!(refused(&packed(&[1.0, f32::NAN])), BadEmbedding::NotFinite);
    assert_eq!(refused(&list(&[0.0, -0.0])), BadEmbedding::NoDirection);
    assert_eq!(refused(&vec![b' '; MAX_ANSWER + 1]), BadEmbedding::TooLong(MAX_ANSWER + 1));
}

#[test]
fn no_reason_repeats_the_answer() {
    let why = read(br#"{"data":[{"embedding":"a secret"}]}"#, 2).unwrap_err().to_string();
    assert!(!why.contains("secret"), "{why}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200), dimensions in 0usize..8) {
        let _ = read(&body, dimensions);
    }

    #[test]
    fn what_is_read_has_its_size_and_unit_length(
        vector in proptest::collection::vec(any::<f32>(), 0..64),
        as_list: bool,
    ) {
        let body = if as_list { list(&vector) } else { packed(&vector) };
        match read(&body, vector.len()) {
            Ok(read) => {
                let length: f64 = read.iter().map(|v| f64::from(*v).powi(2)).sum();
                prop_assert!(read.len() == vector.len() && (length - 1.0).abs() < 1e-5, "{length}");
            }
            Err(why) => {
                let usable = vector.iter().all(|v| v.is_finite()) && vector.iter().any(|v| v.abs() > 1e-15);
                prop_assert!(!usable, "{why}");
            }
        }
    }

    #[test]
    fn a_list_and_base64_say_the_same(vector in proptest::collection::vec(-1.0f32..1.0, 1..64)) {
        prop_assert_eq!(read(&list(&vector), vector.len()), read(&packed(&vector), vector.len()));
    }
}
