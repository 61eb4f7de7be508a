//! The watch over traffic as a whole, hour by hour: when success drops, cost rises, too much is explored, models swing or
//! the feedback detector errs. Each is an episode: told once when it begins, once when it is over, with a margin between
//! both so that a value on the limit does not ring all day.
//!
//! A drop of success also pauses publishing, and too much exploration turns α down: see [`Watch::paused`] and
//! [`Watch::alpha`].

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::AlertsConfig;

mod alert;

pub use alert::{Alert, Kind};

/// Length of a bucket, milliseconds.
const BUCKET_MS: u64 = 5 * 60_000;
/// Buckets in an hour.
const HOUR: usize = 12;
/// Hours before this one that it is compared with.
const BEFORE: usize = 6;
/// Requests that a side of a comparison must have.
const FEWEST: u64 = 100;
/// Standard errors that a drop must have: one hour in 2,000 looks like one by chance.
const SURE: f64 = 3.3;
/// Windows of one model that make a variance, and requests that make a window.
const WINDOWS: (usize, u64) = (3, 30);
/// Pairs of implicit and explicit feedback that are judged, at least and at most.
const PAIRS: (usize, usize) = (30, 200);
/// An episode is over when the value is back by this part of its limit.
const MARGIN: f64 = 0.1;
/// α is multiplied by this at each step down, and divided by it at each step up…
const STEP: f64 = 0.7;
/// …and never falls below this part of what is configured.
const LEAST_ALPHA: f64 = 0.1;

/// Count, sum and sum of squares.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Moments {
    n: u64,
    sum: f64,
    squares: f64,
}

/// What one record says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed<'a> {
    /// When the request came, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Whether it was answered well (2xx).
    pub ok: bool,
    /// What it cost.
    pub dollars: f64,
    /// Whether another route was taken than the one that looked best; `None` if there was no choice.
    pub explored: Option<bool>,
    /// The model that answered.
    pub model: &'a str,
    /// What it was worth.
    pub reward: f64,
}

/// Traffic of the last seven hours and the episodes under way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Watch {
    buckets: VecDeque<Bucket>,
    pairs: VecDeque<bool>,
    episodes: BTreeMap<Kind, Episode>,
    /// Steps that α is down.
    steps: u32,
    stepped_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Bucket {
    /// Time in units of [`BUCKET_MS`].
    at: u64,
    requests: u64,
    good: u64,
    dollars: f64,
    choices: u64,
    explored: u64,
    models: BTreeMap<String, Moments>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Episode {
    /// What the value is compared with, as it was when the episode began.
    baseline: f64,
    /// Somebody said to go on all the same.
    waived: bool,
}

/// A value and what it is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    value: f64,
    /// What stood before; 0 where nothing is compared.
    baseline: f64,
    /// Whether it is more than chance.
    sure: bool,
}

// === impl Moments ===

impl Moments {
    fn add(&mut self, x: f64) {
        self.n += 1;
        self.sum += x;
        self.squares += x * x;
    }

    fn mean(&self) -> f64 {
        self.sum / self.n.max(1) as f64
    }

    fn variance(&self) -> f64 {
        self.squares / self.n.max(1) as f64 - self.mean() * self.mean()
    }

    fn and(&self, other: &Self) -> Self {
        Self { n: self.n + other.n, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }
}

// === impl Watch ===

impl Watch {
    /// Takes a record in; one older than the watch looks back says nothing.
    pub fn see(&mut self, seen: &Observed) {
        let at = seen.time_ms / BUCKET_MS;
        let newest = self.buckets.back().map_or(at, |b| b.at.max(at));
        let keep = ((BEFORE + 1) * HOUR) as u64;
        self.buckets.retain(|b| b.at + keep > newest);
        if at + keep <= newest || !seen.reward.is_finite() {
            return;
        }
        // Records come nearly in order.
        let place = self.buckets.iter().rposition(|b| b.at <= at);
        let index = match place.filter(|i| self.buckets.get(*i).is_some_and(|b| b.at == at)) {
            Some(index) => index,
            None => {
                let index = place.map_or(0, |i| i + 1);
                self.buckets.insert(index, Bucket { at, ..Bucket::default() });
                index
            }
        };
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.see(seen);
        }
    }

