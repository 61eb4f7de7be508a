//! One rollout: a canary goes from share to share while it is surely better, is held while that is open, and is
//! withdrawn when it is surely worse.

use libm::{exp, log};
use serde::{Deserialize, Serialize};

use super::sessions::Sessions;
use super::test::{Clustered, Difference, Session, fails_more};
use crate::config::{GuardConfig, Widen};

/// Of the false alarms that are allowed, what each test gets (Bonferroni): little for the three that withdraw, since
/// a good snapshot that is thrown away is what would make people switch the guard off.
const ALARMS: Alarms = Alarms { withdraw: 0.1 / 3.0, safe: 0.3, better: 0.6 };

struct Alarms {
    /// For each of errors, latency and reward.
    withdraw: f64,
    safe: f64,
    better: f64,
}

/// Size of difference that the reward's tests look for first.
const REWARD_SCALE: f64 = 0.1;
/// The same of ln latency.
const LATENCY_SCALE: f64 = 0.2;

/// Standard errors within which live has the benefit of the doubt: a limit counts as passed unless a one-sided 95 %
/// bound says that it is not.
const DOUBT: f64 = 1.645;

/// Rewards around zero have no meaningful percentage: a fall is measured against at least this.
pub(super) const LEAST_REWARD: f64 = 0.1;

/// The two arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// In use.
    Live,
    /// On trial.
    Canary,
}

/// What one record says of its arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen<'a> {
    /// The conversation, if it has a name.
    pub session: Option<&'a str>,
    /// When the request came, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What it was worth.
    pub reward: f64,
    /// Whether it ended in an error.
    pub failed: bool,
    /// How long the answer took; `None` of an error.
    pub latency_ms: Option<f64>,
}

/// A rollout under way: for each stage that it has reached, what was seen in it. Its JSON has the stages alone: what was
/// seen is in the replay log, and is to be shown again ([`Rollout::see`]) after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    stages: Vec<Stage>,
    #[serde(skip)]
    sessions: Sessions,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stage {
    since_ms: u64,
    share: u8,
    #[serde(skip)]
    live: Sums,
    #[serde(skip)]
    canary: Sums,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    rewards: Clustered,
    /// Of ln milliseconds: latencies are compared as ratios, and their long tail is no longer one.
    latency: Clustered,
    errors: u64,
    /// Sessions with an error.
    failed: u64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Undecided: everything stays.
    Hold,
    /// Better: this share next, percent.
    Widen(u8),
    /// Better at the last share: it becomes live.
    Promote,
    /// It goes.
    Withdraw(Why),
}

/// Why a canary is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It fails more often.
    Errors,
    /// It is slower.
    Latency,
    /// Its answers are worth less.
    Reward,
    /// It had its requests and did not turn out better.
    Patience,
}

/// What was seen so far, for people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evidence {
    /// Share of the sessions, percent.
    pub share: u8,
    /// Requests of each arm over all stages.
    pub requests: Pair<u64>,
    /// Mean reward of each arm.
    pub reward: Pair<f64>,
    /// Share of errors of each arm.
    pub errors: Pair<f64>,
    /// Geometric mean of the latency of each arm, milliseconds.
    pub latency_ms: Pair<f64>,
    /// Canary minus live, stage by stage.
    pub reward_difference: f64,
    /// Canary minus live.
    pub error_difference: f64,
    /// Canary by live.
    pub latency_ratio: f64,
    /// The three differences at their worse 95 % bounds: error rate, latency ratio, reward.
    pub worst: [f64; 3],
    /// log₁₀ of the evidence for each claim; see [`super::test`].
    pub evidence: Claims,
    /// log₁₀ of what a claim to withdraw, and one to widen, must reach.
    pub needed: [f64; 2],
}

/// Something of each arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// Of the arm in use.
    pub live: T,
    /// Of the arm on trial.
    pub canary: T,
}

/// log₁₀ e-values of the claims.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Claims {
    /// The canary fails more often.
    pub errors: f64,
    /// It is slower.
    pub latency: f64,
    /// Its answers are worth less.
    pub worse: f64,
    /// They are not worth less by more than the limit.
    pub safe: f64,
    /// They are worth more.
    pub better: f64,
}

// === impl Rollout ===

