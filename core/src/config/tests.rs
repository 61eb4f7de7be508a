use serde_json::json;

use super::*;

mod schema;

fn document() -> Value {
    json!({
        "models": {
            "small": {"endpoint": "http://127.0.0.1:9101", "price": {"input": 0.15, "output": 0.6}},
            "large": {"endpoint": "https://api.example.com", "model": "big-1", "price": {"input": 3, "output": 12},
                      "api_key": {"env": "BIG_KEY"}},
        },
        "default_model": "small",
    })
}

fn errors(document: &Value) -> Vec<String> {
    let ConfigErrors(list) = Config::from_value(document).unwrap_err();
    list.iter().map(|e| format!("{}: {}", e.path, e.message)).collect()
}

#[test]
fn a_short_document_is_enough() {
    let config = Config::from_value(&document()).unwrap();
    assert_eq!(config.listen.gateway.port(), 10000);
    assert_eq!(config.routing.default_model, 0);
    let routes: Vec<&str> = config.routing.routes.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(routes, ["default/small", "default/large"]);
    assert_eq!(config.routing.models[1].upstream_model, "big-1");
    assert_eq!((config.upstreams[1].port, config.upstreams[1].scheme), (443, Scheme::Https));
    assert_eq!(config.upstreams[1].api_key.as_ref().unwrap().prefix, "Bearer ");
}

#[test]
fn a_budget_replaces_the_weight_of_a_dollar() {
    let mut document = document();
    document["policy"] = json!({"budget": 0.001});
    assert_eq!(Config::from_value(&document).unwrap().routing.policy.budget, Some(0.001));
    document["policy"] = json!({"budget": 0.001, "cost_weight": 5.0});
    assert!(errors(&document)[0].starts_with("policy.cost_weight: cannot stand beside policy.budget"));
    document["policy"] = json!({"budget": 0.0});
    assert!(errors(&document)[0].starts_with("policy.budget: must be between"));
}

#[test]
fn the_policy_and_the_learner_have_their_defaults() {
    let config = Config::from_value(&document()).unwrap();
    let (policy, learner) = (config.routing.policy, config.learner);
    assert_eq!((policy.kind, policy.budget), (PolicyKind::Matching, None));
    assert_eq!((learner.dimensions, learner.whole_context), (64, false));
    let mut document = document();
    document["policy"] = json!({"kind": "uniform"});
    document["learner"] = json!({"features": "whole", "sharing": 0.0});
    let config = Config::from_value(&document).unwrap();
    assert_eq!(config.routing.policy.kind, PolicyKind::Uniform);
    assert_eq!((config.learner.whole_context, config.learner.sharing), (true, 0.0));
}

#[test]
fn all_errors_are_reported_at_once_each_with_its_path() {
    let document = json!({
        "models": {"small": {"endpoint": "ftp://x", "price": {"input": -1}, "modle": "x"}},
        "default_model": "smal",
        "listen": {"gateway": "nowhere"},
        "policy": {"alpha": "high", "kind": "magic"},
        "signals": {"keywords": [{"name": "k", "any": []}]},
        "decisions": [{"name": "d", "models": ["small", "none"], "when": [{"keyword": "unknown"}, {}]}],
        "polcy": {},
    });
    let errors = errors(&document);
    for expected in [
        "models.small.endpoint: must start with http:// or https://, not \"ftp://x\"",
        "models.small.price.input: must be between 0 and 100000, not -1",
        "models.small.modle: is not known here",
        "default_model: \"smal\" is not among the models (small)",
        "listen.gateway: must be an address and a port",
        "policy.alpha: must be a number",
        "policy.kind: must be one of matching, linucb, static, uniform, not \"magic\"",
        "signals.keywords[0].any: must list at least one word or phrase",
        "decisions[0].models: \"none\" is not among the models",
        "decisions[0].when[0].keyword: \"unknown\" is not the name of a rule",
        "decisions[0].when[1]: a condition has exactly one of keyword, embedding, signal",
        "polcy: is not known here",
    ] {
        assert!(errors.iter().any(|e| e.starts_with(expected)), "no \"{expected}\" in {errors:#?}");
    }
}

