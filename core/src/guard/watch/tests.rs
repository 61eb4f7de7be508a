use super::*;

const MINUTE: u64 = 60_000;
const START: u64 = 1_000 * 3_600_000;

/// An hour of traffic, a request every 10 s; `of` changes each.
fn hour(watch: &mut Watch, hour: u64, of: impl Fn(u64, &mut Observed)) -> u64 {
    for n in 0..360 {
        let mut seen = Observed {
            time_ms: START + hour * 60 * MINUTE + n * 10_000,
            ok: n % 50 != 0,
            dollars: 1e-3,
            explored: Some(n % 20 == 0),
            model: "a",
            reward: 0.5,
        };
        of(n, &mut seen);
        watch.see(&seen);
    }
    START + (hour + 1) * 60 * MINUTE - 1
}

fn kinds(alerts: &[Alert]) -> Vec<(Kind, bool)> {
    alerts.iter().map(|a| (a.kind, a.raised)).collect()
}

#[test]
fn quiet_traffic_is_quiet() {
    let mut watch = Watch::default();
    for h in 0..10 {
        let now = hour(&mut watch, h, |_, _| ());
        assert_eq!(watch.check(&AlertsConfig::default(), now), []);
    }
    assert_eq!(watch.alpha(), 1.0);
    assert!(watch.buckets.len() <= (BEFORE + 1) * HOUR);
}

#[test]
fn a_drop_of_success_pauses_once_and_ends_when_it_is_back() {
    let (mut watch, limits) = (Watch::default(), AlertsConfig::default());
    hour(&mut watch, 0, |_, _| ());
    let now = hour(&mut watch, 1, |n, seen| seen.ok = n % 8 != 0);
    let alerts = watch.check(&limits, now);
    assert_eq!(kinds(&alerts), [(Kind::SuccessDrop, true)]);
    assert_eq!(alerts[0].message, "87.5 % of the answers of the last hour are good, 97.8 % were before");
    assert!(watch.paused());
    let now = hour(&mut watch, 2, |n, seen| seen.ok = n % 8 != 0);
    assert_eq!(watch.check(&limits, now), [], "told once, and the bad hour is no new standard");
    assert!(watch.paused());
    let now = hour(&mut watch, 3, |_, _| ());
    assert_eq!(kinds(&watch.check(&limits, now)), [(Kind::SuccessDrop, false)]);
    assert!(!watch.paused());
}

#[test]
fn a_pause_can_be_waived_for_its_episode() {
    let (mut watch, limits) = (Watch::default(), AlertsConfig::default());
    hour(&mut watch, 0, |_, _| ());
    let now = hour(&mut watch, 1, |_, seen| seen.ok = false);
    watch.check(&limits, now);
    assert!(watch.waive() && !watch.paused() && !watch.waive());
    watch.check(&limits, now + 1);
    assert!(!watch.paused());
}

#[test]
fn a_drop_that_may_be_chance_is_none() {
    let mut watch = Watch::default();
    hour(&mut watch, 0, |n, seen| seen.ok = n % 2 == 0);
    // 43 % against 50 % of 110 requests: within 1.4 standard errors.
    for n in 0..110 {
        let time_ms = START + 60 * MINUTE + n * 10_000;
        watch.see(&Observed {
            time_ms,
            ok: n % 7 < 3,
            dollars: 0.0,
            explored: None,
            model: "a",
            reward: 0.1,
        });
    }
    assert_eq!(watch.check(&AlertsConfig::default(), START + 100 * MINUTE), []);
}

#[test]
fn each_kind_is_told_with_its_value_and_limit() {
    let (mut watch, limits) = (Watch::default(), AlertsConfig::default());
    for h in 0..3 {
        hour(&mut watch, h, |_, seen| seen.reward = if h == 1 { 0.9 } else { -0.3 });
    }
    let now = hour(&mut watch, 3, |n, seen| {
        seen.dollars = 1.5e-3;
        seen.explored = Some(n % 2 == 0);
        seen.reward = 0.9;
    });
    (0..30).for_each(|n| watch.pair(n % 2 == 0));
    let alerts = watch.check(&limits, now);
    let told: Vec<(&str, f64, f64)> = alerts.iter().map(|a| (a.kind.name(), a.value, a.limit)).collect();
    let rounded: Vec<_> = told.iter().map(|(k, v, l)| (*k, (v * 100.0).round() / 100.0, *l)).collect();
    let expected = [
        ("cost_rise", 0.5, 0.2),
        ("exploration", 0.5, 0.3),
        ("score_variance", 0.36, 0.2),
        ("detector_accuracy", 0.5, 0.7),
    ];
    assert_eq!(rounded, expected);
    assert_eq!(watch.active().count(), 4);
}

#[test]
fn alpha_goes_down_while_too_much_is_explored_and_comes_back() {
    let (mut watch, limits) = (Watch::default(), AlertsConfig::default());
    let mut lowest: f64 = 1.0;
    for h in 0..4 {
        hour(&mut watch, h, |n, seen| seen.explored = Some(h < 2 && n % 2 == 0));
        for step in 0..4 {
            watch.check(&limits, START + (h * 60 + 48 + step * 3) * MINUTE);
        }
        lowest = lowest.min(watch.alpha());
    }
    assert!((LEAST_ALPHA..0.5).contains(&lowest), "{lowest}");
    assert!(watch.alpha() > lowest);
}

#[test]
fn records_out_of_order_count_where_they_belong_and_very_old_ones_do_not() {
    let mut watch = Watch::default();
    let seen =
        |time_ms| Observed { time_ms, ok: true, dollars: 0.0, explored: None, model: "a", reward: 0.0 };
    for minutes in [60, 10, 30, 10] {
        watch.see(&seen(START + minutes * MINUTE));
    }
    watch.see(&seen(START - 10 * 60 * MINUTE));
    let counts: Vec<u64> = watch.buckets.iter().map(|b| b.requests).collect();
    assert_eq!(counts, [2, 1, 1]);
}