impl Rollout {
    /// A canary starts with `share` percent of the sessions.
    pub fn start(share: u8, now_ms: u64) -> Self {
        Self { stages: vec![Stage::new(share, now_ms)], sessions: Sessions::default() }
    }

    /// From now on the canary has `share` percent.
    pub fn widen(&mut self, share: u8, now_ms: u64) {
        self.stages.push(Stage::new(share, now_ms));
    }

    /// The canary's share of the sessions, percent.
    pub fn share(&self) -> u8 {
        self.stages.last().map_or(0, |s| s.share)
    }

    /// Nothing was seen in any stage.
    pub fn forget(&mut self) {
        self.stages.iter_mut().for_each(|s| *s = Stage::new(s.share, s.since_ms));
        self.sessions = Sessions::default();
    }

    /// When it began, milliseconds since the Unix epoch.
    pub fn since_ms(&self) -> u64 {
        self.stages.first().map_or(0, |s| s.since_ms)
    }

    /// Takes a record in; one from before the rollout says nothing. False if it does not count.
    pub fn see(&mut self, arm: Arm, seen: &Seen) -> bool {
        let Some((place, sums)) = place(&mut self.stages, arm, seen.time_ms) else { return false };
        if !seen.reward.is_finite() {
            return false;
        }
        let latency = seen.latency_ms.filter(|ms| ms.is_finite() && !seen.failed);
        self.sessions.at(place, seen.session, |session| {
            sums.rewards.add(&mut session.rewards, seen.reward);
            if let Some(ms) = latency {
                sums.latency.add(&mut session.latency, log(ms.max(1.0)));
            }
            sums.errors += u64::from(seen.failed);
            sums.failed += u64::from(seen.failed && !session.failed);
            session.failed |= seen.failed;
        });
        true
    }

    /// The reward of a record that was taken in is now `seen.reward`; it was `before`.
    pub fn revise(&mut self, arm: Arm, seen: &Seen, before: f64) {
        let finite = before.is_finite() && seen.reward.is_finite();
        let Some((place, sums)) = place(&mut self.stages, arm, seen.time_ms).filter(|_| finite) else {
            return;
        };
        self.sessions.at(place, seen.session, |session| {
            // A session that is not known any more has at least this record.
            if session.rewards.n == 0 {
                session.rewards = Session { n: 1, sum: before };
            }
            sums.rewards.revise(&mut session.rewards, before, seen.reward);
        });
    }

    /// What is to be done by what was seen.
    pub fn judge(&self, config: &GuardConfig) -> Judgement {
        let evidence = self.evidence(config);
        let Evidence { evidence: claims, needed: [withdraw, widen], .. } = evidence;
        let limits = &config.limits;
        let fall = limits.reward * evidence.reward.live.abs().max(LEAST_REWARD);
        // Surely worse, and as far as can be told by more than the limit.
        let [errors, latency, reward] = evidence.worst;
        let reasons = [
            (Why::Errors, claims.errors, errors > limits.errors),
            (Why::Latency, claims.latency, latency > 1.0 + limits.latency),
            (Why::Reward, claims.worse, reward < -fall),
        ];
        if let Some((why, ..)) = reasons.into_iter().find(|(_, e, beyond)| *e >= withdraw && *beyond) {
            return Judgement::Withdraw(why);
        }
        let next = config.stages.iter().copied().find(|share| *share > self.share()).filter(|s| *s < 100);
        let enough =
            self.stages.last().is_some_and(|s| s.canary.rewards.n >= u64::from(config.stage_requests));
        let open = match (config.widen, next) {
            (Widen::Safe, Some(_)) => claims.safe - log10(ALARMS.better / ALARMS.safe),
            _ => claims.better,
        };
        // What looks worse than the limits in one respect is not widened for another.
        let sound = evidence.error_difference <= limits.errors
            && evidence.latency_ratio <= 1.0 + limits.latency
            && evidence.reward_difference >= -fall;
        let ready = enough && sound && open >= widen;
        match next {
            _ if evidence.requests.canary >= config.patience => Judgement::Withdraw(Why::Patience),
            Some(share) if ready => Judgement::Widen(share),
            None if ready => Judgement::Promote,
            _ => Judgement::Hold,
        }
    }

