//! What became of every request, summed up over the first and the latest quarter, and the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The rise of the mean reward that everybody can see.
const VISIBLE: f64 = 0.05;
/// A rise of fewer standard errors may be luck: without learning, one run in forty exceeds two.
const STANDARD_ERRORS: f64 = 2.0;
/// If more requests fail, the run tells nothing about learning.
const FAILURES_BORNE: f64 = 0.05;

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It was answered.
    Answered {
        /// The model the gateway chose; the one that answered, if the gateway does not say.
        route: String,
        /// The user's true verdict, 0 or 1.
        reward: f64,
        /// What the answer cost.
        dollars: f64,
    },
    /// It was not, for the reason given.
    Failed(String),
}

/// Counters beside the fates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ratings that the sidecar accepted.
    pub rated: usize,
    /// Ratings that it did not.
    pub ratings_lost: usize,
    /// Answers without the gateway's `x-vsr-selected-model`: the router did not choose them.
    pub unrouted: usize,
}

/// Every request's fate, by its place in the schedule.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    requests: usize,
    fates: BTreeMap<usize, (String, Fate)>,
    /// Counters beside the fates.
    pub counts: Counts,
}

/// A stretch of requests, of one category or of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Answers by route.
    pub routes: BTreeMap<String, usize>,
    /// Requests without an answer; they count in no mean.
    pub failed: usize,
    reward: f64,
    dollars: f64,
}

/// Whether the run shows learning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the mean reward of the last quarter exceeds the first's by a visible margin that luck
    /// does not explain.
    pub learned: bool,
    /// What improved, or why it does not count.
    pub sentence: String,
}

// === impl Ledger ===

impl Ledger {
    /// An empty ledger for a run of so many requests.
    pub fn new(requests: usize) -> Self {
        Self { requests, ..Self::default() }
    }

    /// Notes the fate of the request at a place (from 0) in the schedule.
    pub fn record(&mut self, place: usize, category: &str, fate: Fate) {
        self.fates.insert(place, (category.to_owned(), fate));
    }

    /// Requests in the whole run.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// Requests whose fate is known.
    pub fn done(&self) -> usize {
        self.fates.len()
    }

    /// Requests that failed.
    pub fn failed(&self) -> usize {
        self.fates.values().filter(|(_, fate)| matches!(fate, Fate::Failed(_))).count()
    }

    /// The reason of the latest failure.
    pub fn last_failure(&self) -> Option<&str> {
        self.fates.values().rev().find_map(|(_, fate)| match fate {
            Fate::Failed(why) => Some(why.as_str()),
            Fate::Answered { .. } => None,
        })
    }

    /// Every category met, in alphabetical order.
    pub fn categories(&self) -> BTreeSet<&str> {
        self.fates.values().map(|(category, _)| category.as_str()).collect()
    }

    /// Every route taken, in alphabetical order.
    pub fn routes(&self) -> BTreeSet<&str> {
        let routes = self.fates.values().filter_map(|(_, fate)| match fate {
            Fate::Answered { route, .. } => Some(route.as_str()),
            Fate::Failed(_) => None,
        });
        routes.collect()
    }

    /// The first quarter of the run, in which no user rates yet, in a category or in all.
    pub fn before(&self, category: Option<&str>) -> Summary {
        self.sum(0..self.requests / 4, category)
    }

    /// The latest quarter's worth of requests, in a category or in all; at the end the last quarter.
    pub fn now(&self, category: Option<&str>) -> Summary {
        let end = self.fates.keys().next_back().map_or(0, |last| last + 1);
        self.sum(end.saturating_sub(self.requests / 4)..end, category)
    }

    fn sum(&self, places: Range<usize>, only: Option<&str>) -> Summary {
        let mut summary = Summary::default();
        for (category, fate) in self.fates.range(places).map(|(_, entry)| entry) {
            if only.is_none_or(|only| only == category) {
                summary.add(fate);
            }
        }
        summary
    }

    /// Judges the finished run.
    pub fn verdict(&self) -> Verdict {
        let (before, now) = (self.before(None), self.now(None));
        let no = |sentence: String| Verdict { learned: false, sentence };
        let failed = self.failed();
        if failed as f64 > FAILURES_BORNE * self.requests as f64 {
            let why = self.last_failure().unwrap_or_default();
            let all = self.requests;
            return no(format!("No verdict: {failed} of {all} requests failed, the last because {why}."));
        }
        let (Some(was), Some(is)) = (before.reward(), now.reward()) else {
            return no("No verdict: a quarter of the run has no answers; send more requests.".to_owned());
        };
        let luck = (before.variance() + now.variance()).sqrt();
        let needed = VISIBLE.max(STANDARD_ERRORS * luck);
        let (rise, change) = (is - was, format!("mean reward went from {was:.2} to {is:.2}"));
        if rise < needed {
            return no(format!(
                "Not learned: the {change}, {rise:+.2}, but only a rise of {needed:.2} would be beyond luck."
            ));
        }
        let cost = match (before.dollars_per_1000(), now.dollars_per_1000()) {
            (Some(was), Some(is)) => format!("cost from ${was:.2} to ${is:.2} per 1,000 requests"),
            _ => String::new(),
        };
        let homes = self.homes().join(", ");
        Verdict {
            learned: true,
            sentence: format!("Learned: the {change} ({rise:+.2}) and {cost}; most now goes {homes}."),
        }
    }

