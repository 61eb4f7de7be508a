//! Who is asking: tokens, and what is remembered of those who give feedback.
//!
//! Tokens are named in the configuration and read once from the environment; here only their SHA-256 is kept, and
//! what is given is compared with it in constant time. This room must not know which path needs which token (the API
//! does) nor what a rating is worth ([`dragoman_core::trust`] does).

use std::net::IpAddr;
use std::sync::Mutex;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dragoman_core::config::Access;
use dragoman_core::snapshot::SigningKey;
use dragoman_core::trust::{Ledger, Limits};
use sha2::{Digest, Sha256};

use crate::key;

/// A shorter token can be guessed.
const SHORTEST: usize = 16;

/// An application that names no raters may send so many times as much feedback as one rater.
const APPLICATION: u32 = 100;

/// What a token lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Send feedback, for whomever it names.
    Feedback,
    /// What Envoy's filters ask.
    Filter,
    /// What anybody may.
    Nobody,
}

/// Who gives feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice<'a> {
    /// An application that is believed and names nobody: it speaks for all of its users, so no daily limit holds.
    Application,
    /// A rater that such an application names.
    Rater(&'a str),
    /// Somebody else, known by their address.
    Stranger(IpAddr),
}

/// The tokens of this sidecar, and the ledger of raters.
#[derive(Debug)]
pub struct Gate {
    admin: Option<Token>,
    feedback: Option<Token>,
    filter: Token,
    /// Keys the hashes of prompts (`privacy.store_prompts: hash`).
    pub hash_key: [u8; 16],
    ledger: Mutex<Ledger>,
}

/// SHA-256 of a token.
#[derive(Debug, Clone, Copy)]
struct Token([u8; 32]);

// === impl Token ===

