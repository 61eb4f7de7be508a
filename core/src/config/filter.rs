//! The plugin configuration in Envoy's own configuration: says where the sidecar is and which of the filter's
//! roles this place plays. `dragoman render envoy` writes it, the filter reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::ReplayConfig;
use crate::snapshot::VerifyingKey;

/// What one place of Envoy's configuration makes the filter do: `{ROLE: {its settings}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FilterConfig {
    /// In the gateway's listener: decides requests.
    Route(RouteRole),
    /// In the push listener: takes snapshots from the sidecar, and fetches one after a restart of Envoy.
    Push {
        /// Whose signature a snapshot must bear.
        public_key: PublicKey,
        /// Envoy's cluster of the sidecar.
        sidecar: String,
        /// What the sidecar knows its filters by, if it asks for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sidecar_token: Option<String>,
    },
}

/// Settings of the deciding role; they hold even before the first snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRole {
    /// Envoy's cluster of the sidecar.
    pub sidecar: String,
    /// What the sidecar knows its filters by, if it asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar_token: Option<String>,
    /// Cluster of the default route.
    pub default_cluster: String,
    /// What the body's `model` becomes on the default route.
    pub default_model: String,
    /// Larger bodies go to the default route unread, bytes.
    pub max_body_bytes: usize,
    /// How prompts become embeddings.
    pub encoder: EncoderRole,
    /// Request headers that name the session, in order of preference; lower case.
    pub session_headers: Vec<String>,
    /// The outbox of replay records.
    pub replay: ReplayConfig,
    /// Whether failed requests go on to another route.
    pub escalation: bool,
}

/// How the filter comes by embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderRole {
    /// Cap on the tokens that are read of a prompt.
    pub max_tokens: usize,
    /// Embeddings a worker remembers; 0 for none.
    pub cache: u32,
    /// Who is asked instead of the filter's own encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteEncoder>,
}

/// An OpenAI-compatible server of embeddings, as Envoy reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteEncoder {
    /// Envoy's cluster.
    pub cluster: String,
    /// What its `:authority` must be.
    pub authority: String,
    /// What the question's `model` is.
    pub model: String,
    /// Whether it answers in base64 when asked to.
    pub packed: bool,
    /// How long a request waits for it, milliseconds.
    pub deadline_ms: u32,
    /// What the sidecar knows its filters by, where it is the sidecar that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
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
