//! The retrain without a loop: `dragoman train` where no sidecar runs.

use dragoman_core::chain::Chain;
use dragoman_core::config::Config;

use super::apply::Books;
use super::train::{Job, Trained};
use crate::guard::{Guard, webhook};
use crate::learn;
use crate::log::{DirLock, Log, path};
use crate::metrics::Metrics;

/// Learns everything anew in the log of `config`, under its lock. The proposal waits in the log for the sidecar.
///
/// # Errors
///
/// A sentence.
pub fn train(config: &Config, _lock: &DirLock) -> Result<Trained, String> {
    let blank = learn::blank(config)?;
    let path = path(config.data_dir.as_ref());
    let log = Log::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let metrics = Metrics::new().map_err(|e| e.to_string())?;
    let hook = webhook::channel().0;
    let guard = Guard::new(config.guard.clone(), config.alerts.clone(), hook, metrics.clone());
    let chain = Chain::new(blank.window_ms(), 0);
    let mut books = Books::open(log, &blank, guard, chain, metrics).map_err(|e| e.to_string())?;
    if books.state.learner().is_fitting() {
        let why = "features are still refitted with every doubling of what was observed, up to 4096".into();
        return Ok(Trained::NotNeeded { why });
    }
    let through = books.log.last_seq().map_err(|e| e.to_string())?;
    let Some(anew) = (Job { path, blank, through }).run()? else {
        return Ok(Trained::NotNeeded { why: "the log has too few prompts to fit features to".into() });
    };
    let proposal = books.keep_candidate(&anew).map_err(|e| e.to_string())?;
    books.log.checkpoint().map_err(|e| e.to_string())?;
    Ok(Trained::Proposed(proposal))
}
