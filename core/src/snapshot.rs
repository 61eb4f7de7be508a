//! The snapshot: everything the filter needs, in one signed safetensors blob.
//!
//! ```text
//! "DRAGOMAN" | Ed25519 signature of the rest (64 bytes) | safetensors (metadata + tensors)
//! ```
//!
//! One blob holds the snapshot in use and, during a rollout, the one on trial ([`Canary`]): both switch at once, under
//! one signature and one version. It is accepted only whole, authentic, finite and of the right shapes. Whether it is *newer* is the caller's
//! question ([`SnapshotMeta::version`]).
#![deny(clippy::indexing_slicing)]

mod tensors;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use ed25519_dalek::{SigningKey, VerifyingKey};

use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};

use crate::config::{DecisionRule, Routing};
use crate::guard::split::Split;
use crate::learner::Pace;
use crate::policy::{ArmParams, Curve, Factor, Features, packed_len, packed_panel};
use crate::signals::{SignalModel, SignalRules};

/// Version of this format. A filter refuses any other.
pub const SCHEMA: u32 = 5;

/// Larger blobs are refused unread (an Envoy HTTP call is capped at about 32 MiB).
pub const MAX_BYTES: usize = 32 << 20;

/// In the place of a curve's mean where there is no curve.
const STRAIGHT: f32 = 0.0;

const MAGIC: &[u8; 8] = b"DRAGOMAN";
const HEADER: usize = MAGIC.len() + ed25519_dalek::SIGNATURE_LENGTH;

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// Format version, [`SCHEMA`].
    pub schema: u32,
    /// Rises with every snapshot; a rollback publishes old parameters under a new version.
    pub version: u64,
    /// When it was built, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Observations each route has learned from, by route index.
    pub observations: Vec<u64>,
    /// What the budget asks of a decision.
    pub pace: Pace,
    /// The same for decisions with a budget of their own, by their names.
    pub paces: BTreeMap<String, Pace>,
    /// The filter's configuration.
    pub routing: Routing,
}

// === impl SnapshotMeta ===

impl SnapshotMeta {
    /// What money is worth in `decision`.
    pub fn pace_of(&self, decision: &DecisionRule) -> Pace {
        let weight = decision.policy.cost_weight.map(|w| Pace { cost_weight: f64::from(w), slack: 0.0 });
        self.paces.get(&decision.name).copied().or(weight).unwrap_or(self.pace)
    }
}

/// A snapshot ready to score with.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Metadata and routing.
    pub meta: SnapshotMeta,
    /// From contexts to features.
    pub features: Features,
    /// What embeddings are read with.
    signals: Arc<SignalModel>,
    theta: Vec<f32>,
    length: Vec<f32>,
    factor: Vec<f32>,
    /// One number a route where factors are low-rank, which they are for the whole context; else none.
    prior: Vec<f32>,
    /// The mean reward that each route's curve goes through; [`STRAIGHT`] for none.
    curve: Vec<f32>,
    canary: Option<Canary>,
}

/// A snapshot on trial. Its `meta.version` is its own: it says which rollout a record belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// Who sees it.
    pub split: Split,
    /// What they see; it has no canary itself.
    pub snapshot: Box<Snapshot>,
}

/// The parameters of one route, as the learner gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteParams {
    /// θ `[k]`.
    pub theta: Vec<f32>,
    /// Output length `[k]`.
    pub length: Vec<f32>,
    /// A triangle in kernel features, low-rank in the whole context.
    pub factor: Factor<Vec<f32>>,
    /// Of routes that one difficulty moves.
    pub curve: Option<Curve>,
}

impl RouteParams {
    /// To score with.
    pub fn params(&self) -> ArmParams<'_> {
        ArmParams {
            theta: &self.theta,
            length: &self.length,
            factor: self.factor.as_slices(),
            curve: self.curve,
        }
    }
}

impl Snapshot {
    /// Puts a snapshot together; refuses what the filter would refuse.
    pub fn new(
        meta: SnapshotMeta,
        features: Features,
        routes: &[RouteParams],
    ) -> Result<Self, SnapshotError> {
        let gather = |part: fn(&RouteParams) -> &[f32]| routes.iter().flat_map(part).copied().collect();
        let snapshot = Self {
            theta: gather(|r| &r.theta),
            length: gather(|r| &r.length),
            factor: gather(|r| r.factor.numbers()),
            curve: routes.iter().map(|r| r.curve.map_or(STRAIGHT, Curve::mean)).collect(),
            prior: routes.iter().filter_map(|r| r.factor.prior()).collect(),
            meta,
            features,
            signals: Arc::default(),
            canary: None,
        };
        snapshot.check()?;
        Ok(snapshot)
    }

