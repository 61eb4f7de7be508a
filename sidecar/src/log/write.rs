//! The log's one writer.

use std::path::Path;
use std::time::Duration;

use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::Feedback;
use rusqlite::{Connection, OptionalExtension, params};

use super::events::{Rated, View};
use super::{LogError, SCHEMA, TABLES, UPGRADES, broken, failed, signed};
use crate::learn::Outcome;

/// Rows of the audit that go in one transaction.
const AUDIT_CHUNK: i64 = 1000;

/// The log, open for writing. Changes happen between [`Log::begin`] and [`Log::commit`].
#[derive(Debug)]
pub struct Log {
    pub(super) conn: Connection,
    next_seq: i64,
}

impl Log {
    /// Opens the log at `path`, made if it is not there.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, is no SQLite file, or was made by another version.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let open = failed("be opened");
        let conn = Connection::open(path).map_err(&open)?;
        conn.busy_timeout(Duration::from_secs(5)).map_err(&open)?;
        // Before the first table: only then a file is made so that deleted pages can be given back one by one.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(&open)?;
        // Deleted prompts are overwritten.
        conn.pragma_update(None, "secure_delete", "ON").map_err(&open)?;
        // FULL: a commit is on the disk before it is acknowledged, also when the machine itself goes down.
        conn.pragma_update(None, "journal_mode", "WAL").map_err(&open)?;
        conn.pragma_update(None, "synchronous", "FULL").map_err(&open)?;
        let version: i64 = conn.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(&open)?;
        if !(0..=TABLES).contains(&version) {
            let why = format!(
                "its tables have version {version}, this build reads {TABLES}: use matching versions"
            );
            return Err(LogError { what: "be opened", why });
        }
        upgrade(&conn, version).map_err(&open)?;
        let mut log = Self { conn, next_seq: 1 };
        log.next_seq = log.last_seq()? + 1;
        Ok(log)
    }

    /// Starts a transaction.
    pub fn begin(&mut self) -> Result<(), LogError> {
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(failed("begin a write"))
    }

    /// Makes the changes since [`Log::begin`] durable.
    pub fn commit(&mut self) -> Result<(), LogError> {
        self.conn.execute_batch("COMMIT").map_err(failed("be written"))
    }

    /// Forgets the changes since [`Log::begin`].
    pub fn rollback(&mut self) -> Result<(), LogError> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK").map_err(failed("take back a failed write"))?;
        }
        self.next_seq = self.last_seq()? + 1;
        Ok(())
    }

    /// The last event's number; 0 of an empty log.
    pub fn last_seq(&self) -> Result<i64, LogError> {
        self.number(
            "SELECT max(ifnull((SELECT max(seq) FROM replays), 0), ifnull((SELECT max(seq) FROM feedback), 0),
             ifnull((SELECT max(seq) FROM evidence), 0), ifnull((SELECT max(seq) FROM turns), 0),
             ifnull((SELECT max(seq) FROM checkpoints), 0))",
        )
    }

    /// Version of the newest snapshot; 0 if there is none.
    pub fn last_version(&self) -> Result<u64, LogError> {
        self.number(
            "SELECT max(ifnull((SELECT max(version) FROM snapshots), 0),
             ifnull((SELECT max(version) FROM snapshot_marks), 0))",
        )
        .map(i64::unsigned_abs)
    }

    /// Whether a record of this id is there.
    pub fn has(&self, id: &str) -> Result<bool, LogError> {
        let mut statement = self.prepare("SELECT 1 FROM replays WHERE id = ?1")?;
        statement.exists([id]).map_err(failed("be read"))
    }

    /// Appends a record with what was learned from it.
    pub fn add_replay(&mut self, record: &ReplayRecord, outcome: &Outcome) -> Result<i64, LogError> {
        let text = serde_json::to_string(record).map_err(broken("hold a record"))?;
        let seq = self.take_seq();
        self.execute(
            "INSERT INTO replays(seq, id, time_ms, session, decision, model, route, ordinal, reward, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                seq,
                record.id,
                signed(record.time_ms),
                record.session,
                record.decision,
                answering_model(record),
                outcome.route,
                outcome.ordinal.map(signed),
                outcome.reward.total,
                text
            ],
        )?;
        Ok(seq)
    }

    /// Writes anew what was learned from event `seq`.
    pub fn set_outcome(&mut self, seq: i64, outcome: &Outcome) -> Result<(), LogError> {
        self.execute(
            "UPDATE replays SET route = ?2, ordinal = ?3, reward = ?4 WHERE seq = ?1",
            params![seq, outcome.route, outcome.ordinal.map(signed), outcome.reward.total],
        )
    }

    /// Writes the reward of event `seq` anew.
    pub fn set_reward(&mut self, seq: i64, reward: f64) -> Result<(), LogError> {
        self.execute("UPDATE replays SET reward = ?2 WHERE seq = ?1", params![seq, reward])
    }

    /// Appends feedback and gives its number. The caller made sure that this rater has not spoken yet.
    pub fn add_feedback(
        &mut self,
        id: &str,
        rater: &str,
        said: &Feedback,
        weight: f64,
        now: u64,
    ) -> Result<i64, LogError> {
        let text = serde_json::to_string(said).map_err(broken("hold feedback"))?;
        let seq = self.take_seq();
        self.execute(
            "INSERT INTO feedback(seq, replay_id, rater, time_ms, feedback, weight)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![seq, id, rater, signed(now), text, weight],
        )?;
        Ok(seq)
    }

    /// Keeps feedback until its record comes; a rater's first word counts.
    pub fn add_pending(
        &mut self,
        id: &str,
        rater: &str,
        said: &Feedback,
        weight: f64,
        now: u64,
    ) -> Result<(), LogError> {
        let text = serde_json::to_string(said).map_err(broken("hold feedback"))?;
        self.execute(
            "INSERT OR IGNORE INTO pending_feedback(replay_id, rater, time_ms, feedback, weight)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, rater, signed(now), text, weight],
        )
    }

    /// Takes out the feedback that waited for `id`, with its times, in order.
    pub fn take_pending(&mut self, id: &str) -> Result<Vec<(u64, Rated)>, LogError> {
        let read = failed("be read");
        let mut statement = self.prepare(
            "SELECT rater, time_ms, feedback, weight FROM pending_feedback WHERE replay_id = ?1 ORDER BY seq",
        )?;
        let rows = statement
            .query_map([id], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?, r.get::<_, String>(2)?, r.get(3)?)));
        let waiting: Vec<(u64, Rated)> = rows
            .map_err(&read)?
            .map(|row| {
                let (rater, time, text, weight) = row.map_err(&read)?;
                let feedback = serde_json::from_str(&text).map_err(broken("be understood: feedback"))?;
                Ok((time.unsigned_abs(), Rated { rater, feedback, weight }))
            })
            .collect::<Result<_, LogError>>()?;
        drop(statement);
        if !waiting.is_empty() {
            self.execute("DELETE FROM pending_feedback WHERE replay_id = ?1", [id])?;
        }
        Ok(waiting)
    }

    /// How much feedback waits for its record.
    pub fn pending(&self) -> Result<u64, LogError> {
        self.number("SELECT count(*) FROM pending_feedback").map(i64::unsigned_abs)
    }

    /// Drops feedback that has waited since before `time_ms`; says how much.
    pub fn drop_pending(&mut self, time_ms: u64) -> Result<usize, LogError> {
        let dropped = self.conn.execute("DELETE FROM pending_feedback WHERE time_ms < ?1", [signed(time_ms)]);
        dropped.map_err(failed("be written"))
    }

    /// Keeps a snapshot and drops old ones.
    pub fn add_snapshot(&mut self, version: u64, now: u64, tag: &str, blob: &[u8]) -> Result<(), LogError> {
        self.execute(
            // A candidate is kept once, though a restart in the middle of its trial keeps it again.
            "INSERT OR IGNORE INTO snapshots(version, created_ms, tag, blob) VALUES (?1, ?2, ?3, ?4)",
            params![signed(version), signed(now), tag, blob],
        )?;
        self.prune_snapshots()
    }

    /// Notes a change of state for people who ask later what happened.
    pub fn audit(&mut self, now: u64, what: &str, detail: &str) -> Result<(), LogError> {
        self.execute(
            "INSERT INTO audit(time_ms, what, detail) VALUES (?1, ?2, ?3)",
            params![signed(now), what, detail],
        )
    }

    /// Drops rows of the audit from before `time_ms`, some at a time; says how many.
    pub fn drop_audit(&mut self, time_ms: u64) -> Result<usize, LogError> {
        // The oldest by number: times need no index, and there is never much to look at.
        self.changes(
            "DELETE FROM audit WHERE time_ms < ?1 AND seq IN (SELECT seq FROM audit ORDER BY seq LIMIT ?2)",
            params![signed(time_ms), AUDIT_CHUNK],
        )
    }

    /// A small fact about the log itself.
    pub fn fact(&self, name: &str) -> Result<Option<String>, LogError> {
        let mut statement = self.prepare("SELECT value FROM facts WHERE name = ?1")?;
        statement.query_row([name], |r| r.get(0)).optional().map_err(failed("be read"))
    }

    /// Writes a fact.
    pub fn set_fact(&mut self, name: &str, value: &str) -> Result<(), LogError> {
        self.execute("INSERT OR REPLACE INTO facts(name, value) VALUES (?1, ?2)", [name, value])
    }

    /// Folds the write-ahead log into the file.
    pub fn checkpoint(&self) -> Result<(), LogError> {
        let done = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        done.map_err(failed("be folded into one file"))
    }

    /// The log as this writer sees it, its own changes included.
    pub fn view(&self) -> View<'_> {
        View::of(&self.conn)
    }

    /// Its connection, for what is no change of rows.
    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }

    pub(super) fn take_seq(&mut self) -> i64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, LogError> {
        self.conn.prepare_cached(sql).map_err(failed("be read"))
    }

    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), LogError> {
        self.changes(sql, params).map(drop)
    }

    /// The same, and how many rows it changed.
    pub(super) fn changes(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, LogError> {
        let done = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        done.map_err(failed("be written"))
    }

    fn number(&self, sql: &str) -> Result<i64, LogError> {
        self.prepare(sql)?.query_row([], |r| r.get(0)).map_err(failed("be read"))
    }
}

/// Makes the tables, or those of an earlier version into today's, in one transaction.
fn upgrade(conn: &Connection, version: i64) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let steps = UPGRADES.iter().filter(|(from, _)| version > 0 && *from >= version).map(|(_, sql)| *sql);
    let done = steps.chain([SCHEMA]).try_for_each(|sql| conn.execute_batch(sql));
    let done = done.and_then(|()| conn.pragma_update(None, "user_version", TABLES));
    conn.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

/// The model whose answer the client got.
pub(super) fn answering_model(record: &ReplayRecord) -> &str {
    record.escalated_to.as_ref().map_or(&record.model, |e| &e.model)
}
