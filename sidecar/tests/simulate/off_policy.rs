//! The log of a run, judged for other policies, against what these would have earned.

use serde_json::{Value, json};

use crate::{House, number, separable};

/// Answers of many shades: as `separable`, but a prompt tells only half of what an arm is worth.
fn shaded(n: usize) -> Vec<Value> {
    let mut rows = separable(n);
    for (i, row) in rows.iter_mut().enumerate() {
        for (a, answer) in row["arms"].as_object_mut().unwrap().values_mut().enumerate() {
            let known = number(answer, "/reward");
            answer["reward"] = json!((known + ((i * 7 + a * 5) % 11) as f64 / 10.0) / 2.0);
        }
    }
    rows
}

#[test]
fn the_intervals_hold_the_truth_in_nine_of_ten_seeds_whatever_explores() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &shaded(240));
    // A log that explores one row in twenty knows little, and its intervals say so.
    for (explore, widest) in [(["--policy", "uniform"], 0.5), (["--set", "policy.epsilon=0.05"], 1.0)] {
        let args = [file.to_str().unwrap(), "--learn-first", "80", "--off-policy", "--seeds", "40"];
        let args = [&args[..], &["--publish-every", "20"]].concat();
        let report = house.report(&[&args[..], &explore].concat());
        let checks = report["off_policy"].as_array().unwrap();
        let of = |name: &str| checks.iter().filter(|c| c["target"] == name).count();
        assert_eq!(["uniform", "house/poet", "house/coder", "snapshot"].map(of), [3; 4], "{report}");
        for check in checks {
            assert!(number(check, "/coverage") >= 0.9, "{explore:?}: {check}");
            assert!(number(check, "/width") <= widest, "{explore:?}: {check}");
        }
    }
}

#[test]
fn the_truth_of_a_fixed_arm_is_its_baseline_and_nothing_is_judged_unasked() {
    let house = House::new();
    let file = house.rows("rows.jsonl", &shaded(80));
    let args = [file.to_str().unwrap(), "--add-arm", "coder@30", "--seeds", "2"];
    assert!(house.report(&args)["off_policy"].is_null());
    let report = house.report(&[&args[..], &["--off-policy"]].concat());
    for (index, arm) in ["house~1poet", "house~1coder"].iter().enumerate() {
        let truth = number(&report, &format!("/off_policy/{}/truth", 3 * (index + 1)));
        assert!((truth - number(&report, &format!("/baselines/{arm}/reward"))).abs() < 1e-9, "{report}");
    }
}