    /// What was seen so far.
    pub fn evidence(&self, config: &GuardConfig) -> Evidence {
        let (mut reward, mut latency) = (Difference::default(), Difference::default());
        for stage in &self.stages {
            reward.add(&stage.canary.rewards, &stage.live.rewards);
            latency.add(&stage.canary.latency, &stage.live.latency);
        }
        let (errors, error) = self.error_difference();
        let failures = |s: &Sums| [s.failed, s.rewards.sessions];
        let strata = self.stages.iter().map(|s| [failures(&s.canary), failures(&s.live)]);
        let [live, canary] = [Arm::Live, Arm::Canary].map(|arm| self.total(arm));
        let rate = |s: &Sums| s.errors as f64 / s.rewards.n.max(1) as f64;
        let fall = config.limits.reward * live.rewards.mean().abs().max(LEAST_REWARD);
        let claims = Claims {
            errors: fails_more(strata),
            latency: latency.above(0.0, LATENCY_SCALE),
            worse: reward.below(0.0, REWARD_SCALE),
            safe: reward.above(-fall, REWARD_SCALE),
            better: reward.above(0.0, REWARD_SCALE),
        };
        Evidence {
            share: self.share(),
            requests: Pair { live: live.rewards.n, canary: canary.rewards.n },
            reward: Pair { live: live.rewards.mean(), canary: canary.rewards.mean() },
            errors: Pair { live: rate(&live), canary: rate(&canary) },
            latency_ms: Pair { live: exp(live.latency.mean()), canary: exp(canary.latency.mean()) },
            reward_difference: reward.estimate(),
            error_difference: errors,
            latency_ratio: exp(latency.estimate()),
            worst: [
                errors + DOUBT * error,
                exp(latency.estimate() + DOUBT * latency.error()),
                reward.estimate() - DOUBT * reward.error(),
            ],
            evidence: claims.map(|e| e / std::f64::consts::LN_10),
            needed: [ALARMS.withdraw, ALARMS.better].map(|part| -log10(config.false_alarms * part)),
        }
    }

    /// Stage by stage, each by its weight in a comparison of two rates; and its standard error.
    fn error_difference(&self) -> (f64, f64) {
        let (mut sum, mut weights, mut variance) = (0.0, 0.0, 0.0);
        for Stage { live, canary, .. } in &self.stages {
            let [n, m] = [canary, live].map(|s| s.rewards.n as f64);
            if n > 0.0 && m > 0.0 {
                let weight = n * m / (n + m);
                let [p, q] = [canary.errors as f64 / n, live.errors as f64 / m];
                weights += weight;
                sum += weight * (p - q);
                variance += weight * weight * (p * (1.0 - p) / n + q * (1.0 - q) / m);
            }
        }
        if weights > 0.0 { (sum / weights, variance.sqrt() / weights) } else { (0.0, 0.0) }
    }

    fn total(&self, arm: Arm) -> Sums {
        self.stages.iter().map(|s| if arm == Arm::Live { s.live } else { s.canary }).fold(
            Sums::default(),
            |a, b| Sums {
                rewards: a.rewards.and(&b.rewards),
                latency: a.latency.and(&b.latency),
                errors: a.errors + b.errors,
                failed: a.failed + b.failed,
            },
        )
    }
}

/// Where a record of this time belongs.
fn place(stages: &mut [Stage], arm: Arm, time_ms: u64) -> Option<([u64; 2], &mut Sums)> {
    let (index, stage) = stages.iter_mut().enumerate().rev().find(|(_, s)| s.since_ms <= time_ms)?;
    let live = arm == Arm::Live;
    Some(([index as u64, u64::from(live)], if live { &mut stage.live } else { &mut stage.canary }))
}

impl Stage {
    fn new(share: u8, since_ms: u64) -> Self {
        Self { since_ms, share, live: Sums::default(), canary: Sums::default() }
    }
}

impl Claims {
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let Self { errors, latency, worse, safe, better } = self;
        Self { errors: f(errors), latency: f(latency), worse: f(worse), safe: f(safe), better: f(better) }
    }
}

fn log10(x: f64) -> f64 {
    log(x) / std::f64::consts::LN_10
}

#[cfg(test)]
mod tests {
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
}
