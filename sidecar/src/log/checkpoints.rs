//! Turns, checkpoints, and the log's old end: what is deleted, and what must stay because a later event needs it.

use rusqlite::{OptionalExtension, Row, params};

use super::events::View;
use super::write::Log;
use super::{LogError, broken, failed, signed};
use crate::learn::Turn;

/// The fact that says how old a record must be to be gone, milliseconds since the Unix epoch.
const HORIZON_MS: &str = "horizon_ms";

/// Records deleted at once, so that nobody waits long.
const CHUNK: u32 = 500;
/// Pages given back to the file system at once.
const PAGES: i64 = 2000;

/// Which rebuilds a checkpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What was streamed up to the log's old end.
    Horizon,
    /// What was learned anew; counts once it is adopted.
    Retrained,
}

/// A state at one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of a retrained one, its proposal.
    pub proposal: Option<i64>,
    /// The last event within it.
    pub seq: i64,
    /// What [`crate::learn::State::written`] gave.
    pub state: Vec<u8>,
}

// === impl Kind ===

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Horizon => "horizon",
            Self::Retrained => "retrained",
        }
    }
}

// === impl View ===

impl View<'_> {
    /// The newest adopted checkpoint of an event up to `through`: what a rebuild starts from.
    pub fn base(&self, through: i64) -> Result<Option<Checkpoint>, LogError> {
        self.checkpoint("adopted = 1 AND seq <= ?1", through)
    }

    /// The state at the log's old end, if it has lost any events.
    pub fn horizon(&self) -> Result<Option<Checkpoint>, LogError> {
        self.checkpoint("kind = 'horizon' AND seq <= ?1", i64::MAX)
    }

    /// The newest retrained one that waits for its verdict.
    pub fn candidate(&self) -> Result<Option<Checkpoint>, LogError> {
        self.checkpoint("adopted = 0 AND seq <= ?1", i64::MAX)
    }

    fn checkpoint(&self, which: &str, through: i64) -> Result<Option<Checkpoint>, LogError> {
        let sql = format!(
            "SELECT proposal, seq, state FROM checkpoints WHERE {which} ORDER BY seq DESC, id DESC LIMIT 1"
        );
        let of = |row: &Row| Ok(Checkpoint { proposal: row.get(0)?, seq: row.get(1)?, state: row.get(2)? });
        self.prepare(&sql)?.query_row([through], of).optional().map_err(failed("be read"))
    }

    /// The last event that is older than `cutoff`, with all before it; a record from the future (`after` the present)
    /// does not hold up the others. 0 if there is none.
    pub fn last_before(&self, cutoff: u64, after: u64) -> Result<i64, LogError> {
        let first = |table: &str| -> Result<Option<i64>, LogError> {
            let sql =
                format!("SELECT seq FROM {table} WHERE time_ms >= ?1 AND time_ms <= ?2 ORDER BY seq LIMIT 1");
            let values = params![signed(cutoff), signed(after)];
            self.prepare(&sql)?.query_row(values, |r| r.get(0)).optional().map_err(failed("be read"))
        };
        let young = [first("replays")?, first("feedback")?, first("turns")?].into_iter().flatten().min();
        let last = "SELECT max(ifnull((SELECT max(seq) FROM replays), 0), ifnull((SELECT max(seq) FROM feedback), 0))";
        match young {
            Some(seq) => Ok(seq - 1),
            None => self.prepare(last)?.query_row([], |r| r.get(0)).map_err(failed("be read")),
        }
    }

    /// The newest records up to event `through` with their rewards as they are now, newest first.
    pub fn newest<T: serde::de::DeserializeOwned>(
        &self,
        through: i64,
        count: usize,
    ) -> Result<Vec<(T, f64)>, LogError> {
        let read = failed("be read");
        let mut statement =
            self.prepare("SELECT record, reward FROM replays WHERE seq <= ?1 ORDER BY seq DESC LIMIT ?2")?;
        let rows = statement
            .query_map(params![through, signed(count as u64)], |r| Ok((r.get::<_, String>(0)?, r.get(1)?)))
            .map_err(&read)?;
        rows.map(|row| {
            let (text, reward) = row.map_err(&read)?;
            let record = serde_json::from_str(&text).map_err(broken("be understood: a record"))?;
            Ok((record, reward))
        })
        .collect()
    }

    /// How old a record must be to be gone, milliseconds since the Unix epoch; 0 if none is.
    pub fn horizon_ms(&self) -> Result<u64, LogError> {
        let sql = "SELECT value FROM facts WHERE name = ?1";
        let text: Option<String> =
            self.prepare(sql)?.query_row([HORIZON_MS], |r| r.get(0)).optional().map_err(failed("be read"))?;
        Ok(text.and_then(|t| t.parse().ok()).unwrap_or(0))
    }
}

// === impl Log ===

impl Log {
    /// Appends a turn and gives its number.
    pub fn add_turn(&mut self, turn: &Turn, now: u64) -> Result<i64, LogError> {
        let text = serde_json::to_string(turn).map_err(broken("hold a turn"))?;
        let seq = self.take_seq();
        self.execute(
            "INSERT INTO turns(seq, time_ms, turn) VALUES (?1, ?2, ?3)",
            params![seq, signed(now), text],
        )?;
        Ok(seq)
    }

