//! What the report says of a world whose answers are known.

use serde_json::{Value, json};

use crate::{House, number, separable};

#[test]
fn the_router_beats_random_and_the_best_fixed_arm_where_prompts_tell_the_arms_apart() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &separable(400));
    let report = house.report(&["--learn-first", "200", file.to_str().unwrap(), "--seeds", "3"]);
    let router = number(&report, "/reward/mean");
    let baseline = |name: &str| number(&report, &format!("/baselines/{name}/reward"));
    let best_fixed = baseline("house~1poet").max(baseline("house~1coder"));
    assert!(router > baseline("random") + 0.1, "{report}");
    assert!(router > best_fixed + 0.1, "{report}");
    assert!((baseline("oracle") - 0.9).abs() < 1e-9);
    assert!((number(&report, "/regret") - (0.9 - router)).abs() < 1e-9);
    assert_eq!((number(&report, "/steps"), number(&report, "/seeds")), (200.0, 3.0));
    assert!(report["reward"]["sd"].is_f64() && report["use"].is_null() && report["apgr"].is_null());
}

#[test]
fn the_same_seeds_give_the_same_report_whatever_the_number_of_threads() {
    let house = House::new();
    let learn = house.rows("learn.jsonl", &separable(60));
    let score = house.rows("score.jsonl", &separable(80));
    let run = |threads: &str| {
        let files = ["--learn", learn.to_str().unwrap(), "--score", score.to_str().unwrap()];
        house.report(&[&files[..], &["--poison", "0.2", "--delay", "5", "--threads", threads]].concat())
    };
    assert_eq!(run("1"), run("3"));
}

#[test]
fn the_baselines_keep_the_budget_and_the_report_its_shape() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &separable(200));
    let report = house.report(&[file.to_str().unwrap(), "--budget", "0.004", "--seeds", "1"]);
    for name in ["static_mix", "prompt_length", "oracle"] {
        let cost = number(&report, &format!("/baselines/{name}/cost"));
        assert!(cost <= 0.004 * 1.0001, "{name}: {cost}");
    }
    let used = number(&report, "/cost/mean") / 0.004;
    assert!((number(&report, "/use") - used).abs() < 1e-9);
    assert!(report["reward"]["sd"].is_null(), "one seed has no deviation");
    let shares: f64 = report["shares"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    assert_eq!(report["phases"].as_array().unwrap().len(), 1);
}

#[test]
fn a_budget_is_kept_although_the_dear_arms_are_named_first() {
    let house = House::new();
    let row = |i: usize| {
        let prompt = format!("question {i} about {}", ["sums", "cats", "rust", "tea"][i % 4]);
        json!({"prompt": prompt, "arms": {"a": {"reward": 0.95, "cost": 0.015}, "b": {"reward": 0.9, "cost": 0.0007},
                                          "c": {"reward": 0.8, "cost": 0.00003}}})
    };
    let file = house.rows("rows.jsonl", &(0..400).map(row).collect::<Vec<_>>());
    let rows = [file.to_str().unwrap(), "--learn-first", "200", "--budget", "0.0003", "--seeds", "4"];
    let report = house.report(&rows);
    assert!(number(&report, "/use") < 1.05, "{}", report["use"]);
    assert!(number(&report, "/shares/c") > 0.4, "{}", report["shares"]);
}

#[test]
fn drift_cuts_phases_and_changes_what_the_arms_give() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &separable(120));
    let events = json!([{"step": 40, "arm": "poet", "reward_cap": 0.1},
        {"at": 80, "model": "poet", "reward_cap": null, "price": 0.5}]);
    let drift = house.write("drift.json", events.to_string());
    let report = house.report(&[file.to_str().unwrap(), "--drift", drift.to_str().unwrap()]);
    assert_eq!(report["phases"].as_array().unwrap().len(), 3);
    let cost = number(&report, "/baselines/house~1poet/cost");
    assert!((cost - 0.001 * (80.0 + 40.0 * 0.5) / 120.0).abs() < 1e-9, "{cost}");
    let middle = number(&report, "/phases/1/reward");
    assert!(middle < number(&report, "/phases/2/reward"), "{report}");
}

#[test]
fn an_arm_that_is_added_or_removed_is_used_only_while_it_is_there() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &separable(400));
    let file = file.to_str().unwrap();
    let report = house.report(&[file, "--add-arm", "coder@100", "--seeds", "2"]);
    assert!(number(&report, "/phases/0/cost") < 0.0011, "the poet alone");
    assert_eq!(report["phases"][0]["shares"], json!({"house/poet": 1.0, "house/coder": 0.0}));
    assert_eq!(report["added"][0]["arm"], "house/coder");
    let report = house.report(&[file, "--remove-arm", "poet@100", "--seeds", "2"]);
    assert!(number(&report, "/phases/1/cost") > 0.0099, "the coder alone");
}

#[test]
fn apgr_is_high_where_the_gain_can_be_seen_and_needs_no_costs() {
    let house = House::new();
    let mut rows = separable(400);
    for row in &mut rows {
        for answer in row["arms"].as_object_mut().unwrap().values_mut() {
            answer["cost"] = Value::Null;
        }
    }
    let file = house.rows("rows.jsonl", &rows);
    let report = house.report(&[
        file.to_str().unwrap(),
        "--learn-first",
        "200",
        "--apgr",
        "poet,coder",
        "--seeds",
        "2",
    ]);
    assert_eq!(report["policy"], "uniform", "unless another is named");
    assert!(number(&report, "/apgr") > 0.8, "{report}");
    assert!(number(&report, "/cpt50") < number(&report, "/cpt80"));
    assert!(number(&report, "/baselines/prompt_length/apgr").is_finite());
    assert!(report["cost"]["mean"].is_null());
}

#[test]
fn without_json_there_is_a_table_and_with_plot_a_picture() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &separable(60));
    let plot = house.dir.path().join("curves.png");
    let output = house.simulate(&[file.to_str().unwrap(), "--plot", plot.to_str().unwrap()]);
    let told = String::from_utf8(output.stdout).unwrap();
    for part in ["no budget", "house/poet", "static_mix", "oracle", "shares"] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert!(std::fs::read(plot).unwrap().starts_with(b"\x89PNG"));
}
