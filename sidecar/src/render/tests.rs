use std::path::Path;

use dragoman_core::snapshot::SigningKey;

use super::*;

const PLACEHOLDER: &str = "THE-PUBLIC-KEY-THAT-dragoman-render-envoy-WRITES";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy")
}

fn config(yaml: &str) -> Config {
    Config::from_value(&serde_yaml_ng::from_str(yaml).unwrap()).unwrap()
}

fn rendered(config: &Config) -> String {
    let key = PublicKey(SigningKey::from_bytes(&[1; 32]).verifying_key());
    let text: String = key.clone().into();
    let options = RenderOptions {
        wasm: "dragoman.wasm".into(),
        public_key: key,
        trusted_ca: "/etc/ssl/certs/ca-certificates.crt".into(),
        sidecar_token: None,
    };
    // Nobody's key: a copied file must not start with one whose private half is known.
    envoy(config, &options).replace(&text, PLACEHOLDER)
}

/// `UPDATE=1 cargo test -p dragoman-sidecar render` writes the file anew.
#[test]
fn the_ready_configuration_is_what_render_writes() {
    let yaml = rendered(&config(&std::fs::read_to_string(folder().join("dragoman.yaml")).unwrap()));
    let file = folder().join("embedded.yaml");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &yaml).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), yaml, "see the comment above this test");
}

#[test]
fn keys_are_named_and_never_written() {
    let yaml = rendered(&config(&std::fs::read_to_string(folder().join("dragoman.yaml")).unwrap()));
    assert!(yaml.contains("Bearer %ENVIRONMENT(OPENAI_API_KEY)%"));
    assert!(yaml.contains("%ENVIRONMENT(ANTHROPIC_API_KEY)%"));
}

#[test]
fn without_escalation_nothing_is_retried_and_no_attempt_is_read() {
    let model =
        "models: {a: {endpoint: 'http://127.0.0.1:1', price: {input: 1, output: 1}}}\ndefault_model: a\n";
    let with = rendered(&config(model));
    let without = rendered(&config(&format!("{model}escalation: {{enabled: false}}\n")));
    for part in ["retry_policy", "dragoman.rename", "x-vsr-fallback"] {
        assert!(with.contains(part) && !without.contains(part), "{part}");
    }
}

#[test]
fn embeddings_come_from_the_filter_unless_another_is_named() {
    let model =
        "models: {a: {endpoint: 'http://127.0.0.1:1', price: {input: 1, output: 1}}}\ndefault_model: a\n";
    assert!(!rendered(&config(model)).contains("\"remote\":"));
    let sidecar = rendered(&config(&format!("{model}encoder: {{mode: sidecar}}\n")));
    assert!(sidecar.contains(r#""remote":{"cluster":"dragoman_sidecar""#) && !sidecar.contains(ENCODER));
    let endpoint = "encoder: {mode: endpoint, endpoint: {url: 'https://api.example.com:8443', model: m, \
                    api_key: {env: KEY, header: api-key}}}\n";
    let endpoint = rendered(&config(&format!("{model}{endpoint}")));
    assert!(
        endpoint.contains(r#""remote":{"cluster":"dragoman_encoder","authority":"api.example.com:8443""#)
    );
    let cluster = endpoint.split("- name: dragoman_encoder").nth(1).unwrap();
    for part in [
        "address: api.example.com",
        "port_value: 8443",
        "key: api-key",
        "%ENVIRONMENT(KEY)%",
        "sni: api.example.com",
    ] {
        assert!(cluster.contains(part), "{part}");
    }
}

#[test]
fn a_sidecar_on_every_address_is_reached_on_this_host() {
    let yaml = rendered(&config(
        "models: {a: {endpoint: 'http://127.0.0.1:1', price: {input: 1, output: 1}}}\ndefault_model: a\n\
         listen: {sidecar: '0.0.0.0:8088'}\naccess: {token: {env: TOKEN}}\n",
    ));
    assert!(!yaml.contains("0.0.0.0"));
}

#[test]
fn with_a_live_folder_models_stand_in_the_watched_files_only() {
    let models = "models:\n  a: {endpoint: 'http://127.0.0.1:1', price: {}}\n  b: {endpoint: 'http://127.0.0.1:2', price: {}}\n\
                  default_model: a\nenvoy: {live: /live}\n";
    let both = config(models);
    let yaml = rendered(&both);
    assert!(yaml.contains("/live/clusters.json") && yaml.contains("/live/routes.json"));
    assert!(!yaml.contains("127.0.0.1:2") && !yaml.contains("x-vsr-fallback"));
    let options = RenderOptions::of(&both, PublicKey(SigningKey::from_bytes(&[1; 32]).verifying_key()));
    let [clusters, routes] = live::files(&both, &options, &[]);
    let document: serde_json::Value = serde_json::from_str(&clusters.text).unwrap();
    let b = document["resources"].as_array().unwrap().iter().find(|cluster| cluster["name"] == "b").unwrap();
    assert!(b.to_string().contains(r#"MODEL = \"\\034b\\034\""#), "{b}");
    assert!(routes.text.contains("x-vsr-fallback"));
    // A model that left keeps its cluster until it is trimmed, and only then is the version another.
    let one = config(&models.replace("  b: {endpoint: 'http://127.0.0.1:2', price: {}}\n", ""));
    let leaving = live::leaving(&clusters.text, &one);
    assert_eq!(live::files(&one, &options, &leaving)[0].version, clusters.version);
    assert_ne!(live::files(&one, &options, &[])[0].version, clusters.version);
}
