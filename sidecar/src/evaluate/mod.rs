//! `dragoman evaluate`: what another policy would have earned, estimated from the replay log.
//!
//! This room owns which records count, what their actions were, and how the answer is told. The estimators are
//! `dragoman_core::evaluate`'s. It only reads, beside a `serve` that may be running.
//!
//! An action is a *model*: that is what a client notices. Routes of different decisions to one model are the same
//! action, so snapshots of other decisions can be judged as well.

mod actions;
pub(crate) mod holdout;
mod report;
mod target;
pub(crate) mod window;

use std::path::{Path, PathBuf};

use dragoman_core::config::Config;
use dragoman_core::evaluate::{Evaluation, Range};
use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::Reward;
use rusqlite::Connection;

use crate::clock::now_ms;
use crate::log::{View, open_reader};
use crate::{document, learn, log};

use actions::{Actions, LeftOut};
use report::{Dollars, Report};
use target::Target;

/// The command's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "dragoman.yaml")]
    config: PathBuf,
    /// The policy to judge: a kept snapshot by its version, or the file of one
    #[arg(long, value_name = "VERSION|FILE", required_unless_present = "policy")]
    snapshot: Option<String>,
    /// The policy to judge: `logged`, `uniform`, `fixed:MODEL`, or a `policy.kind` of the configuration with the
    /// newest snapshot's parameters
    #[arg(long, value_name = "NAME", conflicts_with = "snapshot")]
    policy: Option<String>,
    /// α instead of the policy's own
    #[arg(long)]
    alpha: Option<f32>,
    /// ε instead of the policy's own
    #[arg(long)]
    epsilon: Option<f32>,
    /// λ instead of the policy's own
    #[arg(long)]
    cost_weight: Option<f32>,
    /// Only requests since then: a time (RFC 3339) or an age such as 7d, 12h, 30m
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only requests before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What the records of a log come to.
#[derive(Debug)]
struct Tally {
    evaluation: Evaluation,
    dollars: Dollars,
    left_out: LeftOut,
    records: usize,
    /// Records that came before the target's snapshot was made.
    learned_from: usize,
}

/// Runs the command and prints its answer.
///
/// # Errors
///
/// A sentence: the configuration, the log, the target or the window cannot be used, or no record can.
pub fn run(args: &Args) -> Result<(), String> {
    let config = document::load(&args.config)?;
    let (from, until) = window::read(args.since.as_deref(), args.until.as_deref(), now_ms())?;
    let path = log_of(&config)?;
    let target = Target::read(args, &config, &path)?;
    let conn = open_reader(&path).map_err(|e| e.to_string())?;
    let tally = Tally::of(&config, &target, &conn, from, until)?;
    let report = Report::of(&target, &tally)?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?),
        false => print!("{report}"),
    }
    Ok(())
}

fn log_of(config: &Config) -> Result<PathBuf, String> {
    let path = log::path(Path::new(&config.data_dir));
    match path.exists() {
        true => Ok(path),
        false => Err(format!(
            "there is no replay log at {}: name the configuration of a sidecar that has served (its data_dir)",
            path.display()
        )),
    }
}

// === impl Tally ===

impl Tally {
    /// Judges the records of `from..until` as they are at this moment.
    fn of(
        config: &Config,
        target: &Target,
        conn: &Connection,
        from: u64,
        until: u64,
    ) -> Result<Self, String> {
        let (low, high) = Reward::range(&config.reward);
        let mut tally = Self {
            evaluation: Evaluation::new(Range { low, high }),
            dollars: Dollars::default(),
            left_out: LeftOut::default(),
            records: 0,
            learned_from: 0,
        };
        // One transaction: feedback that comes meanwhile counts for none of the records.
        conn.execute_batch("BEGIN").map_err(|e| format!("the replay log could not be read: {e}"))?;
        let (view, mut after) = (View::of(conn), 0);
        loop {
            let page = view.replays(after, from, until).map_err(|e| e.to_string())?;
            let Some((last, _)) = page.last() else { return Ok(tally) };
            after = *last;
            for (_, record) in &page {
                let heard = view.evidence(&record.id, i64::MAX).map_err(|e| e.to_string())?;
                let heard: Vec<_> = heard.into_iter().map(|heard| heard.evidence).collect();
                let reward = learn::reward(&config.reward, record, &heard).total;
                tally.add(config, target, record, reward);
            }
        }
    }

    fn add(&mut self, config: &Config, target: &Target, record: &ReplayRecord, reward: f64) {
        self.records += 1;
        let Some(actions) = Actions::of(record, target, &config.routing, &mut self.left_out) else { return };
        if !self.evaluation.add(&actions.logged(reward)) {
            return self.left_out.unusable += 1;
        }
        self.dollars.add(&actions, record.cost);
        self.learned_from += usize::from(target.created_ms().is_some_and(|made| record.time_ms < made));
    }
}