#[test]
fn a_condition_is_one_thing_in_its_place() {
    let mut document = document();
    let deep = (0..9).fold(json!({"mode": "plan"}), |inner, _| json!({"not": inner}));
    document["signals"] = json!({"embeddings": [{"name": "e", "candidates": ["x"]}]});
    document["decisions"] = json!([{"name": "d", "models": ["small"], "when": [
        {"embedding": "f"}, {"domain": "maths"}, {"mode": "coding", "above": 0.5}, {"all": [{"language": "de"}, {}]},
        {"any": []}, {"keyword": "k", "signal": "code"}, deep, {"feedback": "bad"}, {"complexity": 3}, {"kewyord": "k"},
    ]}]);
    let errors = errors(&document);
    for expected in [
        "decisions[0].when[0].embedding: \"f\" is not the name of a rule of signals.embeddings",
        "decisions[0].when[1].domain: must be one of business, law,",
        "decisions[0].when[2].above: only stands beside",
        "decisions[0].when[3].all[0].language: must be one of en,",
        "decisions[0].when[3].all[1]: a condition has exactly one of",
        "decisions[0].when[4].any: must list at least one",
        "decisions[0].when[5]: a condition has exactly one of",
        "decisions[0].when[6].not.not.not.not.not.not.not.not: is nested more than 8 deep",
        "decisions[0].when[7].feedback: must be one of none, satisfied,",
        "decisions[0].when[8].complexity: must be a text",
        "decisions[0].when[9].kewyord: is not known here",
    ] {
        assert!(errors.iter().any(|e| e.starts_with(expected)), "no \"{expected}\" in {errors:#?}");
    }
}

#[test]
fn a_decision_may_overrule_policy_budget_and_stickiness() {
    let with = |policy: Value, own: Value| {
        let mut document = document();
        document["policy"] = policy;
        document["decisions"] = json!([{"name": "d", "models": ["small", "large"]}]);
        document["decisions"][0].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        document
    };
    let read = |own: Value| Config::from_value(&with(json!({"alpha": 0.5}), own)).unwrap().routing;
    let routing =
        read(json!({"policy": {"kind": "static", "epsilon": 0.2}, "budget": 0.01, "scores": {"large": 0.4}}));
    let policy = routing.policy_of(&routing.decisions[0]);
    assert_eq!((policy.kind, policy.alpha, policy.epsilon), (PolicyKind::Static, 0.5, 0.2));
    assert_eq!((policy.budget, routing.policy.budget), (Some(0.01), None));
    assert_eq!((routing.decisions[0].score("large"), routing.decisions[0].score("small")), (0.4, 1.0));
    for (sticky, expected) in [
        (json!(true), StickyOverride::On),
        (json!(false), StickyOverride::Off),
        (json!({"margin": 0.25}), StickyOverride::Margin(0.25)),
    ] {
        assert_eq!(read(json!({"sticky": sticky})).decisions[0].sticky, Some(expected));
    }
    let refused = |policy: Value, own: Value| errors(&with(policy, own)).join("\n");
    let beside = refused(json!({"budget": 0.1}), json!({"policy": {"cost_weight": 1.0}}));
    assert!(beside.contains("decisions[0].policy.cost_weight: cannot stand beside a budget"), "{beside}");
    let scores = refused(json!({}), json!({"scores": {"large": 0.2, "other": 0.5}, "sticky": "yes"}));
    assert!(scores.contains("decisions[0].scores.large: must be a number between 0.3 and 1"), "{scores}");
    assert!(scores.contains("\"other\" is not among the models"), "{scores}");
    assert!(scores.contains("decisions[0].sticky: must be true, false or {margin: NUMBER}"), "{scores}");
}