    /// Keeps a retrained state until its proposal is judged; an earlier one that was not goes.
    pub fn add_candidate(&mut self, proposal: i64, seq: i64, state: &[u8], now: u64) -> Result<(), LogError> {
        self.execute("DELETE FROM checkpoints WHERE adopted = 0", [])?;
        self.add_checkpoint(Some(proposal), seq, Kind::Retrained, false, state, now)
    }

    /// The candidate of `proposal` counts, or goes. True if there was one.
    pub fn settle_candidate(&mut self, proposal: i64, promoted: bool) -> Result<bool, LogError> {
        let sql = match promoted {
            true => "UPDATE checkpoints SET adopted = 1 WHERE proposal = ?1 AND adopted = 0",
            false => "DELETE FROM checkpoints WHERE proposal = ?1 AND adopted = 0",
        };
        let settled = self.changes(sql, [proposal])? > 0;
        self.drop_superseded()?;
        Ok(settled)
    }

    /// Records older than `cutoff` may go: everything up to event `seq` is within `state`.
    pub fn set_horizon(&mut self, seq: i64, cutoff: u64, state: &[u8], now: u64) -> Result<(), LogError> {
        self.add_checkpoint(None, seq, Kind::Horizon, true, state, now)?;
        self.set_fact(HORIZON_MS, &cutoff.to_string())?;
        self.drop_superseded()
    }

    /// Starts from the horizon again: what was made of later events by other rules goes. `also` drops that one too.
    pub fn drop_checkpoints(&mut self, also: bool) -> Result<(), LogError> {
        self.execute("DELETE FROM checkpoints WHERE ?1 OR kind <> 'horizon'", [also])
    }

    /// Deletes some of what lies behind the horizon. False when nothing was left to delete.
    ///
    /// Feedback that came after the horizon needs its record to be counted again, so that record stays, with all
    /// feedback on it, until the horizon has passed both.
    pub fn trim(&mut self) -> Result<bool, LogError> {
        let Some(Checkpoint { seq, .. }) = self.view().horizon()? else { return Ok(false) };
        let deleted = self.changes(
            "DELETE FROM replays WHERE seq IN (SELECT seq FROM replays WHERE seq <= ?1 AND NOT EXISTS
             (SELECT 1 FROM feedback WHERE replay_id = replays.id AND feedback.seq > ?1) LIMIT ?2)",
            params![seq, CHUNK],
        )?;
        if deleted == 0 {
            self.execute(
                "DELETE FROM feedback WHERE seq <= ?1
                 AND NOT EXISTS (SELECT 1 FROM replays WHERE id = feedback.replay_id)",
                [seq],
            )?;
            self.execute("DELETE FROM turns WHERE seq <= ?1", [seq])?;
        }
        Ok(deleted > 0)
    }

    /// Gives free pages back; at the `end` also those that only a rewrite of the whole file gives back, which a log needs
    /// once that was made before pages could go one by one.
    pub fn shrink(&self, end: bool) -> Result<(), LogError> {
        let shrink = failed("be made smaller");
        let conn = self.connection();
        let mode: i64 = conn.pragma_query_value(None, "auto_vacuum", |r| r.get(0)).map_err(&shrink)?;
        let free: i64 = conn.pragma_query_value(None, "freelist_count", |r| r.get(0)).map_err(&shrink)?;
        match (mode, free) {
            (_, 0) => Ok(()),
            (0, _) if end => conn.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").map_err(shrink),
            (0, _) => Ok(()),
            _ => {
                let pages = if end { free } else { PAGES };
                // A pragma that steps once for each page.
                let mut statement =
                    conn.prepare(&format!("PRAGMA incremental_vacuum({pages})")).map_err(&shrink)?;
                let mut rows = statement.query([]).map_err(&shrink)?;
                while rows.next().map_err(&shrink)?.is_some() {}
                Ok(())
            }
        }
    }

    fn add_checkpoint(
        &mut self,
        proposal: Option<i64>,
        seq: i64,
        kind: Kind,
        adopted: bool,
        state: &[u8],
        now: u64,
    ) -> Result<(), LogError> {
        self.execute(
            "INSERT INTO checkpoints(proposal, seq, time_ms, kind, adopted, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![proposal, seq, signed(now), kind.name(), adopted, state],
        )
    }

    /// Of adopted ones the newest stays, for rebuilds, and the newest horizon, for retrains.
    fn drop_superseded(&mut self) -> Result<(), LogError> {
        self.execute(
            "DELETE FROM checkpoints WHERE adopted = 1
             AND id <> (SELECT id FROM checkpoints WHERE adopted = 1 ORDER BY seq DESC, id DESC LIMIT 1)
             AND id NOT IN (SELECT id FROM checkpoints WHERE kind = 'horizon' ORDER BY seq DESC, id DESC LIMIT 1)",
            [],
        )
    }
}

/// When the request of a record came, by its id if that is a UUIDv7 (RFC 9562 §5.7), milliseconds since the epoch.
pub fn time_of(id: &str) -> Option<u64> {
    let hex: String = id.chars().filter(|c| *c != '-').collect();
    let is_v7 = hex.len() == 32 && hex.get(12..13) == Some("7");
    is_v7.then(|| u64::from_str_radix(hex.get(..12)?, 16).ok()).flatten()
}
