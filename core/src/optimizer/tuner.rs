//! What was proposed, what counts, and which knobs rest: a fold over proposals and verdicts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Change, Dial, Knob};

/// One proposal, as it stands in the log: it says all that the fold needs, so that neither another configuration nor
/// other code reads it in another way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What would change.
    pub changes: Vec<Change>,
    /// Proposals judged that its knobs rest for if it is rejected.
    pub rest: u64,
    /// Time of the newest record that it stands on, milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// A knob's value beside the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The value of the configuration that it was tuned from: another one is the operator's newer word.
    pub configured: f64,
    /// The value that counts.
    pub value: f64,
}

/// The state of tuning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tuner {
    #[serde(with = "pairs")]
    live: BTreeMap<Knob, Setting>,
    pending: Option<(u64, Step)>,
    /// Proposals judged so far.
    steps: u64,
    /// [`Step::time_ms`] of the newest proposal.
    last_ms: u64,
    /// Until how many proposals were judged a knob rests.
    #[serde(with = "pairs")]
    resting: BTreeMap<Knob, u64>,
}

// === impl Tuner ===

impl Tuner {
    /// The settings that count.
    pub fn live(&self) -> &BTreeMap<Knob, Setting> {
        &self.live
    }

    /// The proposal that waits for its verdict.
    pub fn pending(&self) -> Option<u64> {
        self.pending.as_ref().map(|(id, _)| *id)
    }

    /// Time of the newest record that the last proposal stood on, milliseconds since the Unix epoch.
    pub fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// The settings as they would be with the proposal that waits.
    pub fn proposed(&self) -> BTreeMap<Knob, Setting> {
        let mut settings = self.live.clone();
        if let Some((_, step)) = &self.pending {
            set(&mut settings, step);
        }
        settings
    }

    /// The dials whose knobs do not rest.
    pub fn awake(&self, mut dials: Vec<Dial>) -> Vec<Dial> {
        dials.retain(|dial| self.resting.get(&dial.knob).is_none_or(|until| self.steps >= *until));
        dials
    }

    /// Proposal `id` was made; it takes the place of one that was not judged.
    pub fn propose(&mut self, id: u64, step: Step) {
        self.last_ms = step.time_ms;
        self.pending = Some((id, step));
    }

    /// Proposal `id` was promoted or rejected; one that does not wait here changes nothing.
    pub fn judge(&mut self, id: u64, promoted: bool) {
        let Some((_, step)) = self.pending.take_if(|(pending, _)| *pending == id) else { return };
        self.steps += 1;
        match promoted {
            true => set(&mut self.live, &step),
            false => {
                let until = self.steps + step.rest;
                self.resting.extend(step.changes.into_iter().map(|change| (change.knob, until)));
            }
        }
        self.resting.retain(|_, until| *until > self.steps);
    }
}

fn set(settings: &mut BTreeMap<Knob, Setting>, step: &Step) {
    for change in &step.changes {
        let setting = Setting { configured: change.configured, value: change.after };
        settings.insert(change.knob.clone(), setting);
    }
}

/// A map whose keys are no texts, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

    use super::Knob;

    pub(super) fn serialize<V: Serialize, S: Serializer>(
        map: &BTreeMap<Knob, V>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(map)
    }

    pub(super) fn deserialize<'de, V: DeserializeOwned, D: Deserializer<'de>>(
        d: D,
    ) -> Result<BTreeMap<Knob, V>, D::Error> {
        Ok(Vec::<(Knob, V)>::deserialize(d)?.into_iter().collect())
    }
}