impl Token {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Takes the same time whatever differs.
    fn is(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

// === impl Gate ===

impl Gate {
    /// Reads the tokens that `access` names by `env`, the environment.
    ///
    /// # Errors
    ///
    /// A sentence: a variable is not set or holds something too short.
    pub fn open(
        access: &Access,
        key: &SigningKey,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let read = |path: &str, name: &Option<String>| {
            let Some(name) = name else { return Ok(None) };
            let token = env(name).map(|text| text.trim().to_owned()).unwrap_or_default();
            match token.len() {
                SHORTEST.. => Ok(Some(Token::of(&token))),
                0 => Err(format!(
                    "{path}.env: the environment variable {name} is not set; put a token into it"
                )),
                n => Err(format!(
                    "{path}.env: the token in {name} has {n} characters; give it at least {SHORTEST}"
                )),
            }
        };
        Ok(Self {
            admin: read("access.token", &access.token)?,
            feedback: read("access.feedback_token", &access.feedback_token)?,
            filter: Token::of(&key::filter_token(key)),
            hash_key: key::Secrets::of(key).hash,
            ledger: Mutex::default(),
        })
    }

    /// Whether anybody is asked for the admin's token.
    pub fn is_locked(&self) -> bool {
        self.admin.is_some()
    }

    /// Who sends these headers.
    pub fn role(&self, headers: &HeaderMap) -> Role {
        let Some(given) = given(headers) else { return Role::Nobody };
        let known = [
            (&self.admin, Role::Admin),
            (&self.feedback, Role::Feedback),
            (&Some(self.filter), Role::Filter),
        ];
        let fits = |(token, _): &&(&Option<Token>, Role)| token.is_some_and(|token| token.is(&given));
        known.iter().find(fits).map_or(Role::Nobody, |(_, role)| *role)
    }

    /// Whether the names that `peer` gives its raters are believed: those of a token's holder and of a neighbour on
    /// loopback are. Anybody else could have as many names as they like.
    pub fn believes(&self, role: Role, peer: IpAddr) -> bool {
        matches!(role, Role::Admin | Role::Feedback) || peer.to_canonical().is_loopback()
    }

    /// Feedback comes at `now`. Gives the weight of this word in 0..=1, or the seconds after which it may be sent again.
    pub fn speak(&self, access: &Access, voice: Voice, now: u64) -> Result<f64, u64> {
        let (principal, times) = match voice {
            Voice::Application => ("application".to_owned(), APPLICATION),
            Voice::Rater(name) => (format!("rater {name}"), 1),
            Voice::Stranger(address) => (format!("from {}", address.to_canonical()), 1),
        };
        let per_minute = access.feedback_per_minute.saturating_mul(times);
        let limits = Limits { per_minute, burst: per_minute, per_day: access.rater_per_day };
        // A thread that panicked here left a whole table behind.
        let mut ledger = self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let weight = ledger.speak(&principal, &limits, now)?;
        Ok(if voice == Voice::Application { 1.0 } else { weight })
    }
}

/// The token of `authorization`: `Bearer TOKEN`, or as a browser asks for it, `Basic` with the token as password.
fn given(headers: &HeaderMap) -> Option<Token> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(Token::of(rest.trim())),
        "basic" => {
            let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
            Some(Token::of(text.split_once(':')?.1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use dragoman_core::config::Config;
    use serde_json::{Value, json};

    use super::*;

    const ADMIN: &str = "the admin's own token";
    const APP: &str = "the application's token";

    fn access(section: Value) -> Access {
        let document = json!({"models": {"a": {"endpoint": "http://h", "price": {}}}, "default_model": "a",
                              "access": section});
        Config::from_value(&document).unwrap().access
    }

    fn gate(section: Value) -> Result<Gate, String> {
        let env = |name: &str| match name {
            "ADMIN" => Some(format!("{ADMIN}\n")),
            "APP" => Some(APP.to_owned()),
            "SHORT" => Some("x".to_owned()),
            _ => None,
        };
        Gate::open(&access(section), &SigningKey::from_bytes(&[3; 32]), env)
    }

    fn role(gate: &Gate, authorization: &str) -> Role {
        let value = HeaderValue::from_str(authorization).unwrap();
        gate.role(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    #[test]
    fn a_token_is_known_by_its_role_and_nothing_else_is() {
        let gate = gate(json!({"token": {"env": "ADMIN"}, "feedback_token": {"env": "APP"}})).unwrap();
        let filter = key::filter_token(&SigningKey::from_bytes(&[3; 32]));
        let basic = format!("Basic {}", STANDARD.encode(format!("anyone:{ADMIN}")));
        for (authorization, expected) in [
            (format!("Bearer {ADMIN}"), Role::Admin),
            (format!("bearer {APP}"), Role::Feedback),
            (format!("Bearer {filter}"), Role::Filter),
            (basic, Role::Admin),
            (format!("Bearer {ADMIN}x"), Role::Nobody),
            ("Bearer ".into(), Role::Nobody),
            (ADMIN.into(), Role::Nobody),
            ("Basic !".into(), Role::Nobody),
        ] {
            assert_eq!(role(&gate, &authorization), expected, "{authorization}");
        }
        assert_eq!(gate.role(&HeaderMap::new()), Role::Nobody);
    }

    #[test]
    fn a_variable_without_a_good_token_is_named_in_a_sentence() {
        let why = |name: &str| gate(json!({"token": {"env": name}})).unwrap_err();
        assert!(why("MISSING").contains("access.token.env: the environment variable MISSING is not set"));
        assert!(why("SHORT").contains("has 1 characters; give it at least 16"));
    }

    #[test]
    fn a_rater_that_is_believed_has_limits_of_its_own_and_a_stranger_those_of_its_address() {
        let section = json!({"feedback_per_minute": 3, "rater_per_day": 1, "token": {"env": "ADMIN"}});
        let (gate, access) = (gate(section.clone()).unwrap(), access(section));
        let (home, away): (IpAddr, IpAddr) =
            ("::ffff:127.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap());
        assert!(gate.believes(Role::Nobody, home) && gate.believes(Role::Feedback, away));
        assert!(!gate.believes(Role::Nobody, away) && !gate.believes(Role::Filter, away));
        let words = |voice| gate.speak(&access, voice, 0);
        let ann = Voice::Rater("ann");
        assert_eq!([0, 1, 2].map(|_| words(ann)), [Ok(1.0), Ok(0.5), Ok(1.0 / 3.0)]);
        assert_eq!((words(ann), words(Voice::Rater("ben"))), (Err(20), Ok(1.0)));
        assert!((0..300).all(|_| words(Voice::Application) == Ok(1.0)), "it speaks for all of its users");
        assert!(words(Voice::Application).is_err());
        let stranger = Voice::Stranger(away);
        assert_eq!([0, 1, 2, 3].map(|_| words(stranger).is_ok()), [true, true, true, false]);
    }
}
