use super::*;

/// Numbers that look like chance and are the same in every run.
fn wave(n: u64, salt: u64) -> f64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

struct Arms {
    reward: f64,
    errors: f64,
    latency: f64,
}

/// Lets a canary of this kind run against a live arm of 0.5, 2 %, 400 ms; the judgement and the requests it took.
fn run(canary: &Arms, most: u64) -> (Judgement, u64, u8) {
    let config = GuardConfig::default();
    let mut rollout = Rollout::start(10, 0);
    let live = Arms { reward: 0.5, errors: 0.02, latency: 400.0 };
    for n in 0..most {
        let arm = if wave(n, 1) * 100.0 < f64::from(rollout.share()) { Arm::Canary } else { Arm::Live };
        let of = if arm == Arm::Canary { canary } else { &live };
        let failed = wave(n, 2) < of.errors;
        let reward = if failed { -0.4 } else { of.reward + wave(n, 3) - 0.5 };
        let latency_ms = Some(of.latency * exp(1.4 * (wave(n, 4) - 0.5)));
        rollout.see(arm, &Seen { session: None, time_ms: n, reward, failed, latency_ms });
        match rollout.judge(&config) {
            Judgement::Hold => {}
            Judgement::Widen(share) => rollout.widen(share, n + 1),
            end => return (end, n, rollout.share()),
        }
    }
    (Judgement::Hold, most, rollout.share())
}

#[test]
fn a_better_canary_is_widened_and_promoted() {
    let (end, _, share) = run(&Arms { reward: 0.65, errors: 0.02, latency: 400.0 }, 20_000);
    assert_eq!((end, share), (Judgement::Promote, 50));
}

#[test]
fn a_worse_one_is_withdrawn_for_its_reason_at_its_first_share() {
    let same = || Arms { reward: 0.5, errors: 0.02, latency: 400.0 };
    for (canary, why) in [
        (Arms { errors: 0.2, reward: 0.65, ..same() }, Why::Errors),
        (Arms { latency: 700.0, ..same() }, Why::Latency),
        (Arms { reward: 0.3, ..same() }, Why::Reward),
    ] {
        let (end, n, share) = run(&canary, 20_000);
        assert_eq!((end, share), (Judgement::Withdraw(why), 10));
        assert!(n < 3000, "{why:?} after {n}");
    }
}

#[test]
fn what_is_neither_is_held() {
    let (end, _, share) = run(&Arms { reward: 0.5, errors: 0.02, latency: 400.0 }, 5_000);
    assert_eq!(end, Judgement::Hold);
    assert!(share < 100);
}

#[test]
fn what_is_slower_within_the_limits_may_be_better_all_the_same() {
    let slower = Arms { latency: 440.0, reward: 0.65, errors: 0.02 };
    assert_eq!(run(&slower, 20_000).0, Judgement::Promote);
}

#[test]
fn patience_ends() {
    let mut rollout = Rollout::start(10, 0);
    let seen = Seen { session: None, time_ms: 1, reward: 0.5, failed: false, latency_ms: None };
    (0..20).for_each(|_| assert!(rollout.see(Arm::Canary, &seen)));
    let config = GuardConfig { patience: 20, ..GuardConfig::default() };
    assert_eq!(rollout.judge(&config), Judgement::Withdraw(Why::Patience));
}

#[test]
fn records_from_before_say_nothing_and_later_ones_count_in_their_stage() {
    let mut rollout = Rollout::start(10, 100);
    let seen = |time_ms| Seen { session: None, time_ms, reward: 0.5, failed: false, latency_ms: None };
    assert!(!rollout.see(Arm::Live, &seen(99)));
    rollout.widen(25, 200);
    assert!(rollout.see(Arm::Canary, &seen(150)) && rollout.see(Arm::Canary, &seen(200)));
    let counts: Vec<u64> = rollout.stages.iter().map(|s| s.canary.rewards.n).collect();
    assert_eq!(counts, [1, 1]);
}

#[test]
fn feedback_corrects_the_stage_in_which_its_record_came() {
    let seen =
        |reward| Seen { session: Some("s"), time_ms: 5, reward, failed: false, latency_ms: Some(300.0) };
    let (mut at_once, mut later) = (Rollout::start(10, 0), Rollout::start(10, 0));
    at_once.see(Arm::Canary, &seen(1.0));
    later.see(Arm::Canary, &seen(0.25));
    at_once.widen(25, 10);
    later.widen(25, 10);
    later.revise(Arm::Canary, &seen(1.0), 0.25);
    assert_eq!(at_once, later);
}

#[test]
fn one_session_that_fails_all_day_withdraws_nothing() {
    let mut rollout = Rollout::start(10, 0);
    for n in 0..4000u64 {
        let name = if n % 10 == 0 { "the one".to_owned() } else { n.to_string() };
        let arm = if n % 10 == 0 { Arm::Canary } else { Arm::Live };
        let failed = arm == Arm::Canary;
        let reward = if failed { -0.4 } else { 0.5 };
        rollout.see(arm, &Seen { session: Some(&name), time_ms: n, reward, failed, latency_ms: None });
    }
    assert_eq!(rollout.judge(&GuardConfig::default()), Judgement::Hold);
}

#[test]
fn a_rollout_is_resumed_from_its_json_and_its_records() {
    let seen = Seen { session: Some("s"), time_ms: 4, reward: 0.3, failed: true, latency_ms: None };
    let mut rollout = Rollout::start(10, 3);
    rollout.widen(25, 9);
    let text = serde_json::to_string(&rollout).unwrap();
    rollout.see(Arm::Live, &seen);
    let mut resumed: Rollout = serde_json::from_str(&text).unwrap();
    resumed.see(Arm::Live, &seen);
    assert_eq!((resumed.share(), resumed.since_ms()), (25, 3));
    assert_eq!(resumed, rollout);
}
