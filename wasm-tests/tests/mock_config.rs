//! What the filter says to its own configuration, and how its roles start.

use dragoman_wasm_tests::mock::{Host, push, route};

/// Configures a plugin that must refuse; gives its error.
fn refusal(config: &str) -> String {
    let host = Host::new().config(config).build();
    assert!(!host.configure(), "{config} is accepted");
    let errors: Vec<String> = host.logs().into_iter().filter(|l| l.starts_with("error")).collect();
    assert_eq!(errors.len(), 1, "one clear line: {:?}", host.logs());
    errors[0].clone()
}

#[test]
fn a_configuration_that_is_not_json_is_refused_with_a_sentence() {
    for config in ["", "role: route", "{", "\u{0}"] {
        let error = refusal(config);
        assert!(error.contains("the plugin configuration is not valid"), "{error}");
        assert!(error.contains("dragoman render envoy"), "it says what to do: {error}");
    }
}

#[test]
fn an_unknown_role_or_field_is_refused_by_its_name() {
    assert!(refusal(r#"{"router":{}}"#).contains("router"));
    let typo = route().replace("\"max_tokens\"", "\"max_token\"");
    assert!(refusal(&typo).contains("max_token"), "{}", refusal(&typo));
}

#[test]
fn a_public_key_that_is_none_is_refused() {
    let error = refusal(r#"{"push":{"public_key":"AAAA"}}"#);
    assert!(error.contains("public_key must be the base64 of a 32-byte Ed25519 public key"), "{error}");
}

#[test]
fn a_token_cap_too_small_for_the_encoder_is_refused() {
    let error = refusal(&route().replace("\"max_tokens\":128", "\"max_tokens\":2"));
    assert!(error.contains("the token cap must be at least 3"), "{error}");
}

#[test]
fn each_role_asks_for_the_ticks_it_needs() {
    let host = Host::new().config(route()).configured();
    assert_eq!(host.tick_ms(), Some(500));
    assert_eq!(host.plugin(push()).tick_ms(), Some(100));
}
