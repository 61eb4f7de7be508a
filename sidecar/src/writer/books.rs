//! The books opened: what the log says is learned again, and what is due is looked up.

use dragoman_core::chain::Chain;

use super::Rules;
use super::apply::Books;
use super::rebuild::{learned, relearn_and_rewrite};
use super::timetable::{Chore, Timetable};
use super::tune::Lookout;
use crate::clock::now_ms;
use crate::guard::Guard;
use crate::learn::State;
use crate::log::{Log, LogError};
use crate::metrics::Metrics;

/// The fact that says by which rules the log's rows were counted.
const COUNTED_BY: &str = "counted_by";

// === impl Books ===

impl Books {
    /// The books of `log`, as it says itself.
    pub(super) fn open(
        log: Log,
        blank: &State,
        guard: Guard,
        chain: Chain,
        metrics: Metrics,
    ) -> Result<Self, LogError> {
        let (state, lookout) = (blank.clone(), Lookout::default());
        let mut books = Self { log, state, guard, metrics, chain, changed: false, lookout };
        books.recall(blank)?;
        Ok(books)
    }

    /// Learns what the log says; `blank` knows nothing.
    pub(super) fn recall(&mut self, blank: &State) -> Result<(), LogError> {
        let rules = blank.counted_by();
        let base = self.log.view().base(i64::MAX)?;
        let usable = base.is_none_or(|base| blank.read(&base.state).is_ok());
        if usable && self.log.fact(COUNTED_BY)?.as_deref() == Some(&rules) {
            self.state = learned(self.log.view(), blank, i64::MAX)?;
            return Ok(());
        }
        // The first start, or the reward or the encoder was changed since.
        self.state = relearn_and_rewrite(&mut self.log, blank)?;
        self.log.begin()?;
        self.log.audit(now_ms(), "counted_by", &rules)?;
        self.log.set_fact(COUNTED_BY, &rules)?;
        self.log.commit()
    }

    /// What is due when, by what was done when. What was never done counts as done now.
    pub(super) fn timetable(&mut self, rules: &Rules) -> Result<Timetable, LogError> {
        let now = now_ms();
        let mut last = std::collections::BTreeMap::new();
        for fact in rules.schedule.iter().filter_map(|(chore, _)| chore.fact()) {
            let known = self.log.fact(fact)?.and_then(|text| text.parse().ok());
            if known.is_none() {
                self.log.set_fact(fact, &now.to_string())?;
            }
            last.insert(fact, known.unwrap_or(now));
        }
        let last = |chore: Chore| chore.fact().and_then(|fact| last.get(fact)).copied().unwrap_or(now);
        Ok(Timetable::new(rules.schedule.clone(), last))
    }

    /// Brings the metrics up to date.
    pub(super) fn show(&self) {
        for (route, totals) in self.state.totals() {
            self.metrics.route(route, self.state.learner().observations(route), totals);
        }
        self.guard.show();
    }
}
