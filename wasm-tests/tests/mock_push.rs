//! Snapshots from outside: what is taken, what is refused, and that the last good one stays.

use std::collections::HashMap;

use dragoman_core::snapshot::{MAX_BYTES, SCHEMA, SigningKey};
use dragoman_wasm_tests::mock::{CONTEXT, Host, Plan, key, other_key, push, route};
use ed25519_dalek::Signer;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

/// A deciding plugin and a push listener on one VM, `strong` favoured by snapshot 5.
fn served() -> (Host, Host) {
    let host = Host::new().config(route()).configured();
    let listener = host.plugin(push());
    assert_eq!(listener.push(&Plan::favouring(5, "strong").blob()).0, 200);
    (host, listener)
}

/// Pushes a blob that must be refused with this status and reason; the last good snapshot goes on deciding.
fn refused(blob: &[u8], status: u32, reason: &str) -> Value {
    let (host, listener) = served();
    let (got, answer) = listener.push(blob);
    assert_eq!((got, answer["error"]["reason"].as_str()), (status, Some(reason)), "{answer}");
    stays(&host);
    answer
}

fn stays(host: &Host) {
    assert_eq!(host.metric("dragoman_snapshots_refused"), 1);
    assert!(host.logs().iter().any(|l| l.starts_with("warn: push refused: ")), "{:?}", host.logs());
    assert_eq!(host.shared_data("dragoman.version"), Some(5u64.to_le_bytes().to_vec()));
    assert_eq!(host.ask("Hello").header("x-vsr-cluster").as_deref(), Some("strong"));
}

