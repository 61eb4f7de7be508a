//! The guard in worlds where it is known whether the canary is good: what share of the sessions it reached, how many
//! requests it took, and how often the guard was wrong.
//!
//! Live answers with 2 % errors (reward -0.4, nothing to time), else a reward of mean 0.5 and standard deviation 0.3
//! and a latency of median 800 ms whose logarithm has a standard deviation of 0.6. Sessions have as many turns as the
//! world says; what is common to a session makes half of the variance of its rewards. The guard is the shipped one
//! with its default configuration, session by session through the filter's own split.

use std::fmt::Write as _;

use dragoman_core::config::{GuardConfig, Widen};
use dragoman_core::guard::rollout::{Arm, Judgement, Rollout, Seen, Why};
use dragoman_core::guard::split::Split;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Report, normal, over};

/// Seeds of each world.
const SEEDS: usize = 100;

/// How one arm answers.
#[derive(Clone, Copy)]
struct Arms {
    errors: f64,
    /// Mean reward of a good answer.
    reward: f64,
    /// Factor on the latency.
    slower: f64,
}

const LIVE: Arms = Arms { errors: 0.02, reward: 0.5, slower: 1.0 };

/// What a world is to show.
#[derive(Clone, Copy, PartialEq)]
enum Goal {
    /// Withdrawn within 200 canary requests, at its first share.
    Withdrawn,
    /// At 100 % within 3,000 canary requests.
    Promoted,
    /// Never withdrawn.
    Kept,
    /// Told, not asked.
    Shown,
}

struct Row {
    name: &'static str,
    canary: Arms,
    /// Turns of a session.
    turns: u32,
    requests: u64,
    widen: Widen,
    goal: Goal,
}

/// How one run ended.
struct End {
    judgement: Judgement,
    requests: u64,
    canary: u64,
    largest_share: u8,
}

const fn row(name: &'static str, canary: Arms, goal: Goal) -> Row {
    Row { name, canary, turns: 1, requests: 60_000, widen: Widen::Better, goal }
}

const fn reward(reward: f64) -> Arms {
    Arms { reward: LIVE.reward + reward, ..LIVE }
}

/// What is called bad must go: it is so much worse that 200 requests can show it surely enough for a test that may throw
/// away one canary in a thousand. What is called worse takes more of them, and is shown. What is called good is better by
/// 2.5 % of the reward's range of 2 or more.
const ROWS: [Row; 27] = [
    row("bad: errors 2 % -> 22 %", Arms { errors: 0.22, ..LIVE }, Goal::Withdrawn),
    row("bad: latency x 1.5", Arms { slower: 1.5, ..LIVE }, Goal::Withdrawn),
    row("worse: reward -0.15", reward(-0.15), Goal::Shown),
    row("bad: reward -0.20", reward(-0.2), Goal::Withdrawn),
    row("bad: errors 2 % -> 40 %", Arms { errors: 0.4, ..LIVE }, Goal::Withdrawn),
    Row { turns: 4, ..row("worse: reward -0.20, sessions of 4", reward(-0.2), Goal::Shown) },
    row("worse: reward -0.10", reward(-0.1), Goal::Shown),
    row("worse: reward -0.05", reward(-0.05), Goal::Shown),
    row("worse: latency x 1.3", Arms { slower: 1.3, ..LIVE }, Goal::Shown),
    row("worse: errors 2 % -> 15 %", Arms { errors: 0.15, ..LIVE }, Goal::Shown),
    row("worse: errors 2 % -> 10 %", Arms { errors: 0.1, ..LIVE }, Goal::Shown),
    row("good: reward +0.05", reward(0.05), Goal::Promoted),
    row("good: reward +0.08", reward(0.08), Goal::Promoted),
    row("good: reward +0.12", reward(0.12), Goal::Promoted),
    row("good: reward +0.15", reward(0.15), Goal::Promoted),
    row("good: reward +0.20", reward(0.2), Goal::Promoted),
    row("better: reward +0.02", reward(0.02), Goal::Shown),
    Row { turns: 4, ..row("good: reward +0.08, sessions of 4", reward(0.08), Goal::Promoted) },
    Row { widen: Widen::Safe, ..row("good: reward +0.05, widen: safe", reward(0.05), Goal::Promoted) },
    Row { widen: Widen::Safe, ..row("good: reward +0.08, widen: safe", reward(0.08), Goal::Promoted) },
    Row { widen: Widen::Safe, ..row("good: reward +0.12, widen: safe", reward(0.12), Goal::Promoted) },
    Row { requests: 100_000, ..row("no change", LIVE, Goal::Kept) },
    Row { requests: 100_000, turns: 4, ..row("no change, sessions of 4", LIVE, Goal::Kept) },
    Row { requests: 100_000, turns: 20, ..row("no change, sessions of 20", LIVE, Goal::Kept) },
    Row { requests: 100_000, widen: Widen::Safe, ..row("no change, widen: safe", LIVE, Goal::Kept) },
    Row { widen: Widen::Safe, ..row("bad: reward -0.20, widen: safe", reward(-0.2), Goal::Withdrawn) },
    Row {
        widen: Widen::Safe,
        ..row("bad: latency x 1.5, widen: safe", Arms { slower: 1.5, ..LIVE }, Goal::Withdrawn)
    },
];

