//! What links a request to the one before it in its conversation, without repeating a word of either.
//!
//! Chat and Messages send the whole conversation again each turn, so a turn's `follows` is the `whole` of the turn
//! before it. Hashed are the texts of system, user and assistant up to a user turn, and who asks (`user`); tool calls
//! and their results are not, since agents add, cut and clear them between turns. Completions hold no conversation, and
//! where the server keeps it (`conversation`) the body does not have it: there is nothing to hash.
//!
//! The hash is SipHash-1-3 (Aumasson & Bernstein 2012) with a secret key, so that records alone cannot be searched
//! for a guessed prompt. (The key is in the snapshots: whoever reads those can.)

use std::fmt;
use std::hash::Hasher;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip::SipHasher13;

/// The secret that conversations are hashed with. Shown nowhere: it would open the hashes to guessing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ThreadKey(pub [u8; 16]);

/// The hash of a conversation up to one of its user turns; 16 hexadecimal digits in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadHash(pub u64);

/// Where a request stands in its conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// The conversation up to the last user turn with text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<ThreadHash>,
    /// The conversation up to the user turn before that: the `whole` of the request that this one follows up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<ThreadHash>,
    /// The Responses API's `previous_response_id`: the answer that this request follows up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_response: Option<String>,
    /// Whether a tool's result stands behind the last user turn: a step of an agent, not a turn of its user.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// Whether the last user turn has words of dissatisfaction.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub complains: bool,
}

/// Hashes a conversation as it is read.
#[derive(Debug)]
pub(super) struct ThreadHasher {
    hasher: SipHasher13,
    whole: Option<ThreadHash>,
    follows: Option<ThreadHash>,
}

// === impl ThreadHasher ===

impl ThreadHasher {
    /// `origin` is what tells equal words of two conversations apart.
    pub(super) fn new(key: &ThreadKey, origin: [Option<&str>; 2]) -> Self {
        let mut hasher = Self { hasher: SipHasher13::new_with_key(&key.0), whole: None, follows: None };
        origin.into_iter().for_each(|text| hasher.add(text.unwrap_or_default()));
        hasher
    }

    /// The next text. Its length goes in too: texts that break elsewhere are others.
    pub(super) fn add(&mut self, text: &str) {
        self.hasher.write(text.as_bytes());
        self.hasher.write(&(text.len() as u64).to_le_bytes());
    }

    /// The speaker of what comes next.
    pub(super) fn speaker(&mut self, tag: u8) {
        self.hasher.write(&[tag]);
    }

    /// A user turn ends here.
    pub(super) fn turn(&mut self) {
        let now = ThreadHash(self.hasher.finish());
        self.follows = self.whole.replace(now);
    }

    /// `whole` and `follows`.
    pub(super) fn hashes(&self) -> (Option<ThreadHash>, Option<ThreadHash>) {
        (self.whole, self.follows)
    }
}

// === impl ThreadKey ===

impl fmt::Debug for ThreadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadKey(secret)")
    }
}

impl Serialize for ThreadKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        STANDARD.encode(self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for ThreadKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(d)?).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("a thread key is 16 bytes in base64"))
    }
}

// === impl ThreadHash ===

