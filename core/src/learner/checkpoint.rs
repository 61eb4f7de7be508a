//! The learner written down and read again, to the bit; and begun anew in features of newer prompts.
//!
//! What the configuration and the encoder give (the constants, P before scaling) is not written: it is taken from the
//! blank learner that reads. Vectors are the base64 of their little-endian numbers, so nothing is rounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arm::ArmStats;
use super::memory::Observed;
use super::pacing::Pacer;
use super::trend::Trend;
use super::{Answered, Base, Learner, features};
use crate::context::Context;
use crate::policy::{Features, Landmarks, Projection};
use crate::request::RequestFacts;

/// Everything learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Fingerprint of the encoder's P: statistics in another encoder's features mean nothing here.
    encoder: u64,
    /// `None` where the features are the whole context.
    landmarks: Option<SavedLandmarks>,
    /// How much the form of a text counts in them.
    form: f32,
    /// Beside them; what was written before there were any has none.
    #[serde(default)]
    trend: Option<Trend>,
    arms: BTreeMap<String, ArmStats>,
    /// Observations that the features may still be refitted to; `None` once they are final.
    memory: Option<Vec<SavedObservation>>,
    budgets: SavedBudgets,
}

/// Where every budget stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedBudgets {
    pub(super) all: SavedPacer,
    /// By the decisions' names.
    pub(super) own: BTreeMap<String, SavedPacer>,
}

