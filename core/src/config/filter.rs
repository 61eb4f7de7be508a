//! The plugin configuration in Envoy's own configuration: says where the sidecar is and which of the filter's
//! roles this place plays. `dragoman render envoy` writes it, the filter reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::ReplayConfig;
use crate::snapshot::VerifyingKey;

/// What one place of Envoy's configuration makes the filter do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case", deny_unknown_fields)]
pub enum FilterConfig {
    /// In the gateway's listener: decides requests.
    Route(RouteRole),
    /// In the push listener: takes snapshots from the sidecar.
    Push {
        /// Whose signature a snapshot must bear.
        public_key: PublicKey,
    },
    /// The bootstrap singleton: fetches the snapshot after a restart of Envoy.
    Recover {
        /// Whose signature a snapshot must bear.
        public_key: PublicKey,
        /// Envoy's cluster of the sidecar.
        sidecar: String,
    },
    /// In a model's cluster: gives an escalated request the model name its new upstream knows.
    Attempt {
        /// Envoy's cluster this stands in.
        cluster: String,
        /// What the body's `model` must be there.
        upstream_model: String,
    },
}

/// Settings of the deciding role; they hold even before the first snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRole {
    /// Envoy's cluster of the sidecar.
    pub sidecar: String,
    /// Cluster of the default route.
    pub default_cluster: String,
    /// What the body's `model` becomes on the default route.
    pub default_model: String,
    /// Larger bodies go to the default route unread, bytes.
    pub max_body_bytes: usize,
    /// Cap on the tokens the encoder reads.
    pub max_tokens: usize,
    /// Request headers that name the session, in order of preference; lower case.
    pub session_headers: Vec<String>,
    /// The outbox of replay records.
    pub replay: ReplayConfig,
    /// Whether failed requests go on to another route.
    pub escalation: bool,
}

/// An Ed25519 public key, base64 in text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub VerifyingKey);

impl TryFrom<String> for PublicKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
        let key = bytes.and_then(|b| VerifyingKey::from_bytes(&b).ok());
        key.map(Self).ok_or_else(|| "public_key must be the base64 of a 32-byte Ed25519 public key".into())
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        STANDARD.encode(key.0.to_bytes())
    }
}