    /// The same beside a snapshot on trial, or none.
    ///
    /// # Errors
    ///
    /// The canary has one itself, or more than all of the sessions.
    pub fn with_canary(mut self, canary: Option<Canary>) -> Result<Self, SnapshotError> {
        self.canary = canary;
        self.check()?;
        Ok(self)
    }

    /// The snapshot on trial beside this one.
    pub fn canary(&self) -> Option<&Canary> {
        self.canary.as_ref()
    }

    /// Takes the canary out.
    pub fn take_canary(&mut self) -> Option<Canary> {
        self.canary.take()
    }

    /// The same with what embeddings are read with; without, signals of embeddings are neutral.
    ///
    /// # Errors
    ///
    /// It does not fit the rules or the size of the embedding.
    pub fn with_signals(self, signals: Arc<SignalModel>) -> Result<Self, SnapshotError> {
        let snapshot = Self { signals, ..self };
        snapshot.check()?;
        Ok(snapshot)
    }

    /// What embeddings are read with.
    pub fn signals(&self) -> &Arc<SignalModel> {
        &self.signals
    }

    /// Whether its rules over signals are those of `other`.
    pub fn reads_as(&self, other: &Self) -> bool {
        let (a, b) = (&self.meta.routing, &other.meta.routing);
        a.keywords == b.keywords && a.embeddings == b.embeddings && self.signals == other.signals
    }

    /// Its rules over signals, compiled.
    ///
    /// # Errors
    ///
    /// See [`SignalRules::new`].
    pub fn signal_rules(&self) -> Result<SignalRules, String> {
        let Routing { keywords, embeddings, .. } = &self.meta.routing;
        SignalRules::new(keywords, embeddings, Arc::clone(&self.signals))
    }