#[test]
fn rules_of_signals_are_checked_with_their_paths() {
    let mut document = document();
    document["signals"] = json!({
        "keywords": [{"name": "k", "all": ["x"], "weights": {"y": 0.5, "x": 2}}, {"name": "k", "any": ["z"]}],
        "embeddings": [{"name": "e", "candidates": [], "threshold": 2, "aggregation_method": "min"}],
    });
    let errors = errors(&document);
    for expected in [
        "signals.keywords[0].weights.x: must be a number between 0 and 1",
        "signals.keywords: \"k\" is used twice",
        "signals.keywords: keyword rule `k` weighs `y`",
        "signals.embeddings[0].candidates: must list at least one text",
        "signals.embeddings[0].threshold: must be between",
        "signals.embeddings[0].aggregation_method: must be one of max, mean",
    ] {
        assert!(errors.iter().any(|e| e.starts_with(expected)), "no \"{expected}\" in {errors:#?}");
    }
}

#[test]
fn a_document_that_is_no_mapping_is_refused_in_a_sentence() {
    assert!(errors(&json!([1]))[0].starts_with("the document: must be a mapping, not a list"));
}

#[test]
fn an_endpoint_with_a_path_is_refused_because_the_request_keeps_its_own() {
    let mut document = document();
    document["models"]["small"]["endpoint"] = json!("https://host/openai");
    assert!(errors(&document)[0].contains("scheme, host and port only"));
}

#[test]
fn the_folder_that_envoy_and_the_sidecar_share_starts_from_the_root() {
    let mut document = document();
    document["envoy"] = json!({"live": "live"});
    assert!(errors(&document)[0].starts_with("envoy.live: must be a path from the root"));
}

#[test]
fn an_encoder_is_local_unless_said_otherwise() {
    let read = |encoder: Value| {
        let mut document = document();
        document["encoder"] = encoder;
        document
    };
    let encoder = Config::from_value(&document()).unwrap().encoder;
    assert_eq!((encoder.mode, encoder.max_tokens, encoder.cache), (EncoderMode::Local, 128, 1024));
    // Only where no other stream waits for it may it read more.
    assert!(errors(&read(json!({"max_tokens": 8192})))[0].contains("between 8 and 512"));
    let large = Config::from_value(&read(json!({"mode": "sidecar", "max_tokens": 8192}))).unwrap().encoder;
    assert_eq!((large.mode, large.max_tokens), (EncoderMode::Sidecar, 8192));
    let asked = read(json!({"mode": "endpoint", "endpoint": {
        "url": "https://api.example.com", "model": "embed-3", "api_key": {"env": "KEY"},
    }}));
    let EncoderMode::Endpoint(endpoint) = Config::from_value(&asked).unwrap().encoder.mode else { panic!() };
    assert_eq!((endpoint.home.port, endpoint.model.as_str()), (443, "embed-3"));
    assert_eq!(endpoint.home.api_key.unwrap().env, "KEY");
}

#[test]
fn a_judge_is_asked_only_where_a_share_and_an_endpoint_say_so() {
    let read = |judge: Value| {
        let mut document = document();
        document["judge"] = judge;
        document
    };
    let endpoint = json!({"url": "http://127.0.0.1:9100", "model": "wise"});
    let config =
        Config::from_value(&read(json!({"share": 0.1, "endpoint": endpoint, "max_chars": 500}))).unwrap();
    let judge = config.judge.unwrap();
    assert_eq!((judge.home.port, judge.model.as_str(), judge.concurrency), (9100, "wise", 2));
    assert_eq!(config.routing.sampling, Sampling { share: 0.1, max_chars: 500 });
    assert_eq!(Config::from_value(&read(json!({"endpoint": endpoint}))).unwrap().judge, None);
    assert_eq!(Config::from_value(&document()).unwrap().routing.sampling.share, 0.0);
    assert!(errors(&read(json!({"share": 0.1})))[0].starts_with("judge.endpoint: is missing"));
    let tls = json!({"share": 0.1, "endpoint": {"url": "https://api.example.com", "model": "wise"}});
    assert_eq!(Config::from_value(&read(tls)).unwrap().judge.unwrap().home.url(), "https://api.example.com");
}

