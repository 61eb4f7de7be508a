//! How often a principal may speak, and how much its word counts.
//!
//! A principal is whoever can be told apart at the door: a token, a rater's name, an address. Each has a token bucket
//! (a burst, refilled by the minute), and each *rater* a number of words a day that count in full; of those beyond, the
//! n-th counts `limit / n`, so that n words weigh about `limit · (1 + ln(n / limit))`: ten times as many, little over
//! three times the weight. The table is bounded, so that names without end cost nothing: where it is full, who was
//! silent longest is forgotten. A weight is written beside what was said and is never computed again; so learning the
//! log again gives the same bits.
#![deny(clippy::indexing_slicing)]

use std::collections::HashMap;

/// Principals that are remembered.
const MOST: usize = 10_000;
/// Milliseconds of a day; days begin at midnight UTC.
const DAY_MS: u64 = 86_400_000;

/// The limits of one principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Words a minute in the long run.
    pub per_minute: u32,
    /// Words at once, after a rest.
    pub burst: u32,
    /// Words a day that count in full.
    pub per_day: u32,
}

/// Everyone who spoke lately.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<String, Account>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    /// Words that may be said at once.
    credit: f64,
    /// When that was so, milliseconds since the Unix epoch.
    time_ms: u64,
    /// Words on the day of `time_ms`.
    today: u32,
}

// === impl Ledger ===

impl Ledger {
    /// `principal` wants to speak at `now` (milliseconds since the Unix epoch). Gives the weight of its word in
    /// 0..=1, or the whole seconds after which it may try again.
    pub fn speak(&mut self, principal: &str, limits: &Limits, now: u64) -> Result<f64, u64> {
        let mut account = self.accounts.get(principal).copied().unwrap_or_else(|| Account::new(limits, now));
        account.refill(limits, now);
        let word = account.take(limits);
        if self.accounts.len() >= MOST && !self.accounts.contains_key(principal) {
            self.forget();
        }
        self.accounts.insert(principal.to_owned(), account);
        word
    }

    /// Forgets the half that was silent longest: the work is shared by as many new names.
    fn forget(&mut self) {
        let mut times: Vec<u64> = self.accounts.values().map(|a| a.time_ms).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.accounts.retain(|_, account| account.time_ms > median);
    }
}

// === impl Account ===

impl Account {
    fn new(limits: &Limits, now: u64) -> Self {
        Self { credit: f64::from(limits.burst), time_ms: now, today: 0 }
    }

    fn refill(&mut self, limits: &Limits, now: u64) {
        let now = now.max(self.time_ms);
        let minutes = (now - self.time_ms) as f64 / 60_000.0;
        self.credit = (self.credit + minutes * f64::from(limits.per_minute)).min(f64::from(limits.burst));
        if now / DAY_MS != self.time_ms / DAY_MS {
            self.today = 0;
        }
        self.time_ms = now;
    }

    fn take(&mut self, limits: &Limits) -> Result<f64, u64> {
        if self.credit < 1.0 {
            let seconds = (1.0 - self.credit) * 60.0 / f64::from(limits.per_minute);
            return Err(libm::ceil(seconds).max(1.0) as u64);
        }
        self.credit -= 1.0;
        self.today = self.today.saturating_add(1);
        Ok((f64::from(limits.per_day) / f64::from(self.today)).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { per_minute: 60, burst: 5, per_day: 4 };
    const NOON: u64 = 20_000 * DAY_MS + DAY_MS / 2;

    #[test]
    fn a_burst_passes_then_the_rate_holds_for_each_principal_alone() {
        let mut ledger = Ledger::default();
        let spoken = (0..7).filter(|_| ledger.speak("a", &LIMITS, NOON).is_ok()).count();
        assert_eq!(spoken, 5);
        assert_eq!(ledger.speak("a", &LIMITS, NOON), Err(1));
        assert!(ledger.speak("b", &LIMITS, NOON).is_ok());
        assert!(ledger.speak("a", &LIMITS, NOON + 999).is_err());
        assert!(ledger.speak("a", &LIMITS, NOON + 1000).is_ok());
    }

    #[test]
    fn words_beyond_the_daily_limit_count_less_and_less_until_midnight() {
        let mut ledger = Ledger::default();
        let mut at = |n: u64| ledger.speak("a", &LIMITS, NOON + n * 1000).unwrap();
        let weights: Vec<f64> = (0..8).map(&mut at).collect();
        assert_eq!(weights, [1.0, 1.0, 1.0, 1.0, 0.8, 4.0 / 6.0, 4.0 / 7.0, 0.5]);
        assert_eq!(at(DAY_MS / 2000), 1.0);
    }

    #[test]
    fn a_clock_that_goes_back_neither_fails_nor_gives_anything() {
        let mut ledger = Ledger::default();
        while ledger.speak("a", &LIMITS, NOON).is_ok() {}
        assert!(ledger.speak("a", &LIMITS, NOON - 3_600_000).is_err());
    }

    #[test]
    fn names_without_end_are_forgotten_and_the_one_that_speaks_is_not() {
        let mut ledger = Ledger::default();
        for n in 0..3 * MOST as u64 {
            let _ = ledger.speak(&n.to_string(), &LIMITS, NOON + n);
            let _ = ledger.speak("steady", &LIMITS, NOON + n);
            assert!(ledger.accounts.len() <= MOST + 1);
        }
        assert!(ledger.accounts["steady"].today > 20);
    }

    proptest! {
        #[test]
        fn nobody_says_more_than_burst_and_rate_allow(waits in proptest::collection::vec(0u64..3000, 1..200)) {
            let (mut ledger, mut now, mut spoken) = (Ledger::default(), NOON, 0.0);
            for wait in waits {
                now += wait;
                match ledger.speak("a", &LIMITS, now) {
                    Ok(weight) => {
                        prop_assert!(weight > 0.0 && weight <= 1.0);
                        spoken += 1.0;
                    }
                    Err(seconds) => prop_assert!(seconds >= 1),
                }
                prop_assert!(spoken <= 5.0 + (now - NOON) as f64 / 1000.0 + 1e-6);
            }
        }
    }
}