/// Dollars left and the requests that λ is solved over, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedPacer {
    ledger: f64,
    recent: Vec<SavedRequest>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedLandmarks {
    rows: usize,
    #[serde(with = "f32s")]
    projection: Vec<f32>,
    linear: usize,
    #[serde(with = "f32s")]
    points: Vec<f32>,
    #[serde(with = "f32s")]
    whitening: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedObservation {
    route: String,
    ordinal: u64,
    #[serde(with = "crate::replay::context_f16")]
    context: Option<Context>,
    reward: f64,
    length: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedRequest {
    route: String,
    #[serde(with = "crate::replay::context_f16")]
    context: Option<Context>,
    facts: RequestFacts,
}

// === impl Learner ===

impl Learner {
    /// Everything learned, to be written down.
    pub fn save(&self) -> Saved {
        let landmarks = match &self.features {
            Features::Whole(_) => None,
            Features::Landmarks(landmarks) => Some(SavedLandmarks {
                rows: landmarks.projection().rows(),
                projection: landmarks.projection().values().to_vec(),
                linear: landmarks.linear(),
                points: landmarks.points().to_vec(),
                whitening: landmarks.whitening().to_vec(),
            }),
        };
        let observation = |seen: &Observed| SavedObservation {
            route: seen.route.to_string(),
            ordinal: seen.ordinal,
            context: Some(seen.context.as_ref().clone()),
            reward: seen.reward,
            length: seen.length,
        };
        Saved {
            encoder: self.base.fingerprint(),
            landmarks,
            form: self.form,
            trend: self.trend.clone(),
            arms: self.arms.clone(),
            memory: self.memory.all().map(|all| all.iter().map(observation).collect()),
            budgets: self.budgets.save(),
        }
    }

    /// What was saved, under the constants of `self`, which knows nothing.
    ///
    /// # Errors
    ///
    /// A clause: it was learned with another encoder or in the other kind of features, or is damaged.
    pub fn restored(&self, saved: Saved) -> Result<Self, String> {
        if saved.encoder != self.base.fingerprint() {
            return Err("was learned with another encoder".into());
        }
        let mut learner = self.clone();
        learner.features = match (&self.features, saved.landmarks) {
            (Features::Whole(d), None) => Features::Whole(*d),
            (Features::Landmarks(_), Some(landmarks)) => {
                Features::Landmarks(landmarks.restored().ok_or("has landmarks that do not fit together")?)
            }
            _ => return Err("was learned with another learner.features".into()),
        };
        let k = learner.features.size();
        if !saved.arms.values().all(|arm| arm.fits(k)) {
            return Err("has statistics of another size than its features".into());
        }
        if saved.trend.as_ref().is_some_and(|trend| !trend.fits(learner.features.columns())) {
            return Err("has a trend of another size than its contexts".into());
        }
        learner.form = saved.form;
        learner.trend = saved.trend;
        learner.arms = saved.arms;
        let memory = saved.memory.map(|all| all.into_iter().map(SavedObservation::restored).collect());
        learner.memory.replace(memory.map_or(Ok(None), |all: Option<_>| all.ok_or(NO_CONTEXT).map(Some))?);
        learner.budgets.restore(saved.budgets, &learner.features).ok_or(NO_CONTEXT)?;
        Ok(learner)
    }

    /// Whether the features are still refitted to what comes, by the stream itself.
    pub fn is_fitting(&self) -> bool {
        self.memory.all().is_some()
    }

    /// A learner that has everything still to learn, in final features fitted to the prompts `newest` (in their
    /// order) and what became of them; a route's next observation keeps the number it would have had. `None` without
    /// prompts, or if one has a number that is not finite.
    pub fn anew(&self, newest: &[Answered]) -> Option<Self> {
        let mut learner = self.clone();
        if let Features::Landmarks(_) = self.features {
            let (landmarks, trend) = self.fit(newest)?;
            learner.features = features(&landmarks, self.form, trend.as_ref())?;
            learner.trend = trend;
        }
        let k = learner.features.size();
        learner.arms.values_mut().for_each(|arm| *arm = ArmStats::after(k, arm.observations()));
        learner.memory.replace(None);
        learner.budgets.refit(&learner.features);
        Some(learner)
    }
}

const NO_CONTEXT: &str = "has an observation without a context";

impl SavedLandmarks {
    fn restored(self) -> Option<Landmarks> {
        let columns = self.projection.len() / self.rows.max(1);
        let projection = Projection::new(self.rows, columns, self.projection)?;
        Landmarks::new(projection, self.linear, self.points, self.whitening)
    }
}

impl SavedPacer {
    pub(super) fn of(pacer: &Pacer) -> Self {
        let request = |(route, context, facts): (&str, &Context, &RequestFacts)| SavedRequest {
            route: route.to_owned(),
            context: Some(context.clone()),
            facts: facts.clone(),
        };
        Self { ledger: pacer.ledger(), recent: pacer.recent().map(request).collect() }
    }

    /// `None` if a request has no context.
    pub(super) fn restore(self, pacer: &mut Pacer, features: &Features) -> Option<()> {
        let recent = self.recent.into_iter().map(|r| Some((r.route, r.context?, r.facts)));
        pacer.restore(self.ledger, recent.collect::<Option<_>>()?, features);
        Some(())
    }
}

impl SavedObservation {
    fn restored(self) -> Option<Observed> {
        let Self { route, ordinal, context, reward, length } = self;
        Some(Observed { route: route.into(), ordinal, context: Arc::new(context?), reward, length })
    }
}

impl Base {
    /// FNV-1a over the numbers of P.
    fn fingerprint(&self) -> u64 {
        let bytes = self.projection.values().iter().flat_map(|v| v.to_bits().to_le_bytes());
        let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        bytes.fold(0xcbf2_9ce4_8422_2325 ^ self.embedding as u64, hash)
    }
}

/// Vectors of numbers as base64 of their little-endian bytes.
macro_rules! exact {
    ($name:ident, $number:ty, $size:literal) => {
        pub(super) mod $name {
            use base64::Engine as _;
            use base64::engine::general_purpose::STANDARD;
            use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

            pub(crate) fn serialize<S: Serializer>(values: &[$number], s: S) -> Result<S::Ok, S::Error> {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                STANDARD.encode(bytes).serialize(s)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<$number>, D::Error> {
                let bytes = STANDARD.decode(String::deserialize(d)?).map_err(D::Error::custom)?;
                let (words, rest) = bytes.as_chunks::<$size>();
                match rest {
                    [] => Ok(words.iter().map(|w| <$number>::from_le_bytes(*w)).collect()),
                    _ => Err(D::Error::custom("the numbers are cut off")),
                }
            }
        }
    };
}

exact!(f32s, f32, 4);
exact!(f64s, f64, 8);
