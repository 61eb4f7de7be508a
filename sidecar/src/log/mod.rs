//! The replay log: one SQLite file that is the truth. Everything learned can be built again from it.
//!
//! Replays, feedback, other evidence and turns share one sequence number, so that a rebuild sees all in exactly the order in
//! which they were learned. This room owns the file, its tables and its SQL; it must not know what is learned from it.

mod checkpoints;
mod events;
mod evidence;
mod history;
mod marks;
mod read;
mod write;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use checkpoints::{Checkpoint, time_of};
pub use events::{Event, Rated, Replay, View};
pub use evidence::Heard;
pub use history::Change;
pub use read::{Filter, Reader, RouteShare, SnapshotRow, Stored, Summary};
pub use write::Log;

/// Name of the log's file within the data directory.
pub const FILE: &str = "replay.db";

/// Version of the tables. New tables are made where they are missing.
const TABLES: i64 = 2;

/// What makes the tables of a version into those of the next.
const UPGRADES: [(i64, &str); 1] = [(
    1,
    "ALTER TABLE feedback ADD COLUMN weight REAL NOT NULL DEFAULT 1.0;
   ALTER TABLE pending_feedback ADD COLUMN weight REAL NOT NULL DEFAULT 1.0;",
)];

/// `turns` are what the loop itself decided, events like the others. `checkpoints` stand in for the events up to theirs.
/// `pending_feedback` holds what came before its record: batches of records are up to a flush behind the answers.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS replays(
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time_ms INTEGER NOT NULL, session TEXT, decision TEXT,
  model TEXT NOT NULL, route TEXT, ordinal INTEGER, reward REAL NOT NULL, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS replays_by_session ON replays(session, seq) WHERE session IS NOT NULL;
CREATE INDEX IF NOT EXISTS replays_by_decision ON replays(decision, seq) WHERE decision IS NOT NULL;
CREATE INDEX IF NOT EXISTS replays_by_model ON replays(model, seq);
CREATE TABLE IF NOT EXISTS feedback(
  seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, rater TEXT NOT NULL, time_ms INTEGER NOT NULL,
  feedback TEXT NOT NULL, weight REAL NOT NULL DEFAULT 1.0, UNIQUE(replay_id, rater));
CREATE TABLE IF NOT EXISTS turns(seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, turn TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints(
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, proposal INTEGER, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,
  adopted INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pending_feedback(
  seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, rater TEXT NOT NULL, time_ms INTEGER NOT NULL,
  feedback TEXT NOT NULL, weight REAL NOT NULL DEFAULT 1.0, UNIQUE(replay_id, rater));
CREATE TABLE IF NOT EXISTS evidence(
  seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, source TEXT NOT NULL, time_ms INTEGER NOT NULL,
  detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS evidence_by_replay ON evidence(replay_id, seq);
CREATE TABLE IF NOT EXISTS snapshots(
  version INTEGER PRIMARY KEY, created_ms INTEGER NOT NULL, tag TEXT NOT NULL, blob BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot_marks(
  version INTEGER PRIMARY KEY, arm TEXT NOT NULL DEFAULT 'live', state TEXT, name TEXT);
CREATE TABLE IF NOT EXISTS audit(
  seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// A log operation that failed.
#[derive(Debug)]
pub struct LogError {
    what: &'static str,
    why: String,
}

/// Holds the data directory against a second sidecar; two writers would number their events alike. The operating
/// system lets go when the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of `data_dir`.
    ///
    /// # Errors
    ///
    /// A sentence: another process holds it, or the file cannot be made.
    pub fn take(data_dir: &Path) -> Result<Self, String> {
        let path = data_dir.join("lock");
        let file = File::create(&path).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(format!(
                "another dragoman already serves from {}: stop it, or give this one its own data_dir",
                data_dir.display()
            )),
            Err(std::fs::TryLockError::Error(e)) => Err(format!("cannot lock {}: {e}", path.display())),
        }
    }
}

/// Opens the log for reading beside its writer.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(failed("be opened for reading"))?;
    conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed("be opened for reading"))?;
    Ok(conn)
}

/// The log's path in `data_dir`.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

fn failed(what: &'static str) -> impl Fn(rusqlite::Error) -> LogError {
    move |e| LogError { what, why: e.to_string() }
}

fn broken(what: &'static str) -> impl Fn(serde_json::Error) -> LogError {
    move |e| LogError { what, why: e.to_string() }
}

/// SQLite's integers are signed; what does not fit is a time or a count that cannot be.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the replay log could not {}: {}", self.what, self.why)
    }
}

impl std::error::Error for LogError {}