/// The same blob with its payload changed and signed again: what only a broken sidecar would send.
fn forged(blob: &[u8], signer: &SigningKey, change: impl FnOnce(&mut String, &mut Tensors)) -> Vec<u8> {
    let payload = &blob[72..];
    let (_, header) = SafeTensors::read_metadata(payload).unwrap();
    let mut meta = header.metadata().as_ref().unwrap()["dragoman"].clone();
    let read = SafeTensors::deserialize(payload).unwrap();
    let mut tensors: Tensors =
        read.tensors().into_iter().map(|(n, t)| (n, (t.shape().to_vec(), t.data().to_vec()))).collect();
    change(&mut meta, &mut tensors);
    let views = tensors
        .iter()
        .map(|(n, (shape, data))| (n, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let metadata = HashMap::from([("dragoman".to_owned(), meta)]);
    let payload = safetensors::serialize(views, Some(metadata)).unwrap();
    [b"DRAGOMAN".as_slice(), &signer.sign(&payload).to_bytes(), &payload].concat()
}

type Tensors = HashMap<String, (Vec<usize>, Vec<u8>)>;

fn next() -> Vec<u8> {
    Plan::favouring(6, "cheap").blob()
}

#[test]
fn a_newer_snapshot_decides_the_very_next_request_on_every_worker() {
    let (host, listener) = served();
    let second = Host::new().config(route()).beside(&host).seed(2).configured();
    for worker in [&host, &second] {
        assert_eq!(worker.ask("Hello").header("x-vsr-cluster").as_deref(), Some("strong"));
    }
    assert_eq!(listener.push(&next()), (200, serde_json::json!({"version": 6})));
    for worker in [&host, &second] {
        assert_eq!(worker.ask("Hello").header("x-vsr-cluster").as_deref(), Some("cheap"));
    }
}

#[test]
fn the_blob_is_read_once_per_version_and_only_its_version_per_request() {
    let (host, _) = served();
    let blobs = |host: &Host| {
        let stream = host.ask("Hello");
        let reads = |key: &str| stream.calls().iter().filter(|c| **c == format!("get shared {key}")).count();
        (reads("dragoman.version"), reads("dragoman.snapshot"))
    };
    assert_eq!(blobs(&host), (1, 1));
    assert_eq!(blobs(&host), (1, 0));
}

#[test]
fn get_tells_the_stored_version() {
    let (_, listener) = served();
    let mut stream = listener.stream();
    stream.request_headers(&[(":method", "GET"), (":path", "/"), (":authority", "push")], true);
    assert_eq!(stream.local_reply().unwrap().body, b"{\"version\":5}");
}

#[test]
fn a_push_without_a_body_is_refused() {
    let (_, listener) = served();
    let mut stream = listener.stream();
    stream.request_headers(&[(":method", "POST"), (":path", "/"), (":authority", "push")], true);
    assert_eq!(stream.local_reply().unwrap().status, 400);
}

#[test]
fn another_signature_is_refused() {
    let blob = Plan::favouring(6, "cheap").snapshot().encode(&other_key()).unwrap();
    refused(&blob, 403, "not_authentic");
}

#[test]
fn one_changed_bit_is_refused() {
    let mut blob = next();
    *blob.last_mut().unwrap() ^= 1;
    refused(&blob, 403, "not_authentic");
}

#[test]
fn a_truncated_snapshot_is_refused() {
    let blob = next();
    refused(&blob[..blob.len() - 4], 403, "not_authentic");
    refused(&blob[..60], 400, "not_a_snapshot");
    refused(b"", 400, "not_a_snapshot");
}

#[test]
fn an_older_or_equal_version_is_refused() {
    for version in [4, 5] {
        let answer = refused(&Plan::favouring(version, "cheap").blob(), 409, "not_newer");
        let message = answer["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(message, format!("snapshot {version} is not newer than 5, which is in use"));
    }
}

#[test]
fn a_number_that_is_not_finite_is_refused() {
    for name in ["theta", "factor", "length", "projection", "landmarks", "whitening"] {
        for bad in [f32::NAN, f32::INFINITY] {
            let blob = forged(&next(), &key(), |_, tensors| {
                tensors.get_mut(name).unwrap().1[..4].copy_from_slice(&bad.to_le_bytes());
            });
            let answer = refused(&blob, 400, "malformed");
            assert!(answer["error"]["message"].as_str().unwrap().contains("not finite"), "{answer}");
        }
    }
}

#[test]
fn another_schema_is_refused_by_its_number() {
    let ours = format!("\"schema\":{SCHEMA}");
    let blob = forged(&next(), &key(), |meta, _| *meta = meta.replace(&ours, "\"schema\":99"));
    let answer = refused(&blob, 400, "schema");
    assert!(answer["error"]["message"].as_str().unwrap().contains("schema 99"), "{answer}");
}

#[test]
fn wrong_shapes_and_missing_parts_are_refused() {
    let short = |_: &mut String, t: &mut Tensors| *t.get_mut("theta").unwrap() = (vec![1, 2], vec![0; 8]);
    refused(&forged(&next(), &key(), short), 400, "malformed");
    let missing = |_: &mut String, t: &mut Tensors| drop(t.remove("factor"));
    refused(&forged(&next(), &key(), missing), 400, "malformed");
    let narrow =
        |_: &mut String, t: &mut Tensors| *t.get_mut("projection").unwrap() = (vec![2, 3], vec![0; 24]);
    refused(&forged(&next(), &key(), narrow), 400, "malformed");
    let no_meta = |meta: &mut String, _: &mut Tensors| meta.clear();
    refused(&forged(&next(), &key(), no_meta), 400, "malformed");
}

#[test]
fn keyword_rules_that_do_not_compile_are_refused() {
    let mut plan = Plan::favouring(6, "cheap");
    plan.meta.routing.keywords = vec![dragoman_core::signals::KeywordRule::default()];
    refused(&plan.blob(), 400, "malformed");
}

#[test]
fn more_than_32_mib_are_refused_unread() {
    let (host, listener) = served();
    let mut stream = listener.stream();
    stream.request_headers(&[(":method", "POST"), (":path", "/"), (":authority", "push")], false);
    let piece = vec![0; MAX_BYTES / 2];
    stream.request_body(&piece, false);
    stream.request_body(&piece, false);
    stream.request_body(b"x", false);
    assert_eq!(stream.local_reply().unwrap().status, 413);
    assert!(!stream.calls().iter().any(|c| c == "get request body"), "{:?}", stream.calls());
    stays(&host);
}

#[test]
fn a_writer_in_between_makes_the_push_fail_instead_of_overwriting() {
    let (_, listener) = served();
    listener.race("dragoman.snapshot", &Plan::favouring(7, "coder").blob());
    let (status, answer) = listener.push(&next());
    assert_eq!((status, answer["error"]["reason"].as_str()), (503, Some("busy")));
}

#[test]
fn a_blob_for_another_encoder_is_scored_without_an_embedding_and_does_not_trap() {
    let mut plan = Plan::favouring(6, "coder");
    let (host, listener) = served();
    plan.version = 6;
    let blob = forged(&plan.blob(), &key(), |_, tensors| {
        let narrow = CONTEXT - 100;
        tensors.insert("projection".into(), (vec![1, narrow], vec![0; 4 * narrow]));
    });
    assert_eq!(listener.push(&blob).0, 200);
    assert_eq!(host.ask("Hello").header("x-vsr-cluster").as_deref(), Some("coder"));
}
