//! Learning the log again from its events, in their order.

use dragoman_core::reward::{Evidence, Reward};

use crate::learn::State;
use crate::log::{Event, Log, LogError, View};

/// Lets `state` learn every event after `after` up to `through`, by the ordinals that the log has.
pub(super) fn relearn(log: View, state: &mut State, mut after: i64, through: i64) -> Result<(), LogError> {
    loop {
        let page = log.events(after, through)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq();
        for event in &page {
            match event {
                Event::Replay { record, .. } => drop(state.observe(record)),
                Event::Feedback { seq, replay_id } => {
                    revise(log, state, *seq, replay_id)?;
                }
            }
        }
    }
}

/// The same over the whole log, and writes what was learned into its rows: for a configuration that counts rewards
/// or numbers observations in another way than the one that the rows were written with.
pub(super) fn relearn_and_rewrite(log: &mut Log, state: &mut State) -> Result<(), LogError> {
    let mut after = 0;
    loop {
        let page = log.view().events(after, i64::MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq();
        log.begin()?;
        for event in &page {
            match event {
                Event::Replay { seq, record } => log.set_outcome(*seq, &state.observe(record))?,
                Event::Feedback { seq, replay_id } => {
                    if let Some(revised) = revise(log.view(), state, *seq, replay_id)? {
                        log.set_reward(revised.seq, revised.reward.total)?;
                    }
                }
            }
        }
        log.commit()?;
    }
}

/// A record whose reward is another now.
pub(super) struct Revised {
    /// The record's place in the order of all events.
    pub(super) seq: i64,
    /// Its new reward.
    pub(super) reward: Reward,
    /// Whether an observation changed with it.
    pub(super) learned: bool,
}

/// Feedback or other evidence, event `seq`, counts: the one way in which it does, streamed or learned again, so that
/// both see what the log says, in the log's order.
pub(super) fn revise(
    log: View,
    state: &mut State,
    seq: i64,
    replay_id: &str,
) -> Result<Option<Revised>, LogError> {
    // Evidence is only written after its record, so the record is there; one that is not teaches nothing.
    let Some(replay) = log.replay(replay_id)? else { return Ok(None) };
    let after: Vec<Evidence> =
        log.evidence(replay_id, seq + 1)?.into_iter().map(|heard| heard.evidence).collect();
    let Some((_, before)) = after.split_last() else { return Ok(None) };
    let reward = state.revise(&replay.record, replay.ordinal, before, &after);
    Ok(Some(Revised { seq: replay.seq, reward, learned: replay.ordinal.is_some() }))
}
