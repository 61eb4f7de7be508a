use super::*;

fn policy(kind: PolicyKind) -> PolicyParams {
    PolicyParams { kind, alpha: 0.3, epsilon: 0.05, cost_weight: 10.0, budget: None }
}

fn record(utilities: &[(&str, f32)], route: Option<&str>) -> ReplayRecord {
    let candidate = |(route, utility): &(&str, f32)| CandidateRecord {
        route: (*route).into(),
        reward: utility - 0.1,
        bonus: 0.2,
        cost: 0.01,
        utility: *utility,
        propensity: 0.025,
    };
    ReplayRecord {
        candidates: utilities.iter().map(candidate).collect(),
        route: route.map(str::to_owned),
        model: "m".into(),
        ..crate::sample::record(200, 0.5)
    }
}

fn told(record: &ReplayRecord) -> String {
    sentences(record, &policy(PolicyKind::Linucb)).join(" ")
}

#[test]
fn the_best_is_named_with_its_sum_and_the_next() {
    let told = told(&record(&[("d/a", 0.5), ("d/b", 0.3)], Some("d/a")));
    assert_eq!(
        told,
        "The decision `d` held and gave 2 candidates. `d/a` had the highest utility, 0.500 = 0.400 predicted reward \
         + 0.200 exploration bonus − 0.100 for a predicted cost of $0.010000; the next was `d/b` with 0.300. \
         The parameters were those of snapshot 3."
    );
}

#[test]
fn a_sum_without_a_bonus_does_not_speak_of_one() {
    let mut record = record(&[("d/a", 0.5)], Some("d/a"));
    (record.candidates[0].reward, record.candidates[0].bonus) = (0.6, 0.0);
    let told = sentences(&record, &policy(PolicyKind::Matching)).join(" ");
    assert!(told.contains("0.500 = 0.600 predicted reward − 0.100 for a predicted cost"), "{told}");
}

#[test]
fn chance_is_called_chance() {
    let explored = ReplayRecord { explored: true, ..record(&[("d/a", 0.5), ("d/b", 0.3)], Some("d/b")) };
    let told = told(&explored);
    assert!(told.contains("Chance took `d/b`") && told.contains("2.5 %") && told.contains("`d/a` had 0.500"));
}

#[test]
fn the_default_route_has_its_reason() {
    let no_json =
        ReplayRecord { default_reason: Some("not_json".into()), decision: None, ..record(&[], None) };
    assert!(told(&no_json).contains("default model `m`, because its body was not JSON"));
    assert!(told(&record(&[("d/a", -0.5)], None)).contains("no candidate had a utility above 0"));
    let own = record(&[("d/a", -0.5), ("d/b", -0.3)], Some("d/a"));
    assert!(told(&own).contains("No candidate had a utility above 0, so the default model's `d/a`"));
}

#[test]
fn a_static_policy_says_so() {
    let record = record(&[("d/a", 0.1), ("d/b", 0.9)], Some("d/a"));
    let told = sentences(&record, &policy(PolicyKind::Static)).join(" ");
    assert!(
        told.contains("`d/a` has the highest score of the candidates, and the policy is static"),
        "{told}"
    );
}

#[test]
fn a_decision_explains_itself_by_its_own_policy() {
    let document = serde_json::json!({
        "models": {"a": {"endpoint": "http://h", "price": {}}}, "default_model": "a",
        "decisions": [{"name": "d", "models": ["a"], "policy": {"kind": "static"}}],
    });
    let routing = dragoman_core::config::Config::from_value(&document).unwrap().routing;
    let told = |decision: &str| {
        let record = ReplayRecord { decision: Some(decision.into()), ..record(&[("d/a", 0.1)], Some("d/a")) };
        explain(&record, &routing)["sentences"].to_string()
    };
    assert!(told("d").contains("the policy is static"), "{}", told("d"));
    assert!(told("gone").contains("was the only candidate"), "{}", told("gone"));
}

#[test]
fn a_uniform_policy_says_so_whichever_route_it_took() {
    for (route, explored) in [("d/a", true), ("d/b", false)] {
        let record = ReplayRecord { explored, ..record(&[("d/a", 0.1), ("d/b", 0.9)], Some(route)) };
        let told = sentences(&record, &policy(PolicyKind::Uniform)).join(" ");
        let expected =
            format!("Chance took `{route}`: the policy is uniform and takes every candidate alike");
        assert!(told.contains(&expected), "{told}");
    }
}
