//! What was heard of an answer after its response: feedback and all other evidence, in one order.

use dragoman_core::reward::Evidence;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::events::View;
use super::{Log, LogError, broken, failed, signed};

/// One piece of evidence about a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// What it is.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Id of the later record that showed it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was so, milliseconds since the Unix epoch.
    #[serde(default)]
    pub time_ms: u64,
}

// === impl View ===

impl View<'_> {
    /// Everything heard of `id` that was learned before event `before`, in order.
    pub fn evidence(&self, id: &str, before: i64) -> Result<Vec<Heard>, LogError> {
        let read = failed("be read");
        let mut statement = self.prepare(
            "SELECT seq, time_ms, feedback, weight FROM feedback WHERE replay_id = ?1 AND seq < ?2
             UNION ALL SELECT seq, time_ms, detail, NULL FROM evidence WHERE replay_id = ?1 AND seq < ?2
             ORDER BY seq",
        )?;
        let rows = statement.query_map(params![id, before], heard).map_err(&read)?;
        rows.map(|row| row.map_err(&read)?).collect()
    }

    /// Ids of the records after whose answers silence was noted since `from_ms`.
    pub fn silences(&self, from_ms: u64) -> Result<Vec<String>, LogError> {
        let read = failed("be read");
        let sql = "SELECT replay_id FROM evidence WHERE source = ?1 AND time_ms >= ?2";
        let mut statement = self.prepare(sql)?;
        let values = params![Evidence::Silence.name(), signed(from_ms)];
        let rows = statement.query_map(values, |row| row.get(0)).map_err(&read)?;
        rows.collect::<rusqlite::Result<_>>().map_err(read)
    }

    /// Whether a judge has scored `id`.
    pub fn is_judged(&self, id: &str) -> Result<bool, LogError> {
        let mut statement =
            self.prepare("SELECT 1 FROM evidence WHERE replay_id = ?1 AND source = 'judge'")?;
        statement.exists([id]).map_err(failed("be read"))
    }

    /// Time of the newest request, milliseconds since the Unix epoch; 0 of an empty log.
    pub fn newest_ms(&self) -> Result<u64, LogError> {
        let mut statement = self.prepare("SELECT ifnull(max(time_ms), 0) FROM replays")?;
        let time: i64 = statement.query_row([], |row| row.get(0)).map_err(failed("be read"))?;
        Ok(time.unsigned_abs())
    }
}

// === impl Log ===

impl Log {
    /// Appends what was heard of `id`, which is no feedback, and gives its number.
    pub fn add_evidence(&mut self, id: &str, heard: &Heard) -> Result<i64, LogError> {
        let detail = serde_json::to_string(heard).map_err(broken("hold evidence"))?;
        let seq = self.take_seq();
        self.execute(
            "INSERT INTO evidence(seq, replay_id, source, time_ms, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![seq, id, heard.evidence.name(), signed(heard.time_ms), detail],
        )?;
        Ok(seq)
    }
}

fn heard(row: &Row) -> rusqlite::Result<Result<Heard, LogError>> {
    let (time_ms, text): (i64, String) = (row.get(1)?, row.get(2)?);
    let unclear = broken("be understood: evidence");
    Ok(match row.get::<_, Option<f64>>(3)? {
        None => serde_json::from_str(&text).map_err(unclear),
        Some(weight) => serde_json::from_str(&text).map_err(unclear).map(|said| Heard {
            evidence: Evidence::Feedback { said, weight },
            by: None,
            time_ms: time_ms.unsigned_abs(),
        }),
    })
}
