//! Time as the module sees it: a mock clock that a test moves, or the machine's own.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the mock clock starts, milliseconds since the Unix epoch.
pub(super) const START_MS: u64 = 1_800_000_000_000;

/// A clock for both of WASI's questions, the time of day and the monotonic time.
pub(super) enum Clock {
    /// Stands still between readings; each reading moves it by `step`.
    Mock { since_start: Duration, step: Duration },
    /// The machine's.
    Real { start: Instant },
}

impl Clock {
    /// A mock clock that moves by a microsecond per reading, so that every stage takes some time.
    pub(super) fn mock() -> Self {
        Self::Mock { since_start: Duration::ZERO, step: Duration::from_micros(1) }
    }

    pub(super) fn real() -> Self {
        Self::Real { start: Instant::now() }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        match self {
            Self::Mock { since_start, .. } => *since_start += by,
            Self::Real { .. } => panic!("only the mock clock can be moved"),
        }
    }

    pub(super) fn set_step(&mut self, by: Duration) {
        match self {
            Self::Mock { step, .. } => *step = by,
            Self::Real { .. } => panic!("only the mock clock has a step"),
        }
    }

    /// Nanoseconds of the day's clock or of the monotonic one.
    pub(super) fn read(&mut self, monotonic: bool) -> u64 {
        let elapsed = match self {
            Self::Mock { since_start, step } => {
                *since_start += *step;
                *since_start
            }
            Self::Real { start } => start.elapsed(),
        };
        let origin = match self {
            // Not zero: a monotonic clock starts anywhere.
            _ if monotonic => Duration::from_secs(1000),
            Self::Mock { .. } => Duration::from_millis(START_MS),
            Self::Real { .. } => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() - elapsed,
        };
        u64::try_from((origin + elapsed).as_nanos()).expect("the clock is within its range")
    }
}
