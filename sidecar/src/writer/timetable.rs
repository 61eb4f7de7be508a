//! When chores are due: by a clock that is passed in.

use dragoman_core::config::Config;
use dragoman_core::cron::Cron;

/// What is done by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Rebuild from the log and compare.
    Batch,
    /// Learn everything anew.
    Retrain,
    /// Write the report.
    Report,
}

/// How often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Never.
    Never,
    /// Once in so many milliseconds.
    Every(u64),
    /// At these times.
    At(Cron),
}

/// How often each chore is done.
pub type Schedule = [(Chore, When); 3];

/// What is due next.
#[derive(Debug)]
pub(super) struct Timetable {
    schedule: Schedule,
    /// When each is due, milliseconds since the Unix epoch.
    due: [Option<u64>; 3],
}

/// The schedule of `config`.
pub(super) fn schedule(config: &Config) -> Schedule {
    let at = |cron: &Option<Cron>| cron.clone().map_or(When::Never, When::At);
    let batch = config.learner.batch_seconds.map(|seconds| When::Every(seconds * 1000));
    [
        (Chore::Batch, batch.unwrap_or_else(|| at(&config.schedule.batch))),
        (Chore::Retrain, at(&config.schedule.retrain)),
        (Chore::Report, at(&config.schedule.report)),
    ]
}

// === impl Chore ===

impl Chore {
    /// The fact that says when it was last done; the batch is done with every start.
    pub(super) fn fact(self) -> Option<&'static str> {
        match self {
            Self::Batch => None,
            Self::Retrain => Some("last_retrain_ms"),
            Self::Report => Some("last_report_ms"),
        }
    }
}

// === impl Timetable ===

impl Timetable {
    /// `last` says when a chore was last done. One that was missed meanwhile is due at once, and once.
    pub(super) fn new(schedule: Schedule, last: impl Fn(Chore) -> u64) -> Self {
        let due = schedule.each_ref().map(|(chore, when)| when.after(last(*chore)));
        Self { schedule, due }
    }

    /// What is due by `now`; it is next due after that.
    pub(super) fn take(&mut self, now: u64) -> Vec<Chore> {
        let mut chores = Vec::new();
        for ((chore, when), due) in self.schedule.iter().zip(&mut self.due) {
            if due.is_some_and(|due| due <= now) {
                *due = when.after(now);
                chores.push(*chore);
            }
        }
        chores
    }

    /// When the next one is due, milliseconds since the Unix epoch.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.iter().flatten().min().copied()
    }
}

// === impl When ===

impl When {
    fn after(&self, ms: u64) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::Every(period) => Some(ms + period),
            Self::At(cron) => cron.next(ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn table(last: u64) -> Timetable {
        let six = When::At(Cron::parse("0 */6 * * *").unwrap());
        let schedule =
            [(Chore::Batch, When::Every(HOUR)), (Chore::Retrain, six), (Chore::Report, When::Never)];
        Timetable::new(schedule, |_| last)
    }

    #[test]
    fn chores_come_when_they_are_due_and_not_before() {
        let mut table = table(HOUR / 2);
        assert_eq!((table.next(), table.take(HOUR)), (Some(HOUR + HOUR / 2), vec![]));
        assert_eq!(table.take(2 * HOUR), [Chore::Batch]);
        assert_eq!(table.next(), Some(3 * HOUR));
        assert_eq!(table.take(6 * HOUR), [Chore::Batch, Chore::Retrain]);
        assert_eq!(table.next(), Some(7 * HOUR));
    }

    #[test]
    fn what_was_missed_while_nobody_was_there_is_done_once() {
        let mut table = table(HOUR);
        let now = 100 * HOUR + 1;
        assert!(table.next().is_some_and(|due| due < now));
        assert_eq!(table.take(now), [Chore::Batch, Chore::Retrain]);
        assert_eq!(table.take(now), []);
        assert_eq!(table.next(), Some(now + HOUR));
    }
}
