//! One rollout: a canary goes from share to share while it is surely better, is held while that is open, and is
//! withdrawn when it is surely worse.

use libm::{exp, log};
use serde::{Deserialize, Serialize};

use super::sessions::Sessions;
use super::test::{Clustered, Difference, Session, fails_more};
use crate::config::{GuardConfig, Widen};

/// Of the false alarms that are allowed, what each test gets (Bonferroni): little for the three that withdraw, since
/// a good snapshot that is thrown away is what would make people switch the guard off. With the default of 0.05 one
/// canary in a thousand that changes nothing is withdrawn, at most. Most of that goes to the reward, whose falls are
/// the hardest to see; latencies that matter are seen with hardly any.
const ALARMS: Claims = Claims { errors: 0.006, latency: 0.0005, worse: 0.0135, safe: 0.33, better: 0.65 };

/// Size of difference that the reward's tests look for first.
const REWARD_SCALE: f64 = 0.1;
/// The same of ln latency.
const LATENCY_SCALE: f64 = 0.2;

/// Standard errors within which live has the benefit of the doubt: a limit counts as passed unless a one-sided 95 %
/// bound says that it is not.
const DOUBT: f64 = 1.645;

/// log₁₀ of the evidence for what may be beyond a limit, from which on nothing is widened: "substantial" (Jeffreys 1961,
/// "Theory of probability", appendix B).
const SUSPECT: f64 = 0.5;

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
    /// The rewards of what did not fail.
    answers: Clustered,
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
    /// log₁₀ of what each must reach.
    pub needed: Claims,
}

/// Something of each arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// Of the arm in use.
    pub live: T,
    /// Of the arm on trial.
    pub canary: T,
}

/// Something of each claim, such as log₁₀ of its e-value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Claims {
    /// The canary fails more often.
    pub errors: f64,
    /// It is slower.
    pub latency: f64,
    /// Its answers are worth less: all of them, or those that did not fail, which vary less.
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
            if !seen.failed {
                sums.answers.add(&mut session.answers, seen.reward);
            }
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
            sums.rewards.revise(known(&mut session.rewards, before), before, seen.reward);
            if !seen.failed {
                sums.answers.revise(known(&mut session.answers, before), before, seen.reward);
            }
        });
    }

    /// What is to be done by what was seen.
    pub fn judge(&self, config: &GuardConfig) -> Judgement {
        let evidence = self.evidence(config);
        let Evidence { evidence: claims, needed, .. } = evidence;
        let limits = &config.limits;
        let fall = limits.reward * evidence.reward.live.abs().max(LEAST_REWARD);
        // Surely worse, and as far as can be told by more than the limit; of rewards, failures included.
        let [errors, latency, reward] = evidence.worst;
        let reasons = [
            (Why::Errors, claims.errors, needed.errors, errors > limits.errors),
            (Why::Latency, claims.latency, needed.latency, latency > 1.0 + limits.latency),
            (Why::Reward, claims.worse, needed.worse, reward < -fall),
        ];
        if let Some((why, ..)) = reasons.iter().find(|(_, found, needed, beyond)| found >= needed && *beyond)
        {
            return Judgement::Withdraw(*why);
        }
        let next = config.stages.iter().copied().find(|share| *share > self.share()).filter(|s| *s < 100);
        let enough =
            self.stages.last().is_some_and(|s| s.canary.rewards.n >= u64::from(config.stage_requests));
        let open = match (config.widen, next) {
            (Widen::Safe, Some(_)) => claims.safe >= needed.safe,
            _ => claims.better >= needed.better,
        };
        // What looks worse than the limits in one respect is not widened for another.
        let suspect = reasons.iter().any(|(_, found, _, beyond)| *found >= SUSPECT && *beyond);
        let sound = !suspect
            && evidence.error_difference <= limits.errors
            && evidence.latency_ratio <= 1.0 + limits.latency
            && evidence.reward_difference >= -fall;
        let ready = enough && sound && open;
        match next {
            _ if evidence.requests.canary >= config.patience => Judgement::Withdraw(Why::Patience),
            Some(share) if ready => Judgement::Widen(share),
            None if ready => Judgement::Promote,
            _ => Judgement::Hold,
        }
    }

    /// What was seen so far.
    pub fn evidence(&self, config: &GuardConfig) -> Evidence {
        let [mut reward, mut answers, mut latency] = [Difference::default(); 3];
        for stage in &self.stages {
            reward.add(&stage.canary.rewards, &stage.live.rewards);
            answers.add(&stage.canary.answers, &stage.live.answers);
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
            worse: mean(answers.below(0.0, REWARD_SCALE), reward.below(0.0, REWARD_SCALE)),
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
            needed: ALARMS.map(|part| -log10(config.false_alarms * part)),
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
                answers: a.answers.and(&b.answers),
                latency: a.latency.and(&b.latency),
                errors: a.errors + b.errors,
                failed: a.failed + b.failed,
            },
        )
    }
}

/// The logarithm of the mean of two e-values, which is an e-value itself (Vovk & Wang 2021, "E-values: calibration,
/// combination and applications").
fn mean(a: f64, b: f64) -> f64 {
    let most = a.max(b);
    most + log(0.5 * (exp(a - most) + exp(b - most)))
}

/// A session that is not known any more has at least the number `before`.
fn known(session: &mut Session, before: f64) -> &mut Session {
    if session.n == 0 {
        *session = Session { n: 1, sum: before };
    }
    session
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
mod tests;