    /// Implicit feedback did or did not agree with what was said explicitly of the same answer.
    pub fn pair(&mut self, agree: bool) {
        self.pairs.push_back(agree);
        if self.pairs.len() > PAIRS.1 {
            self.pairs.pop_front();
        }
    }

    /// Looks at everything; says what began and what is over.
    pub fn check(&mut self, limits: &AlertsConfig, now_ms: u64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for (kind, limit, read) in watched(limits) {
            let episode = self.episodes.get(&kind).copied();
            let Some(reading) = read(self, now_ms, episode.map(|e| e.baseline)) else { continue };
            let begins = episode.is_none() && reading.sure && kind.beyond(reading.value, limit);
            let over = episode.is_some() && !kind.beyond(reading.value, kind.cleared(limit));
            if begins {
                self.episodes.insert(kind, Episode { baseline: reading.baseline, waived: false });
            } else if over {
                self.episodes.remove(&kind);
            }
            if begins || over {
                alerts.push(kind.alert(begins, &reading, limit, now_ms));
            }
        }
        self.step(limits.exploration, now_ms);
        alerts
    }

    /// Whether publishing is to wait: success has dropped, and nobody said to go on.
    pub fn paused(&self) -> bool {
        self.episodes.get(&Kind::SuccessDrop).is_some_and(|e| !e.waived)
    }

    /// Somebody says to go on. False if nothing was paused.
    pub fn waive(&mut self) -> bool {
        let paused = self.paused();
        if let Some(episode) = self.episodes.get_mut(&Kind::SuccessDrop) {
            episode.waived = true;
        }
        paused
    }

    /// What α is multiplied with, 0.1..=1.
    pub fn alpha(&self) -> f64 {
        libm::pow(STEP, f64::from(self.steps)).max(LEAST_ALPHA)
    }