#[test]
fn the_constants_of_the_reward_are_configuration() {
    let mut document = document();
    document["reward"] = json!({"wrong_answer": -0.8, "explicit_weight": 2, "window_minutes": 0.05});
    let reward = Config::from_value(&document).unwrap().reward;
    let wanted =
        RewardConfig { wrong_answer: -0.8, explicit_weight: 2.0, window_minutes: 0.05, ..Default::default() };
    assert_eq!((reward, reward.window_ms()), (wanted, 3000));
    document["reward"] = json!({"satisfied": 2});
    assert!(errors(&document)[0].starts_with("reward.satisfied: must be between -1 and 1"));
}

#[test]
fn an_authority_has_its_port_where_the_scheme_does_not_say_it() {
    for (url, authority) in [
        ("http://h", "h"),
        ("https://h:443", "h"),
        ("http://h:443", "h:443"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://[::1]", "[::1]"),
    ] {
        let mut document = document();
        document["models"]["small"]["endpoint"] = json!(url);
        assert_eq!(Config::from_value(&document).unwrap().upstreams[0].authority(), authority, "{url}");
    }
}

#[test]
fn an_endpoint_without_its_mode_and_the_mode_without_its_endpoint_are_refused() {
    let mut document = document();
    document["encoder"] = json!({"mode": "sidecar", "endpoint": {"url": "http://h", "model": "m"}});
    assert!(errors(&document)[0].starts_with("encoder.endpoint: is only asked with encoder.mode: endpoint"));
    document["encoder"] = json!({"mode": "endpoint"});
    let errors = errors(&document);
    assert!(errors[0].starts_with("encoder.endpoint.url: is missing"), "{errors:?}");
    assert!(errors[1].starts_with("encoder.endpoint.model: is missing"), "{errors:?}");
}

#[test]
fn higher_priorities_come_first_and_equal_ones_keep_their_order() {
    let mut document = document();
    document["decisions"] = json!([
        {"name": "a", "models": ["small"]},
        {"name": "b", "priority": 10, "models": ["small", "large"]},
        {"name": "c", "models": ["large"]},
    ]);
    let routing = Config::from_value(&document).unwrap().routing;
    let names: Vec<&str> = routing.decisions.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(routing.decisions[0].routes, [0, 1]);
    assert!(
        routing
            .routes
            .iter()
            .all(|r| routing.decisions[r.decision].name == r.name.split('/').next().unwrap())
    );
}

#[test]
fn a_route_names_its_decision_and_its_model_only_once() {
    let mut document = document();
    document["decisions"] = json!([{"name": "a", "models": ["small", "small"]}]);
    assert!(errors(&document)[0].contains("twice"));
}

#[test]
fn plugin_configuration_survives_json_and_refuses_a_bad_key() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
    let config =
        FilterConfig::Push { public_key: PublicKey(key), sidecar: "dragoman".into(), sidecar_token: None };
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<FilterConfig>(&json).unwrap(), config);
    let error = serde_json::from_str::<FilterConfig>(r#"{"push":{"public_key":"abc"}}"#).unwrap_err();
    assert!(error.to_string().contains("32-byte Ed25519"), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_yaml_like_document_is_read_or_refused_without_a_panic(
        key in "(models|default_model|listen|policy|signals|decisions|reward|judge|learner|requests|replay|encoder|envoy|tls|reload|guard|alerts|optimizer|schedule|retention|sticky|access|privacy|x)",
        text in ".{0,12}", number in -1e9f64..1e9, shape in 0u8..5,
    ) {
        let value = match shape {
            0 => json!(text),
            1 => json!(number),
            2 => json!([text, number, {"name": text}]),
            3 => json!({ &text: {"endpoint": text, "price": number}, "kind": text, "keywords": [number] }),
            _ => json!(null),
        };
        let mut document = document();
        document[&key] = value;
        let _ = Config::from_value(&document);
    }
}

#[test]
fn a_decision_cannot_smuggle_a_line_break_into_a_header() {
    let mut document = document();
    document["decisions"] = json!([{"name": "a\r\nx-evil: 1", "category": "b\nc", "models": ["small"]}]);
    let errors = errors(&document);
    assert!(
        errors.iter().any(|e| e.starts_with("decisions[0].name: must not have line breaks")),
        "{errors:?}"
    );
    assert!(errors.iter().any(|e| e.starts_with("decisions[0].category: must not have line breaks")));
}

#[test]
fn schedules_are_cron_or_off_and_say_what_is_wrong_with_them() {
    let mut document = document();
    document["schedule"] = json!({"batch": "off", "retrain": false, "report": "30 7 * * 5"});
    let schedule = Config::from_value(&document).unwrap().schedule;
    assert_eq!((schedule.batch, schedule.retrain), (None, None));
    assert_eq!(schedule.report.unwrap().text(), "30 7 * * 5");
    document["schedule"] = json!({"batch": "soon", "retrain": "0 25 * * *"});
    document["optimizer"] = json!({"score": {"low": 0.9, "high": 0.4}});
    assert_eq!(
        errors(&document),
        [
            "schedule.batch: \"soon\" must have five fields: minute, hour, day of the month, month, day of the week; or off",
            "schedule.retrain: \"0 25 * * *\" has \"25\" as its hour, which must be *, numbers from 0 to 23, ranges or steps; or off",
            "optimizer.score.low: must not be above high, which is 0.4",
        ]
    );
}

#[test]
fn the_stages_of_a_rollout_rise_to_everything() {
    let read = |guard: Value| {
        let mut document = document();
        document["guard"] = guard;
        document
    };
    let guard = Config::from_value(&read(json!({"stages": [5, 100]}))).unwrap().guard;
    assert_eq!((guard.stages, guard.canary, guard.widen), (vec![5, 100], CanaryMode::Changes, Widen::Better));
    for stages in [json!([10, 50]), json!([50, 10, 100]), json!([100]), json!([])] {
        assert!(errors(&read(json!({"stages": stages})))[0].starts_with("guard.stages: must rise"));
    }
    assert!(errors(&read(json!({"stages": [10, 200]})))[0].starts_with("guard.stages[1]: must be a whole"));
    assert!(
        errors(&read(json!({"limits": {"error": 1}})))[0].starts_with("guard.limits.error: is not known")
    );
}

#[test]
fn the_audit_stays_at_least_as_long_as_the_records_that_it_explains() {
    let audit_days = |retention: Value| {
        let mut document = document();
        document["retention"] = retention;
        Config::from_value(&document).unwrap().retention.audit_days
    };
    assert_eq!(audit_days(json!({})), 365);
    assert_eq!(audit_days(json!({"days": 30, "audit_days": 90})), 90);
    assert_eq!(audit_days(json!({"days": 400})), 400);
    assert_eq!([json!({"days": 0}), json!({"audit_days": 0})].map(audit_days), [0, 0], "for ever");
}

#[test]
fn a_webhook_that_cannot_be_posted_to_is_refused() {
    let mut document = document();
    document["alerts"] = json!({"webhook": "ftp://example.com/hook"});
    assert!(errors(&document)[0].starts_with("alerts.webhook: must start with http:// or https://"));
    document["alerts"] = json!({"webhook": "https://example.com/hook"});
    assert!(Config::from_value(&document).is_ok());
}
