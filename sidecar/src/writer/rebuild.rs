//! Learning the log again from its events, in their order, from the newest checkpoint that counts.

use log::warn;

use dragoman_core::replay::ReplayRecord;
use dragoman_core::reward::{Evidence, Reward};

use crate::learn::State;
use crate::log::{Event, Log, LogError, View};

/// What the log says up to event `through`. `blank` knows nothing.
pub(super) fn learned(log: View, blank: &State, through: i64) -> Result<State, LogError> {
    let (mut state, after) = match log.base(through)? {
        None => (blank.clone(), 0),
        Some(base) => match blank.read(&base.state) {
            Ok(state) => (state, base.seq),
            Err(why) => {
                warn!("the checkpoint at event {} {why}; it is left out", base.seq);
                (blank.clone(), 0)
            }
        },
    };
    relearn(log, &mut state, after, through)?;
    Ok(state)
}

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
                Event::Turn { seq, turn } => state.turn(*seq, turn),
            }
        }
    }
}

/// The same from the log's old end, and writes what was learned into its rows: for a configuration that counts rewards
/// or numbers observations in another way than the one that the rows were written with. What was deleted stays as it
/// was counted; of another encoder nothing can stay. Gives the state.
pub(super) fn relearn_and_rewrite(log: &mut Log, blank: &State) -> Result<State, LogError> {
    let horizon = log.view().horizon()?;
    let base = horizon.and_then(|h| match blank.read(&h.state) {
        Ok(state) => Some((state, h.seq)),
        Err(why) => {
            warn!("what was learned up to event {} {why}; it is learned again from the events left", h.seq);
            None
        }
    });
    log.begin()?;
    log.drop_checkpoints(base.is_none())?;
    log.commit()?;
    let (mut state, mut after) = base.unwrap_or_else(|| (blank.clone(), 0));
    loop {
        let page = log.view().events(after, i64::MAX)?;
        let Some(last) = page.last() else { return Ok(state) };
        after = last.seq();
        log.begin()?;
        for event in &page {
            match event {
                Event::Replay { seq, record } => log.set_outcome(*seq, &state.observe(record))?,
                Event::Feedback { seq, replay_id } => {
                    if let Some(revised) = revise(log.view(), &mut state, *seq, replay_id)? {
                        log.set_reward(revised.seq, revised.reward.total)?;
                    }
                }
                Event::Turn { seq, turn } => state.turn(*seq, turn),
            }
        }
        log.commit()?;
    }
}

/// A record whose reward is another now.
pub(super) struct Revised {
    /// The record.
    pub(super) record: ReplayRecord,
    /// Its place in the order of all events.
    pub(super) seq: i64,
    /// Its new reward.
    pub(super) reward: Reward,
    /// Whether an observation changed with it.
    pub(super) learned: bool,
    /// Whether raters and the feedback detector agree about it, where this event makes that known.
    pub(super) agreement: Option<bool>,
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
    let agreement = state.agreement(before, &after);
    let reward = state.revise(&replay.record, replay.ordinal, before, &after);
    let learned = replay.ordinal.is_some();
    Ok(Some(Revised { record: replay.record, seq: replay.seq, reward, learned, agreement }))
}
