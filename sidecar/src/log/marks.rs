//! What became of snapshots: which arm they were made for, how their trial ended, what people call them.

use dragoman_core::replay::ReplayRecord;
use rusqlite::{Connection, OptionalExtension, params};

use super::events::View;
use super::{Log, LogError, broken, failed, signed};

/// Snapshots kept for a look back and a rollback: so many of the streamed ones, and as many of all others.
const KEPT: i64 = 20;

/// The newest snapshot that was in use as a whole, not a canary by itself.
const NEWEST: &str = "SELECT version, blob FROM snapshots
    WHERE version NOT IN (SELECT version FROM snapshot_marks WHERE arm = 'canary') ORDER BY version DESC LIMIT 1";

/// A version and its blob.
pub(crate) type Kept = Option<(u64, Vec<u8>)>;

/// What [`NEWEST`] finds.
pub(super) fn newest(conn: &Connection) -> Result<Kept, LogError> {
    let row = conn.query_row(NEWEST, [], |r| Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get(1)?)));
    row.optional().map_err(failed("be read"))
}

// === impl Log ===

impl Log {
    /// Version `version` was made for the canary; `state` is what became of it.
    pub fn mark_canary(&mut self, version: u64, state: &str) -> Result<(), LogError> {
        self.execute(
            "INSERT INTO snapshot_marks(version, arm, state) VALUES (?1, 'canary', ?2)
             ON CONFLICT(version) DO UPDATE SET state = ?2",
            params![signed(version), state],
        )
    }

    /// Calls a kept snapshot by a name, which keeps it. False if it is not there.
    pub fn name_snapshot(&mut self, version: u64, name: &str) -> Result<bool, LogError> {
        if self.snapshot(version)?.is_none() {
            return Ok(false);
        }
        // A name is of one snapshot only.
        self.execute("UPDATE snapshot_marks SET name = NULL WHERE name = ?1", [name])?;
        self.execute(
            "INSERT INTO snapshot_marks(version, name) VALUES (?1, ?2) ON CONFLICT(version) DO UPDATE SET name = ?2",
            params![signed(version), name],
        )?;
        Ok(true)
    }

    /// The blob of one snapshot, if it is still kept.
    pub fn snapshot(&self, version: u64) -> Result<Option<Vec<u8>>, LogError> {
        let mut statement = self.prepare("SELECT blob FROM snapshots WHERE version = ?1")?;
        statement.query_row([signed(version)], |r| r.get(0)).optional().map_err(failed("be read"))
    }

    /// The newest snapshot that was in use.
    pub fn newest_snapshot(&self) -> Result<Kept, LogError> {
        newest(&self.conn)
    }

    /// What was in use before the newest, streamed steps left out; what a rollback goes back to.
    pub fn snapshot_before(&self) -> Result<Option<u64>, LogError> {
        let sql = "SELECT version FROM snapshots WHERE tag <> 'stream'
             AND version < (SELECT max(version) FROM snapshots WHERE tag <> 'stream'
                AND version NOT IN (SELECT version FROM snapshot_marks WHERE arm = 'canary'))
             AND version NOT IN (SELECT version FROM snapshot_marks WHERE arm = 'canary')
             ORDER BY version DESC LIMIT 1";
        let row = self.prepare(sql)?.query_row([], |r| r.get::<_, i64>(0)).optional();
        Ok(row.map_err(failed("be read"))?.map(i64::unsigned_abs))
    }

    /// Drops what is beyond the last ones; what has a name or is on trial stays.
    pub(super) fn prune_snapshots(&mut self) -> Result<(), LogError> {
        for streamed in ["tag = 'stream'", "tag <> 'stream'"] {
            let sql = format!(
                "DELETE FROM snapshots WHERE {streamed}
                 AND version NOT IN (SELECT version FROM snapshots WHERE {streamed} ORDER BY version DESC LIMIT {KEPT})
                 AND version NOT IN (SELECT version FROM snapshot_marks WHERE name IS NOT NULL OR state = 'canary')
                 AND tag NOT LIKE 'weekly-%'"
            );
            self.execute(&sql, [])?;
        }
        self.execute("DELETE FROM snapshot_marks WHERE version NOT IN (SELECT version FROM snapshots) AND state <> 'canary'", [])
    }

    /// Writes the reward of event `seq` anew; gives what it was.
    pub fn change_reward(&mut self, seq: i64, reward: f64) -> Result<f64, LogError> {
        let before = self
            .prepare("SELECT reward FROM replays WHERE seq = ?1")?
            .query_row([seq], |r| r.get(0))
            .map_err(failed("be read"))?;
        self.set_reward(seq, reward)?;
        Ok(before)
    }
}

// === impl View ===

impl View<'_> {
    /// Every record whose request came since `from` (milliseconds since the Unix epoch) with its reward as it is now, in
    /// the order of events.
    pub fn rewarded_since(
        &self,
        from: u64,
        mut each: impl FnMut(&ReplayRecord, f64),
    ) -> Result<(), LogError> {
        let read = failed("be read");
        let mut statement =
            self.prepare("SELECT record, reward FROM replays WHERE time_ms >= ?1 ORDER BY seq")?;
        let rows = statement
            .query_map([signed(from)], |r| Ok((r.get::<_, String>(0)?, r.get(1)?)))
            .map_err(&read)?;
        for row in rows {
            let (text, reward) = row.map_err(&read)?;
            each(&serde_json::from_str(&text).map_err(broken("be understood: a record"))?, reward);
        }
        Ok(())
    }
}