    /// Where most of each category goes now.
    fn homes(&self) -> Vec<String> {
        let home = |category: &&str| {
            let now = self.now(Some(category));
            let (route, count) = now.routes.iter().max_by_key(|(_, count)| **count)?;
            Some(format!("{category} → {route} ({:.0} %)", 100.0 * *count as f64 / now.answered() as f64))
        };
        self.categories().iter().filter_map(home).collect()
    }
}

// === impl Summary ===

impl Summary {
    fn add(&mut self, fate: &Fate) {
        match fate {
            Fate::Answered { route, reward, dollars } => {
                *self.routes.entry(route.clone()).or_default() += 1;
                self.reward += reward;
                self.dollars += dollars;
            }
            Fate::Failed(_) => self.failed += 1,
        }
    }

    /// Answers in the stretch.
    pub fn answered(&self) -> usize {
        self.routes.values().sum()
    }

    /// The share (0 to 1) of the answers that a route gave.
    pub fn share(&self, route: &str) -> Option<f64> {
        self.mean(self.routes.get(route).copied().unwrap_or(0) as f64)
    }

    /// The mean reward, 0 to 1.
    pub fn reward(&self) -> Option<f64> {
        self.mean(self.reward)
    }

    /// The mean cost of a thousand answers, in dollars.
    pub fn dollars_per_1000(&self) -> Option<f64> {
        self.mean(self.dollars * 1000.0)
    }

    /// The variance of the mean reward; rewards are 0 or 1.
    fn variance(&self) -> f64 {
        self.reward().map_or(0.0, |mean| mean * (1.0 - mean) / self.answered() as f64)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        let answered = self.answered();
        (answered > 0).then(|| sum / answered as f64)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A run in which the chance of a good answer is a function of progress (0 to 1).
    fn run(seed: u64, chance: impl Fn(f64) -> f64) -> Ledger {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut ledger = Ledger::new(600);
        for place in 0..600 {
            let reward = f64::from(u8::from(rng.random::<f64>() < chance(place as f64 / 600.0)));
            ledger.record(place, "code", Fate::Answered { route: "small".into(), reward, dollars: 0.001 });
        }
        ledger
    }

    #[test]
    fn without_learning_hardly_any_run_passes() {
        for chance in [0.5, 0.65, 0.9] {
            let passed = (0..1_000).filter(|seed| run(*seed, |_| chance).verdict().learned).count();
            assert!(passed <= 40, "{passed} of 1000 runs passed at {chance}");
        }
    }

    #[test]
    fn with_learning_nearly_every_run_passes() {
        let learning = |progress: f64| (0.6 + progress).min(0.88);
        let passed = (0..200).filter(|seed| run(*seed, learning).verdict().learned).count();
        assert!(passed >= 180, "{passed} of 200 runs passed");
    }

    #[test]
    fn many_failures_leave_no_verdict() {
        let mut ledger = run(1, |progress| progress);
        assert!(ledger.verdict().learned);
        for place in 300..340 {
            ledger.record(place, "code", Fate::Failed("the model was away".into()));
        }
        let verdict = ledger.verdict();
        assert!(
            !verdict.learned && verdict.sentence.contains("40 of 600 requests failed"),
            "{}",
            verdict.sentence
        );
    }

    #[test]
    fn the_windows_are_the_first_and_the_latest_quarter() {
        let mut ledger = Ledger::new(8);
        for place in 0..5 {
            let route = if place < 2 { "a" } else { "b" };
            ledger.record(place, "math", Fate::Answered { route: route.into(), reward: 1.0, dollars: 0.002 });
        }
        assert_eq!(ledger.before(None).share("a"), Some(1.0));
        assert_eq!(ledger.now(Some("math")).share("b"), Some(1.0));
        assert_eq!(ledger.now(None).answered(), 2);
        assert_eq!(ledger.now(None).dollars_per_1000(), Some(2.0));
        assert_eq!(ledger.now(Some("chat")).reward(), None);
    }
}
