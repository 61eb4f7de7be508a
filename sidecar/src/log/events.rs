//! Reading the log's events again in the order in which they were learned.

use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::Feedback;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{LogError, broken, failed, signed};
use crate::learn::Turn;

/// The log as seen through one connection: the writer's own, or one beside it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a>(&'a Connection);

/// Events read at once: bounds a rebuild's memory.
const PAGE: u32 = 512;

/// One thing that was learned from.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A record came.
    Replay {
        /// Place in the order of all events.
        seq: i64,
        /// The record.
        record: Box<ReplayRecord>,
    },
    /// Feedback on an earlier record came, or other evidence about it.
    Feedback {
        /// Place in the order of all events.
        seq: i64,
        /// The record's id.
        replay_id: String,
    },
    /// The loop decided something.
    Turn {
        /// Place in the order of all events.
        seq: i64,
        /// What.
        turn: Box<Turn>,
    },
}

/// A record as the writer needs it when feedback comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Place in the order of all events.
    pub seq: i64,
    /// See [`crate::learn::Outcome::ordinal`].
    pub ordinal: Option<u64>,
    /// The record.
    pub record: ReplayRecord,
}

/// Feedback as it was given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rated {
    /// Who gave it.
    pub rater: String,
    /// What was said.
    #[serde(flatten)]
    pub feedback: Feedback,
    /// How much this voice counts, 0..=1.
    pub weight: f64,
}

// === impl Event ===

impl Event {
    /// Place in the order of all events.
    pub fn seq(&self) -> i64 {
        match self {
            Self::Replay { seq, .. } | Self::Feedback { seq, .. } | Self::Turn { seq, .. } => *seq,
        }
    }

    fn of(row: &Row) -> rusqlite::Result<Result<Self, LogError>> {
        let seq = row.get(0)?;
        if let Some(text) = row.get::<_, Option<String>>(1)? {
            return Ok(parse(&text).map(|record| Self::Replay { seq, record: Box::new(record) }));
        }
        Ok(match row.get::<_, Option<String>>(2)? {
            Some(replay_id) => Ok(Self::Feedback { seq, replay_id }),
            None => serde_json::from_str(&row.get::<_, String>(3)?)
                .map(|turn| Self::Turn { seq, turn: Box::new(turn) })
                .map_err(broken("be understood: a turn")),
        })
    }
}

// === impl View ===

impl<'a> View<'a> {
    /// The log as `conn` sees it.
    pub(crate) fn of(conn: &'a Connection) -> Self {
        Self(conn)
    }

    /// The next events after `after` up to `through`, a page of them; none at the end.
    pub fn events(&self, after: i64, through: i64) -> Result<Vec<Event>, LogError> {
        let read = failed("be read");
        let mut statement = self.prepare(
            "SELECT seq, record, NULL AS replay_id, NULL AS turn FROM replays WHERE seq > ?1 AND seq <= ?2
             UNION ALL SELECT seq, NULL, replay_id, NULL FROM feedback WHERE seq > ?1 AND seq <= ?2
             UNION ALL SELECT seq, NULL, replay_id, NULL FROM evidence WHERE seq > ?1 AND seq <= ?2
             UNION ALL SELECT seq, NULL, NULL, turn FROM turns WHERE seq > ?1 AND seq <= ?2
             ORDER BY seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![after, through, PAGE], Event::of).map_err(&read)?;
        rows.map(|row| row.map_err(&read)?).collect()
    }

    /// The next records after event `after` whose requests came in `from..until` (milliseconds since the Unix
    /// epoch), a page of them with their places; none at the end.
    pub fn replays(&self, after: i64, from: u64, until: u64) -> Result<Vec<(i64, ReplayRecord)>, LogError> {
        let read = failed("be read");
        let mut statement = self.prepare(
            "SELECT seq, record FROM replays WHERE seq > ?1 AND time_ms >= ?2 AND time_ms < ?3
             ORDER BY seq LIMIT ?4",
        )?;
        let values = params![after, signed(from), signed(until), PAGE];
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?))).map_err(&read)?;
        rows.map(|row| {
            let (seq, text): (i64, String) = row.map_err(&read)?;
            Ok((seq, parse(&text)?))
        })
        .collect()
    }

    /// The record of `id`, as the learner needs it.
    pub fn replay(&self, id: &str) -> Result<Option<Replay>, LogError> {
        let row: Option<(i64, Option<i64>, String)> = self
            .prepare("SELECT seq, ordinal, record FROM replays WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
            .map_err(failed("be read"))?;
        let Some((seq, ordinal, text)) = row else { return Ok(None) };
        Ok(Some(Replay { seq, ordinal: ordinal.and_then(|o| u64::try_from(o).ok()), record: parse(&text)? }))
    }

    /// Feedback on `id` that was learned before event `before`, in order.
    pub fn feedback(&self, id: &str, before: i64) -> Result<Vec<Rated>, LogError> {
        let read = failed("be read");
        let sql =
            "SELECT rater, feedback, weight FROM feedback WHERE replay_id = ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = self.prepare(sql)?;
        let rows = statement
            .query_map(params![id, before], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(&read)?;
        rows.map(|row| {
            let (rater, text, weight): (String, String, f64) = row.map_err(&read)?;
            let feedback = serde_json::from_str(&text).map_err(broken("be understood: feedback"))?;
            Ok(Rated { rater, feedback, weight })
        })
        .collect()
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, LogError> {
        self.0.prepare_cached(sql).map_err(failed("be read"))
    }
}

fn parse(record: &str) -> Result<ReplayRecord, LogError> {
    serde_json::from_str(record).map_err(broken("be understood: a record"))
}