    /// Episodes under way.
    pub fn active(&self) -> impl Iterator<Item = Kind> + use<'_> {
        self.episodes.keys().copied()
    }

    /// α goes down a step per bucket while too much is explored, and up again when it is well below.
    fn step(&mut self, limit: f64, now_ms: u64) {
        if now_ms < self.stepped_ms.saturating_add(BUCKET_MS) {
            return;
        }
        // Half an hour: an hour would still show what was before the last steps.
        let Some(share) = self.explored(now_ms, HOUR / 2) else { return };
        let (down, up) = (share > limit, share < limit * (1.0 - 2.0 * MARGIN) && self.steps > 0);
        if down && self.alpha() > LEAST_ALPHA {
            self.steps += 1;
        } else if up {
            self.steps -= 1;
        }
        if down || up {
            self.stepped_ms = now_ms;
        }
    }

    /// The buckets from `from` to `to` buckets before now, the one under way included in the first.
    fn span(&self, now_ms: u64, from: usize, to: usize) -> impl Iterator<Item = &Bucket> {
        let now = now_ms / BUCKET_MS;
        self.buckets.iter().filter(move |b| {
            let age = now.saturating_sub(b.at);
            b.at <= now && (from as u64..to as u64).contains(&age)
        })
    }

    /// (requests, good ones, dollars).
    fn sums(&self, now_ms: u64, from: usize, to: usize) -> (u64, u64, f64) {
        self.span(now_ms, from, to)
            .fold((0, 0, 0.0), |(n, good, dollars), b| (n + b.requests, good + b.good, dollars + b.dollars))
    }

    fn success_drop(&self, now_ms: u64, baseline: Option<f64>) -> Option<Reading> {
        let (n, good, _) = self.sums(now_ms, 0, HOUR);
        let (m, good_before, _) = self.sums(now_ms, HOUR, HOUR * (BEFORE + 1));
        let rate = |good: u64, n: u64| good as f64 / n.max(1) as f64;
        let before = baseline.or((m >= FEWEST).then(|| rate(good_before, m)))?;
        let both = rate(good + good_before, n + m);
        let error = (both * (1.0 - both) * (1.0 / n.max(1) as f64 + 1.0 / m.max(1) as f64)).sqrt();
        let value = before - rate(good, n);
        (n >= FEWEST).then_some(Reading { value, baseline: before, sure: value > SURE * error })
    }

    fn cost_rise(&self, now_ms: u64, baseline: Option<f64>) -> Option<Reading> {
        let mean =
            |(n, _, dollars): (u64, u64, f64)| (n >= FEWEST && dollars > 0.0).then(|| dollars / n as f64);
        let before = baseline.or_else(|| mean(self.sums(now_ms, HOUR, 2 * HOUR)))?;
        let now = mean(self.sums(now_ms, 0, HOUR))?;
        Some(Reading { value: now / before - 1.0, baseline: before, sure: true })
    }

    fn exploration(&self, now_ms: u64, _: Option<f64>) -> Option<Reading> {
        Some(Reading { value: self.explored(now_ms, HOUR)?, baseline: 0.0, sure: true })
    }

    /// Share of the choices of the last `buckets` that explored.
    fn explored(&self, now_ms: u64, buckets: usize) -> Option<f64> {
        let sums = self.span(now_ms, 0, buckets).fold((0, 0), |(n, e), b| (n + b.choices, e + b.explored));
        (sums.0 >= FEWEST).then(|| sums.1 as f64 / sums.0 as f64)
    }

    /// The largest variance, among the models, of a model's mean reward over the hours.
    fn score_variance(&self, now_ms: u64, _: Option<f64>) -> Option<Reading> {
        let mut hours: BTreeMap<&str, Moments> = BTreeMap::new();
        for hour in 0..=BEFORE {
            let mut models: BTreeMap<&str, Moments> = BTreeMap::new();
            for bucket in self.span(now_ms, hour * HOUR, (hour + 1) * HOUR) {
                for (model, rewards) in &bucket.models {
                    let sum = models.entry(model).or_default();
                    *sum = sum.and(rewards);
                }
            }
            for (model, rewards) in models.into_iter().filter(|(_, r)| r.n >= WINDOWS.1) {
                hours.entry(model).or_default().add(rewards.mean());
            }
        }
        let all = hours.values().filter(|means| means.n >= WINDOWS.0 as u64).map(Moments::variance);
        let value = all.reduce(f64::max)?;
        Some(Reading { value, baseline: 0.0, sure: true })
    }

    fn detector_accuracy(&self, _: u64, _: Option<f64>) -> Option<Reading> {
        let n = self.pairs.len();
        let value = self.pairs.iter().filter(|agree| **agree).count() as f64 / n.max(1) as f64;
        (n >= PAIRS.0).then_some(Reading { value, baseline: 0.0, sure: true })
    }
}

type Read = fn(&Watch, u64, Option<f64>) -> Option<Reading>;

fn watched(limits: &AlertsConfig) -> [(Kind, f64, Read); 5] {
    [
        (Kind::SuccessDrop, limits.success_drop, Watch::success_drop),
        (Kind::CostRise, limits.cost_rise, Watch::cost_rise),
        (Kind::Exploration, limits.exploration, Watch::exploration),
        (Kind::ScoreVariance, limits.score_variance, Watch::score_variance),
        (Kind::DetectorAccuracy, limits.detector_accuracy, Watch::detector_accuracy),
    ]
}

// === impl Bucket ===

impl Bucket {
    fn see(&mut self, seen: &Observed) {
        self.requests += 1;
        self.good += u64::from(seen.ok);
        self.dollars += seen.dollars;
        self.choices += u64::from(seen.explored.is_some());
        self.explored += u64::from(seen.explored == Some(true));
        self.models.entry(seen.model.to_owned()).or_default().add(seen.reward);
    }
}

#[cfg(test)]
mod tests;
