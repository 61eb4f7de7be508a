//! Reading the log beside its writer: for the API and for checking the learner. Every answer is of one moment.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dragoman_core::replay::ReplayRecord;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::events::{Rated, View};
use super::evidence::Heard;
use super::{LogError, failed, open_reader, signed};

/// Connections kept open between calls.
const IDLE: usize = 4;

/// Records that the overview of the routes looks back on.
const RECENT: u32 = 1000;

/// Reads the log; any number of threads at once.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// Which records to list; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The answering model's name.
    pub model: Option<String>,
    /// The decision rule's name.
    pub decision: Option<String>,
    /// The conversation.
    pub session: Option<String>,
    /// Only what came before this event.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// One record in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Place in the order of all events; what `before` takes.
    pub seq: i64,
    /// The record's id.
    pub id: String,
    /// When the request came, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The conversation.
    pub session: Option<String>,
    /// The decision rule.
    pub decision: Option<String>,
    /// The answering model.
    pub model: String,
    /// The answering route.
    pub route: Option<String>,
    /// Its reward with all feedback so far.
    pub reward: f64,
}

/// A record with its feedback, read at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Place in the order of all events.
    pub seq: i64,
    /// The record.
    pub record: ReplayRecord,
    /// In the order in which it came.
    pub feedback: Vec<Rated>,
    /// All that was heard, feedback included, in the order in which it came.
    pub evidence: Vec<Heard>,
}

/// A stored snapshot, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotRow {
    /// Its version.
    pub version: i64,
    /// When it was built, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Why it was built; see [`crate::writer::Knowledge::tag`].
    pub tag: String,
    /// What people call it.
    pub name: Option<String>,
    /// `live`, or `canary` if it was made to be tried.
    pub arm: String,
    /// `live` (in use), `past`; of a canary `canary` (on trial), `withdrawn`, `promoted`.
    pub state: String,
    /// Size of the blob.
    pub bytes: i64,
}

/// How a model fared lately.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteShare {
    /// The decision rule, if one held.
    pub decision: Option<String>,
    /// The answering model.
    pub model: String,
    /// Records of the last 1000.
    pub count: i64,
    /// Mean reward of these.
    pub reward: f64,
}

// === impl Reader ===

impl Reader {
    /// A reader of the log at `path`, which its writer has made.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default() }
    }

    /// The record of `id` with its feedback and all other evidence.
    pub fn stored(&self, id: &str) -> Result<Option<Stored>, LogError> {
        self.with(|conn| {
            let view = View::of(conn);
            let Some(replay) = view.replay(id)? else { return Ok(None) };
            let feedback = view.feedback(id, i64::MAX)?;
            let evidence = view.evidence(id, i64::MAX)?;
            Ok(Some(Stored { seq: replay.seq, record: replay.record, feedback, evidence }))
        })
    }

    /// The newest records that fit `filter`, newest first.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Summary>, LogError> {
        // Built of fixed texts, so that SQLite sees which index serves; values are bound.
        let mut sql = "SELECT seq, id, time_ms, session, decision, model, route, reward FROM replays
             WHERE seq < ?1 AND (?2 IS NULL OR 1) AND (?3 IS NULL OR 1) AND (?4 IS NULL OR 1)"
            .to_owned();
        let conditions = [
            (&filter.model, " AND model = ?2"),
            (&filter.decision, " AND decision = ?3"),
            (&filter.session, " AND session = ?4"),
        ];
        conditions.iter().filter(|(value, _)| value.is_some()).for_each(|(_, sql_part)| sql += sql_part);
        sql += " ORDER BY seq DESC LIMIT ?5";
        let before = filter.before.unwrap_or(i64::MAX);
        let values = params![before, filter.model, filter.decision, filter.session, filter.limit];
        self.with(|conn| rows(conn, &sql, values, summary))
    }

    /// The snapshots that are kept, newest first.
    pub fn snapshots(&self) -> Result<Vec<SnapshotRow>, LogError> {
        let sql = "SELECT s.version, created_ms, tag, length(blob), name, ifnull(arm, 'live'),
             ifnull(state, CASE s.version WHEN (SELECT max(version) FROM snapshots WHERE version NOT IN
                (SELECT version FROM snapshot_marks WHERE arm = 'canary')) THEN 'live' ELSE 'past' END)
             FROM snapshots s LEFT JOIN snapshot_marks m ON m.version = s.version ORDER BY s.version DESC";
        self.with(|conn| {
            rows(conn, sql, [], |r| {
                Ok(SnapshotRow {
                    version: r.get(0)?,
                    created_ms: r.get(1)?,
                    tag: r.get(2)?,
                    bytes: r.get(3)?,
                    name: r.get(4)?,
                    arm: r.get(5)?,
                    state: r.get(6)?,
                })
            })
        })
    }

    /// Version and blob of the newest snapshot that was in use.
    pub fn latest_snapshot(&self) -> Result<Option<(u64, Vec<u8>)>, LogError> {
        self.with(super::marks::newest)
    }

    /// The blob of one snapshot, if it is still kept.
    pub fn snapshot(&self, version: u64) -> Result<Option<Vec<u8>>, LogError> {
        self.with(|conn| {
            let row =
                conn.query_row("SELECT blob FROM snapshots WHERE version = ?1", [signed(version)], |r| {
                    r.get(0)
                });
            row.optional().map_err(failed("be read"))
        })
    }

    /// How the models of each decision fared in the last 1000 records.
    pub fn shares(&self) -> Result<Vec<RouteShare>, LogError> {
        let sql = "SELECT decision, model, count(*), avg(reward) FROM
             (SELECT decision, model, reward FROM replays ORDER BY seq DESC LIMIT ?1)
             GROUP BY decision, model ORDER BY decision, count(*) DESC";
        self.with(|conn| {
            rows(conn, sql, [RECENT], |r| {
                Ok(RouteShare { decision: r.get(0)?, model: r.get(1)?, count: r.get(2)?, reward: r.get(3)? })
            })
        })
    }

    /// Runs `work` on a connection of its own, in one read transaction.
    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, LogError>) -> Result<T, LogError> {
        let conn = match self.pop() {
            Some(conn) => conn,
            None => open_reader(&self.path)?,
        };
        conn.execute_batch("BEGIN").map_err(failed("be read"))?;
        let result = work(&conn);
        // A connection that cannot end its transaction is dropped, which ends it.
        if conn.execute_batch("COMMIT").is_ok() {
            self.push(conn);
        }
        result
    }

    fn pop(&self) -> Option<Connection> {
        self.idle.lock().ok()?.pop()
    }

    fn push(&self, conn: Connection) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE
        {
            idle.push(conn);
        }
    }
}

fn rows<T>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    of: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> Result<Vec<T>, LogError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed("be read"))?;
    let rows = statement.query_map(params, of).map_err(failed("be read"))?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed("be read"))
}

fn summary(row: &Row) -> rusqlite::Result<Summary> {
    Ok(Summary {
        seq: row.get(0)?,
        id: row.get(1)?,
        time_ms: row.get(2)?,
        session: row.get(3)?,
        decision: row.get(4)?,
        model: row.get(5)?,
        route: row.get(6)?,
        reward: row.get(7)?,
    })
}