    /// The parameters of route `index`; `None` if there is no such route.
    pub fn route(&self, index: usize) -> Option<ArmParams<'_>> {
        let k = self.features.size();
        let row = |all, width: usize| <[f32]>::get(all, index * width..(index + 1) * width);
        let numbers = row(&self.factor, self.factor_len())?;
        let factor = match self.features {
            Features::Landmarks(_) => Factor::Triangle(numbers),
            Features::Whole(_) => Factor::LowRank { rows: numbers, prior: *self.prior.get(index)? },
        };
        let curve = Curve::through(*self.curve.get(index)?);
        Some(ArmParams { theta: row(&self.theta, k)?, length: row(&self.length, k)?, factor, curve })
    }

    /// Numbers of each route's factor. A low-rank one has any number of whole panels.
    fn factor_len(&self) -> usize {
        let k = self.features.size();
        match self.features {
            Features::Landmarks(_) => packed_len(k),
            Features::Whole(_) => {
                let panel = packed_panel(k).max(1);
                self.factor.len() / (panel * self.meta.routing.routes.len()).max(1) * panel
            }
        }
    }

    /// D, the size of the embedding this snapshot was built for.
    pub fn embedding_size(&self) -> usize {
        self.features.columns().saturating_sub(crate::context::SIGNALS + crate::context::META)
    }

    /// The signed blob.
    pub fn encode(&self, key: &SigningKey) -> Result<Vec<u8>, SnapshotError> {
        let payload = tensors::write(self)?;
        let mut blob = Vec::with_capacity(HEADER + payload.len());
        blob.extend_from_slice(MAGIC);
        blob.extend_from_slice(&key.sign(&payload).to_bytes());
        blob.extend_from_slice(&payload);
        Ok(blob)
    }

    /// Reads a blob from outside: checks its signature first, then everything else.
    pub fn decode(blob: &[u8], key: &VerifyingKey) -> Result<Self, SnapshotError> {
        let (signature, payload) = split(blob)?;
        key.verify_strict(payload, &signature).map_err(|_| SnapshotError::NotAuthentic)?;
        tensors::read(payload)
    }

    /// Reads a blob whose signature was checked before it was stored where only this filter writes.
    pub fn decode_trusted(blob: &[u8]) -> Result<Self, SnapshotError> {
        tensors::read(split(blob)?.1)
    }

    fn check(&self) -> Result<(), SnapshotError> {
        let malformed = |what: String| Err(SnapshotError::Malformed(what));
        let SnapshotMeta { schema, routing, observations, pace, paces, .. } = &self.meta;
        if *schema != SCHEMA {
            return Err(SnapshotError::Schema(*schema));
        }
        let (n, k) = (routing.routes.len(), self.features.size());
        if self.features.columns() < crate::context::SIGNALS + crate::context::META {
            return malformed(format!("the features take only {} numbers", self.features.columns()));
        }
        let shapes = [
            ("theta", self.theta.len(), n * k),
            ("length", self.length.len(), n * k),
            ("factor", self.factor.len(), n * self.factor_len()),
            ("prior", self.prior.len(), if matches!(self.features, Features::Whole(_)) { n } else { 0 }),
            ("curve", self.curve.len(), n),
            ("observations", observations.len(), n),
        ];
        for (name, got, want) in shapes {
            if got != want {
                return malformed(format!("{name} has {got} numbers instead of {want} for {n} routes"));
            }
        }
        if let Some(odd) =
            self.curve.iter().find(|mean| **mean != STRAIGHT && Curve::through(**mean).is_none())
        {
            return malformed(format!("a curve goes through {odd}, which is not between 0 and 1"));
        }
        let Self { theta, length, factor, prior, .. } = self;
        for (name, values) in [("theta", theta), ("length", length), ("factor", factor), ("prior", prior)] {
            if !values.iter().all(|v| v.is_finite()) {
                return malformed(format!("{name} has a number that is not finite"));
            }
        }
        let is_finite = |pace: &Pace| pace.cost_weight.is_finite() && pace.slack.is_finite();
        if !(is_finite(pace) && paces.values().all(is_finite)) {
            return malformed("the price of a dollar is not finite".into());
        }
        self.signals.check(&routing.embeddings, self.embedding_size()).map_err(SnapshotError::Malformed)?;
        let models = routing.models.len();
        let indices_hold = routing.default_model < models
            && routing.routes.iter().all(|r| r.model < models && r.decision < routing.decisions.len())
            && routing.decisions.iter().flat_map(|d| &d.routes).all(|r| *r < n);
        if !indices_hold {
            return malformed("a model, route or decision points outside its list".into());
        }
        if let Some(Canary { split, snapshot }) = &self.canary {
            if snapshot.canary.is_some() || split.share > 100 {
                return malformed("its canary has one itself, or more than all of the sessions".into());
            }
            snapshot.check()?;
        }
        Ok(())
    }
}

fn split(blob: &[u8]) -> Result<(Signature, &[u8]), SnapshotError> {
    if blob.len() > MAX_BYTES {
        return Err(SnapshotError::TooLarge(blob.len()));
    }
    let rest = blob.strip_prefix(MAGIC).ok_or(SnapshotError::NotASnapshot)?;
    let (signature, payload) = rest.split_first_chunk().ok_or(SnapshotError::NotASnapshot)?;
    Ok((Signature::from_bytes(signature), payload))
}

/// Why a snapshot was refused. The last good one stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotError {
    /// More bytes than [`MAX_BYTES`].
    TooLarge(usize),
    /// The magic bytes or the signature are missing.
    NotASnapshot,
    /// The signature is not of the configured key, or the blob was changed or cut.
    NotAuthentic,
    /// Another version of the format.
    Schema(u32),
    /// Authentic, but not usable: what is wrong, in words.
    Malformed(String),
}

impl SnapshotError {
    /// A short label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::NotASnapshot => "not_a_snapshot",
            Self::NotAuthentic => "not_authentic",
            Self::Schema(_) => "schema",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(f, "the snapshot has {bytes} bytes, more than {MAX_BYTES}"),
            Self::NotASnapshot => f.write_str("this is not a snapshot: it does not start as one"),
            Self::NotAuthentic => {
                f.write_str("the snapshot's signature does not fit the public key in Envoy's configuration")
            }
            Self::Schema(found) => {
                write!(f, "the snapshot has schema {found}, this build reads {SCHEMA}: use matching versions")
            }
            Self::Malformed(what) => write!(f, "the snapshot is malformed: {what}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

#[cfg(test)]
mod tests;
