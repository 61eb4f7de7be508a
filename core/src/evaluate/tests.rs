use proptest::prelude::*;

use super::*;

const RANGE: Range = Range { low: 0.0, high: 1.0 };

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn the_estimators_are_those_of_the_papers() {
    // Weights 2, 0.5 and 0; rewards 1, 0.4 and 0.8.
    let decisions = [
        (0, [0.4, 0.6], 1.0, [0.8, 0.2], [0.9, 0.5]),
        (1, [0.2, 0.8], 0.4, [0.6, 0.4], [0.7, 0.3]),
        (0, [0.5, 0.5], 0.8, [0.0, 1.0], [0.6, 0.2]),
    ];
    let logged = decisions.iter().map(|(chosen, p, reward, pi, q)| Logged {
        chosen: *chosen,
        propensity: p,
        reward: *reward,
        target: pi,
        predicted: q,
    });
    let e = Evaluation::of(RANGE, logged).unwrap();
    assert!(close(e.logged.value, 2.2 / 3.0));
    assert!(close(e.ips.value, (2.0 * 1.0 + 0.5 * 0.4) / 3.0));
    assert!(close(e.snips.value, (2.0 * 1.0 + 0.5 * 0.4) / 2.5));
    // Direct part: 0.82, 0.54, 0.2; correction: 2·0.1, 0.5·0.1, 0.
    assert!(close(e.dr.value, (0.82 + 0.54 + 0.2 + 0.2 + 0.05) / 3.0));
    // (w − 1)·(r − q̂): 0.1, −0.05, −0.2; Σ(π − p)q̂: 0.16, 0.16, −0.2.
    assert!(close(e.difference.value, (0.1 - 0.05 - 0.2 + 0.16 + 0.16 - 0.2) / 3.0));
    assert!(close(e.effective, 2.5 * 2.5 / 4.25));
    assert!(close(e.largest_weight, 2.0) && close(e.possible_weight, 3.0));
}

#[test]
fn the_logging_policy_itself_is_worth_the_mean_and_differs_by_exactly_nothing() {
    let rewards: Vec<f64> = (0..200).map(|i| f64::from(i % 7) / 7.0).collect();
    let logged = rewards.iter().map(|reward| Logged {
        chosen: 1,
        propensity: &[0.25, 0.75],
        reward: *reward,
        target: &[0.25, 0.75],
        predicted: &[0.3, 0.9],
    });
    let e = Evaluation::of(RANGE, logged).unwrap();
    for estimate in [e.ips, e.snips] {
        assert!(close(estimate.value, e.logged.value));
    }
    assert_eq!(e.difference, Estimate { value: 0.0, low: 0.0, high: 0.0 });
    assert_eq!((e.verdict(), e.warnings()), (Verdict::Undecided, vec![]));
}

#[test]
fn what_the_log_never_tried_is_told_and_may_be_worth_anything() {
    let logged = Logged {
        chosen: 0,
        propensity: &[1.0, 0.0],
        reward: 0.5,
        target: &[0.7, 0.3],
        predicted: &[0.5, 0.9],
    };
    let e = Evaluation::of(RANGE, std::iter::repeat_n(logged, 10_000)).unwrap();
    assert!(close(e.unsupported, 0.3));
    for estimate in [e.ips, e.snips, e.dr] {
        assert!((estimate.low - 0.35).abs() < 1e-3 && (estimate.high - 0.65).abs() < 1e-3, "{estimate:?}");
    }
    assert!(
        e.warnings()[0].starts_with("30.0 % of the target's choices were never open"),
        "{:?}",
        e.warnings()
    );
}

#[test]
fn a_handful_of_effective_samples_is_told() {
    let logged = (0..1000).map(|i| Logged {
        chosen: usize::from(i % 250 == 0),
        propensity: &[0.996, 0.004],
        reward: 0.5,
        target: &[0.0, 1.0],
        predicted: &[0.5, 0.5],
    });
    let e = Evaluation::of(RANGE, logged).unwrap();
    assert!(close(e.effective, 4.0));
    assert!(e.warnings()[0].contains("only 4 effective samples (largest weight 250)"), "{:?}", e.warnings());
    assert_eq!(e.verdict(), Verdict::Undecided);
}

#[test]
fn what_is_no_decision_is_refused() {
    let good = Logged { chosen: 0, propensity: &[1.0], reward: 0.5, target: &[1.0], predicted: &[0.5] };
    let mut evaluation = Evaluation::new(RANGE);
    for bad in [
        Logged { chosen: 1, ..good },
        Logged { propensity: &[0.0], ..good },
        Logged { propensity: &[1.5], ..good },
        Logged { reward: f64::NAN, ..good },
        Logged { target: &[], ..good },
        Logged { predicted: &[f64::INFINITY], ..good },
    ] {
        assert!(!evaluation.add(&bad), "{bad:?}");
    }
    assert_eq!(evaluation.finish(), None);
    assert!(evaluation.add(&good));
}

/// (chosen, p, reward, π, q̂) among three candidates, each with some chance of being taken.
type Decision = (usize, [f64; 3], f64, [f64; 3], [f64; 3]);

fn decisions() -> impl Strategy<Value = Vec<Decision>> {
    let shares = || [0.01f64..1.0, 0.01f64..1.0, 0.01f64..1.0];
    let distribution = |s: [f64; 3]| s.map(|v| v / s.iter().sum::<f64>());
    let one = (0usize..3, shares(), 0f64..1.0, shares(), [0f64..1.0, 0f64..1.0, 0f64..1.0]);
    prop::collection::vec(
        one.prop_map(move |(c, p, r, pi, q)| (c, distribution(p), r, distribution(pi), q)),
        1..80,
    )
}

proptest! {
    #[test]
    fn intervals_are_ordered_within_the_range_and_hold_the_self_normalised_value(all in decisions()) {
        let logged = all.iter().map(|(chosen, p, reward, pi, q)| Logged {
            chosen: *chosen, propensity: p, reward: *reward, target: pi, predicted: q,
        });
        let e = Evaluation::of(RANGE, logged).unwrap();
        for i in [e.logged, e.ips, e.snips, e.dr] {
            prop_assert!(0.0 <= i.low && i.low <= i.high && i.high <= 1.0, "{:?}", i);
        }
        prop_assert!(-1.0 <= e.difference.low && e.difference.low <= e.difference.high && e.difference.high <= 1.0);
        prop_assert!(e.snips.low <= e.snips.value && e.snips.value <= e.snips.high, "{:?}", e.snips);
        prop_assert!(e.effective <= e.n as f64 + 1e-9 && e.largest_weight <= e.possible_weight);
    }


    #[test]
    fn without_predictions_dr_is_ips(all in decisions()) {
        let logged = all.iter().map(|(chosen, p, reward, pi, _)| Logged {
            chosen: *chosen, propensity: p, reward: *reward, target: pi, predicted: &[0.0; 3],
        });
        let e = Evaluation::of(RANGE, logged).unwrap();
        prop_assert!((e.dr.value - e.ips.value).abs() < 1e-9);
    }
}