pub(super) fn run(report: &mut Report, from: u64) {
    report.line(&format!(
        "{SEEDS} seeds each. Requests: those of both arms until the end, and the canary's own; 5 %, median, 95 %, most."
    ));
    report.line(&format!(
        "{:34} {:>9} {:>9} {:>5} {:>5} {:>6} {:>6} {:>6}  {:>28}  {:>24}",
        "world",
        "withdrawn",
        "promoted",
        "open",
        "share",
        "c<=200",
        "c<=3k",
        "n<=3k",
        "requests",
        "canary requests"
    ));
    let ended: Vec<(&Row, Vec<End>)> =
        ROWS.iter().map(|row| (row, over(from, SEEDS, |seed| row.run(seed)))).collect();
    for (row, ends) in &ended {
        report.line(&row.told(ends));
    }
    report.line("Share: the largest that a run reached, percent of the sessions. Open: undecided when the run ended, after");
    report.line("60,000 requests (no change: 100,000; there the columns of requests are of the runs that ended before).");
    report.line("c<=200: withdrawn within 200 canary requests. c<=3k, n<=3k: at 100 % within 3,000 canary requests, within");
    report.line("3,000 requests of both arms.");
    report.line("");
    for (row, ends) in ended.iter().filter(|(row, _)| row.goal != Goal::Shown) {
        let kept = ends.iter().filter(|end| row.goal.is_kept_by(end)).count();
        let what = format!("{}: {} in {kept} of {}", row.name, row.goal.name(), ends.len());
        report.goal(kept == ends.len(), &what);
    }
}

// === impl Goal ===

impl Goal {
    fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn within 200 canary requests, never above 10 % of the sessions,",
            Self::Promoted => "at 100 % within 3,000 canary requests",
            Self::Kept => "not withdrawn",
            Self::Shown => "",
        }
    }

    fn is_kept_by(self, end: &End) -> bool {
        let promoted = end.judgement == Judgement::Promote;
        match self {
            Self::Withdrawn => withdrawn(end) && end.canary <= 200 && end.largest_share <= 10,
            Self::Promoted => promoted && end.canary <= 3000,
            Self::Kept => !withdrawn(end),
            Self::Shown => true,
        }
    }
}

fn withdrawn(end: &End) -> bool {
    matches!(end.judgement, Judgement::Withdraw(why) if why != Why::Patience)
}

// === impl Row ===

impl Row {
    fn run(&self, seed: u64) -> End {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let config = GuardConfig { widen: self.widen, patience: u64::MAX, ..GuardConfig::default() };
        let first = config.stages.first().copied().unwrap_or(10);
        let mut split = Split { share: first, salt: [random.random(), random.random()] };
        let mut rollout = Rollout::start(first, 0);
        // Sessions under way: its name, turns left, what is common to its rewards.
        let mut sessions: Vec<(String, u32, f64)> = Vec::new();
        let (mut judgement, mut requests, mut canary) = (Judgement::Hold, 0, 0);
        while judgement == Judgement::Hold && requests < self.requests {
            // A hundred sessions at a time, in any order.
            while sessions.len() < 100 {
                sessions.push((format!("{:x}", random.random::<u64>()), self.turns, normal(&mut random)));
            }
            let at = random.random_range(0..sessions.len());
            let (name, left, common) = &mut sessions[at];
            let taken = split.takes(Some(name), 0.0);
            let (arm, of) = if taken { (Arm::Canary, self.canary) } else { (Arm::Live, LIVE) };
            let seen = of.answer(requests, *common, &mut random);
            rollout.see(arm, &Seen { session: Some(name), ..seen });
            *left -= 1;
            if *left == 0 {
                sessions.swap_remove(at);
            }
            requests += 1;
            canary += u64::from(taken);
            judgement = rollout.judge(&config);
            if let Judgement::Widen(share) = judgement {
                split.share = share;
                rollout.widen(share, requests);
                judgement = Judgement::Hold;
            }
        }
        End { judgement, requests, canary, largest_share: rollout.share() }
    }

    fn told(&self, ends: &[End]) -> String {
        let count = |wanted: fn(&End) -> bool| ends.iter().filter(|e| wanted(e)).count();
        let ended: Vec<&End> = ends.iter().filter(|e| e.judgement != Judgement::Hold).collect();
        let spread = |of: fn(&End) -> u64, width: usize| {
            let values: Vec<u64> = ended.iter().map(|e| of(e)).collect();
            let mut text = String::new();
            for q in [0.05, 0.5, 0.95, 1.0] {
                // Writing into a text cannot fail.
                let _ = match values.is_empty() {
                    true => write!(text, "{:>width$}", "-"),
                    false => write!(text, "{:>width$}", crate::numbers::quantile(&values, q)),
                };
            }
            text
        };
        format!(
            "{:34} {:>9} {:>9} {:>5} {:>5} {:>6} {:>6} {:>6}  {:>28}  {:>24}",
            self.name,
            count(withdrawn),
            count(|e| e.judgement == Judgement::Promote),
            count(|e| e.judgement == Judgement::Hold),
            ends.iter().map(|e| e.largest_share).max().unwrap_or(0),
            count(|e| withdrawn(e) && e.canary <= 200),
            count(|e| e.judgement == Judgement::Promote && e.canary <= 3000),
            count(|e| e.judgement == Judgement::Promote && e.requests <= 3000),
            spread(|e| e.requests, 7),
            spread(|e| e.canary, 6),
        )
    }
}

// === impl Arms ===

impl Arms {
    fn answer(&self, time_ms: u64, common: f64, random: &mut ChaCha8Rng) -> Seen<'static> {
        const SD: f64 = 0.3;
        let failed = random.random::<f64>() < self.errors;
        let own = normal(random);
        let latency = 800.0 * self.slower * (0.6 * normal(random)).exp();
        let good = self.reward + SD * (common + own) * 0.5f64.sqrt();
        let reward = if failed { -0.4 } else { good };
        Seen { session: None, time_ms, reward, failed, latency_ms: Some(latency) }
    }
}
