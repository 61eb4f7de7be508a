//! What is told when something is wrong.

use crate::{House, separable};

fn told(house: &House, args: &[&str]) -> String {
    let output = house.simulate(args);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "a report of nothing");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn everything_that_is_wrong_is_told_together() {
    let house = House::new();
    let args = ["--score", "/nowhere.jsonl", "--budget", "-1", "--poison", "2", "--seeds", "0"];
    let more = ["--policy", "best", "--set", "colour=red", "--encoder", "/nowhere"];
    let told = told(&house, &[&args[..], &more].concat());
    for part in [
        "/nowhere.jsonl: cannot be read",
        "--budget: must be dollars above 0",
        "--poison: must be",
        "--seeds: must be",
        "--set colour=red: write",
        "/nowhere/model.onnx: cannot be read",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
}

#[test]
fn an_unknown_policy_or_setting_is_told_with_the_known_ones() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &separable(8));
    let file = file.to_str().unwrap();
    assert!(told(&house, &[file, "--policy", "best"]).contains("policy.kind: must be one of matching"));
    assert!(told(&house, &[file, "--set", "learner.rigde=1"]).contains("learner.rigde: is not known"));
}

#[test]
fn a_faulty_line_is_told_with_its_file_and_number() {
    let house = House::new();
    let rows = format!("{}\n{{\"prompt\": 5}}\n", separable(1)[0]);
    let file = house.write("rows.jsonl", rows);
    let told = told(&house, &[file.to_str().unwrap()]);
    assert!(told.contains("rows.jsonl, line 2: is not a row"), "{told}");
}

#[test]
fn arms_and_steps_that_are_not_there_and_budgets_without_costs_are_told() {
    let house = House::new();
    let file = house.write("rows.jsonl", r#"{"prompt":"x","arms":{"a":{"reward":1},"b":{"reward":1}}}"#);
    let args = ["--add-arm", "c@0", "--remove-arm", "a@7", "--apgr", "a,a", "--budget", "1"];
    let args = [&args[..], &["--poison", "0.1", "--poison-arm", "d"]].concat();
    let told = told(&house, &[&[file.to_str().unwrap()], &args[..]].concat());
    for part in [
        "--add-arm: no arm is named \"c\"; the rows have a, b",
        "--poison-arm: no arm is named \"d\"",
        "step 7 is past the end",
        "--apgr: both are a",
        "--budget: 2 answers have no cost",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
}

#[test]
fn the_rows_to_score_must_be_named_and_left() {
    let house = House::new();
    assert!(told(&house, &[]).contains("name a file with --score"));
    let file = house.rows("rows.jsonl", &separable(8));
    assert!(told(&house, &[file.to_str().unwrap(), "--learn-first", "8"]).contains("leave none to score"));
}
