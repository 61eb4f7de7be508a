//! What happened in a stretch of time: for reports.

use rusqlite::params;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::events::View;
use super::{LogError, broken, failed, signed};

/// Records read at once: bounds a report's memory.
const PAGE: u32 = 2048;

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What kind.
    pub what: String,
    /// A sentence, or JSON.
    pub detail: String,
}

// === impl View ===

impl View<'_> {
    /// The next records after event `after` whose requests came in `from..until` (milliseconds since the Unix epoch)
    /// with their rewards, a page of them with their places; none at the end.
    pub fn rewarded<T: DeserializeOwned>(
        &self,
        after: i64,
        from: u64,
        until: u64,
    ) -> Result<Vec<(i64, T, f64)>, LogError> {
        let read = failed("be read");
        let mut statement = self.prepare(
            "SELECT seq, record, reward FROM replays WHERE seq > ?1 AND time_ms >= ?2 AND time_ms < ?3
             ORDER BY seq LIMIT ?4",
        )?;
        let values = params![after, signed(from), signed(until), PAGE];
        let rows = statement
            .query_map(values, |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))
            .map_err(&read)?;
        rows.map(|row| {
            let (seq, text, reward) = row.map_err(&read)?;
            Ok((seq, serde_json::from_str(&text).map_err(broken("be understood: a record"))?, reward))
        })
        .collect()
    }

    /// Times of the feedback that came in `from..until`.
    pub fn feedback_times(&self, from: u64, until: u64) -> Result<Vec<u64>, LogError> {
        let read = failed("be read");
        let sql = "SELECT time_ms FROM feedback WHERE time_ms >= ?1 AND time_ms < ?2 ORDER BY seq";
        let mut statement = self.prepare(sql)?;
        let values = params![signed(from), signed(until)];
        let rows =
            statement.query_map(values, |row| Ok(row.get::<_, i64>(0)?.unsigned_abs())).map_err(&read)?;
        rows.map(|row| row.map_err(&read)).collect()
    }

    /// What the audit says of `from..until`, oldest first.
    pub fn audited(&self, from: u64, until: u64) -> Result<Vec<Change>, LogError> {
        self.changes(
            "SELECT time_ms, what, detail FROM audit WHERE time_ms >= ?1 AND time_ms < ?2 ORDER BY seq",
            from,
            until,
        )
    }

    /// The snapshots that were made in `from..until` and are still kept, streamed ones left out: the tag, and version and bytes.
    pub fn snapshots_of(&self, from: u64, until: u64) -> Result<Vec<Change>, LogError> {
        let sql =
            "SELECT created_ms, tag, 'version ' || version || ', ' || length(blob) || ' bytes' FROM snapshots
             WHERE created_ms >= ?1 AND created_ms < ?2 AND tag <> 'stream' ORDER BY version";
        self.changes(sql, from, until)
    }

    fn changes(&self, sql: &str, from: u64, until: u64) -> Result<Vec<Change>, LogError> {
        let read = failed("be read");
        let mut statement = self.prepare(sql)?;
        let rows = statement
            .query_map(params![signed(from), signed(until)], |row| {
                Ok(Change {
                    time_ms: row.get::<_, i64>(0)?.unsigned_abs(),
                    what: row.get(1)?,
                    detail: row.get(2)?,
                })
            })
            .map_err(&read)?;
        rows.map(|row| row.map_err(&read)).collect()
    }
}
