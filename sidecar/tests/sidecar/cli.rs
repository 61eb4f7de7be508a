//! `dragoman check` and `dragoman render envoy`.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::House;

fn dragoman(args: &[&str], config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dragoman")).args(args).arg("--config").arg(config).output().unwrap()
}

fn check(text: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dragoman.yaml");
    std::fs::write(&file, text).unwrap();
    let output = dragoman(&["check"], &file);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_good_configuration_is_counted() {
    let house = House::new();
    let (code, told) = check(&serde_yaml_ng::to_string(&house.document).unwrap());
    assert_eq!((code, told.as_str()), (Some(0), "ok: 2 models, 2 routes\n"));
}

#[test]
fn all_errors_are_told_together_with_their_paths() {
    let (code, told) = check(
        "default_model: big\nmodels:\n  small: {endpoint: ftp://x, price: {input: -1}}\nlearner: {ridge: 0}\ncolour: red\n",
    );
    assert_eq!(code, Some(1));
    for part in
        ["dragoman.yaml", "models.small.endpoint", "models.small.price.input", "learner.ridge", "colour"]
    {
        assert!(told.contains(part), "{part} in\n{told}");
    }
}

#[test]
fn a_key_that_stands_twice_and_a_syntax_error_have_file_and_line() {
    let (code, told) = check("models:\n  a: {}\n  a: {}\n");
    assert_eq!(code, Some(1));
    assert!(
        told.contains("dragoman.yaml") && told.contains("\"a\" stands twice") && told.contains("line 3"),
        "{told}"
    );
    let (code, told) = check("models: [\n");
    assert_eq!(code, Some(1));
    assert!(told.contains("line "), "{told}");
}

#[test]
fn a_missing_file_is_named() {
    let output = dragoman(&["check"], Path::new("/nowhere/dragoman.yaml"));
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("/nowhere/dragoman.yaml: cannot be read"), "{told}");
}

#[test]
fn envoys_configuration_carries_the_public_key_and_never_the_private_one() {
    let house = House::new();
    let file = house.dir.path().join("dragoman.yaml");
    std::fs::write(&file, serde_yaml_ng::to_string(&house.document).unwrap()).unwrap();
    let output = dragoman(&["render", "envoy"], &file);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let yaml = String::from_utf8(output.stdout).unwrap();
    let key = dragoman_sidecar::key::load_or_create(&house.dir.path().join("data")).unwrap();
    let public: String = dragoman_core::config::PublicKey(key.verifying_key()).into();
    let private = std::fs::read_to_string(house.dir.path().join("data/signing.key")).unwrap();
    assert!(yaml.contains(&public) && !yaml.contains(private.trim()));
    let out = house.dir.path().join("envoy.yaml");
    let status = dragoman(&["render", "envoy", "--out", out.to_str().unwrap()], &file).status;
    assert!(status.success());
    assert_eq!(std::fs::read_to_string(out).unwrap(), yaml);
}