impl Serialize for ThreadHash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for ThreadHash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let plain = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let hash = u64::from_str_radix(&text, 16).ok().filter(|_| plain);
        hash.map(Self).ok_or_else(|| serde::de::Error::custom("a thread's hash is 16 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Api, parse_thread};
    use super::*;

    const KEY: ThreadKey = ThreadKey([7; 16]);

    fn thread(api: Api, body: &Value) -> Thread {
        parse_thread(api, body.to_string().as_bytes(), Some(&KEY)).unwrap().thread
    }

    fn chat(messages: &Value) -> Thread {
        thread(Api::ChatCompletions, &json!({"model": "m", "messages": messages}))
    }

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    fn answer(text: &str) -> Value {
        json!({"role": "assistant", "content": text})
    }

    #[test]
    fn what_a_turn_follows_is_the_whole_of_the_turn_before_it() {
        let first = chat(&json!([user("Capital of Peru?")]));
        let second = chat(&json!([user("Capital of Peru?"), answer("Quito."), user("No.")]));
        let third = chat(&json!([
            user("Capital of Peru?"),
            answer("Quito."),
            user("No."),
            answer("Lima."),
            user("Ok")
        ]));
        assert_eq!(first.follows, None);
        assert!(first.whole.is_some() && second.whole.is_some());
        assert_eq!((second.follows, third.follows), (first.whole, second.whole));
        let shapes = json!([{"role": "user", "content": [{"type": "text", "text": "Capital of Peru?"}]}]);
        assert_eq!(chat(&shapes).whole, first.whole, "a text is the same as its one part");
    }

    #[test]
    fn steps_of_an_agent_do_not_break_the_thread() {
        let call =
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function"}]});
        let result = json!({"role": "tool", "tool_call_id": "1", "content": "42 files"});
        let first = chat(&json!([user("Count the files.")]));
        let step = chat(&json!([user("Count the files."), call, result]));
        let next =
            chat(&json!([user("Count the files."), call, result, answer(""), user("And the folders?")]));
        assert!(!first.continues && step.continues && !next.continues);
        assert_eq!((step.whole, next.follows), (first.whole, first.whole));
    }

    #[test]
    fn other_words_people_answers_or_keys_make_another_thread() {
        let one = chat(&json!([user("a"), answer("b"), user("c")]));
        for other in [
            json!([user("a"), answer("B"), user("c")]),
            json!([user("ab"), answer(""), user("c")]),
            json!([answer("a"), user("b"), user("c")]),
            json!([{"role": "system", "content": "a"}, user("b"), user("c")]),
        ] {
            assert_ne!(chat(&other).whole, one.whole, "{other}");
        }
        let of = |user: &str| {
            thread(
                Api::ChatCompletions,
                &json!({"user": user, "messages": [{"role": "user", "content": "a"}]}),
            )
        };
        assert_ne!(of("ann").whole, of("bob").whole);
        let body = json!({"messages": [user("a")]}).to_string();
        let keyed = |key| {
            parse_thread(Api::ChatCompletions, body.as_bytes(), Some(&ThreadKey(key))).unwrap().thread.whole
        };
        assert_ne!(keyed([1; 16]), keyed([2; 16]));
    }

    #[test]
    fn a_response_points_at_the_one_it_follows_and_words_alone_do_not_make_it_the_same() {
        let to = |id: &str| thread(Api::Responses, &json!({"input": "go on", "previous_response_id": id}));
        assert_eq!(to("resp_1").previous_response.as_deref(), Some("resp_1"));
        assert_ne!(to("resp_1").whole, to("resp_2").whole);
        assert_eq!(to("resp_1").whole, to("resp_1").whole);
        let kept = thread(Api::Responses, &json!({"input": "go on", "conversation": "conv_1"}));
        assert_eq!((kept.whole, kept.follows), (None, None), "the server keeps the conversation");
        let text = thread(Api::Completions, &json!({"prompt": "go on"}));
        assert_eq!(text, Thread::default(), "a text is no conversation");
    }

    #[test]
    fn a_complaint_in_the_last_turn_is_seen() {
        assert!(chat(&json!([user("2+2?"), answer("5"), user("that's wrong")])).complains);
        assert!(!chat(&json!([user("2+2?"), answer("5"), user("thanks")])).complains);
    }

    #[test]
    fn a_thread_survives_json_and_its_key_is_not_printed() {
        let one = chat(&json!([user("a"), answer("b"), user("c")]));
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Thread>(&text).unwrap(), one);
        assert_eq!(serde_json::from_str::<ThreadKey>(&serde_json::to_string(&KEY).unwrap()).unwrap(), KEY);
        assert!(!format!("{KEY:?}").contains('7'));
        assert!(serde_json::from_str::<ThreadHash>("\"+0000000000000ff\"").is_err());
    }

    /// What hashing adds to reading a conversation of 4 MB: `cargo test --release -p dragoman-core -- --ignored hashing`.
    #[test]
    #[ignore = "a measurement"]
    fn hashing_a_long_conversation_takes_a_nanosecond_a_byte() {
        let turn = "All work and no play makes Jack a dull boy. ".repeat(500);
        let messages: Vec<Value> =
            (0..200).map(|i| if i % 2 == 0 { user(&turn) } else { answer(&turn) }).collect();
        let body = json!({"messages": messages}).to_string();
        let time = |key: Option<&ThreadKey>| {
            let best = (0..20).map(|_| {
                let start = std::time::Instant::now();
                std::hint::black_box(parse_thread(Api::ChatCompletions, body.as_bytes(), key).unwrap());
                start.elapsed()
            });
            best.min().unwrap()
        };
        let (without, with) = (time(None), time(Some(&KEY)));
        let added = with.saturating_sub(without);
        println!("{} bytes: {without:?} without, {with:?} with hashes", body.len());
        assert!(added.as_nanos() <= body.len() as u128, "{added:?}");
    }
}
