//! Keys, tokens and passwords: by their form, by what they are called, and by how random they look.

use std::ops::Range;

use super::redact::Place;

/// How keys of well-known services begin, and the least number of characters that follow.
const PREFIXES: [(&str, usize); 34] = [
    ("sk-", 16),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("pk_live_", 10),
    ("pk_test_", 10),
    ("rk_live_", 10),
    ("whsec_", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxe-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 20),
    ("hf_", 20),
    ("npm_", 20),
    ("pypi-", 20),
    ("SG.", 20),
    ("dop_v1_", 20),
    ("gsk_", 20),
    ("r8_", 20),
    ("AGE-SECRET-KEY-", 20),
    ("PMAK-", 20),
];

/// What secrets are called, and whether anything that is called so is one; else it must look like one too.
const NAMES: [(&str, bool); 16] = [
    ("password", true),
    ("passwort", true),
    ("passwd", true),
    ("passphrase", true),
    ("pwd", true),
    ("client_secret", true),
    ("api_key", true),
    ("api-key", true),
    ("api key", true),
    ("apikey", true),
    ("access_key", true),
    ("access key", true),
    ("private_key", true),
    ("authorization", true),
    ("secret", false),
    ("token", false),
];

/// What stands between a name and its value.
const SIGNS: [&str; 7] = [":=", "=>", "=", ":", " is ", " was ", " ist "];

/// A shorter value is a word.
const SHORTEST: usize = 3;
/// From here on a value is long enough to be a key, whatever it consists of.
const LONG: usize = 16;
/// From here on a run of characters can be random enough to tell.
const RUN: usize = 32;

/// A PEM block; one that does not end goes to the end of the text.
pub(super) fn pem(place: &Place) -> Option<Range<usize>> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let body = place.rest().strip_prefix(BEGIN)?;
    let Some(end) = body.find(END).map(|i| i + END.len()) else { return Some(place.at..place.text.len()) };
    let line = body.get(end..)?;
    let end = end + line.find("-----").map_or(line.len(), |i| i + 5);
    Some(place.at..place.at + BEGIN.len() + end)
}

/// User and password of a URL (RFC 3986 §3.2.1): what stands between `://` and `@`, if there is a `:` in it.
pub(super) fn in_url(place: &Place) -> Option<Range<usize>> {
    place.rest().strip_prefix("://").filter(|rest| !rest.starts_with("[key]@"))?;
    let from = place.at + 3;
    let end = place
        .run(from, |b| !b.is_ascii_whitespace() && !matches!(b, b'/' | b'@' | b'"' | b'\'' | b'<' | b'>'));
    let user = place.text.get(from..end)?;
    (place.byte(end) == Some(b'@') && user.contains(':')).then_some(from..end)
}

/// The value of something that is called a password, a token or a key.
pub(super) fn assigned(place: &Place) -> Option<Range<usize>> {
    let first = place.byte(place.at).filter(|_| place.begins())?.to_ascii_lowercase();
    let called = |(name, _): &&(&str, bool)| {
        let name = name.as_bytes();
        let here = || place.text.as_bytes().get(place.at..place.at + name.len());
        // Most words differ in their first letter.
        name.first() == Some(&first) && here().is_some_and(|text| text.eq_ignore_ascii_case(name))
    };
    let (name, surely) = NAMES.iter().find(called)?;
    let mut at = place.at + name.len();
    // As in {"password": "…"} and password = "…".
    at += usize::from(matches!(place.byte(at), Some(b'"' | b'\'')));
    let blanks = |at| place.run(at, |b| b == b' ').min(at + 4);
    let signed =
        |at: usize| SIGNS.iter().find(|sign| place.text.get(at..).is_some_and(|t| t.starts_with(**sign)));
    let (sign, at) = match (signed(at), blanks(at)) {
        (Some(sign), _) => (sign, at),
        (None, at) => (signed(at)?, at),
    };
    let at = blanks(at + sign.len());
    let quote = place.byte(at).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    let from = at + usize::from(quote.is_some());
    let end = match quote {
        Some(quote) => place.run(from, |b| b != quote && b != b'\n'),
        None if *name == "authorization" => place.run(from, |b| !matches!(b, b'\n' | b'\r' | b'"' | b'\'')),
        None => place.run(from, |b| {
            !b.is_ascii_whitespace() && !matches!(b, b',' | b';' | b'"' | b'\'' | b'`' | b'}')
        }),
    };
    let value = place.text.get(from..end)?;
    let looks_so = value.len() >= LONG && !value.contains(' ') || value.bytes().any(|b| b.is_ascii_digit());
    // "The password is wrong" tells nothing; "the password is hunter2" does.
    let surely = *surely && !sign.starts_with(' ');
    (value.len() >= SHORTEST && (surely || looks_so)).then_some(from..end)
}

/// The token behind `Bearer` (RFC 6750 §2.1).
pub(super) fn bearer(place: &Place) -> Option<Range<usize>> {
    let bytes = place.text.as_bytes();
    let word = bytes.get(place.at..place.at + 7).filter(|w| w.eq_ignore_ascii_case(b"bearer "))?;
    let from = place.at + word.len();
    let end = place.run(from, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    let token = bytes.get(from..end)?;
    (place.begins() && token.len() >= LONG && token.iter().any(u8::is_ascii_digit)).then_some(from..end)
}

/// A key that begins as those of a well-known service do. One without a digit must be one long word.
pub(super) fn prefixed(place: &Place) -> Option<Range<usize>> {
    let (first, rest) = (place.byte(place.at).filter(|_| place.begins())?, place.rest());
    let begins = |prefix: &str| prefix.as_bytes().first() == Some(&first) && rest.starts_with(prefix);
    let (prefix, least) = PREFIXES.iter().find(|(prefix, _)| begins(prefix))?;
    let from = place.at + prefix.len();
    let end = place.run(from, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let tail = place.text.get(from..end)?.trim_end_matches(['.', '-']);
    let is_key = tail.bytes().any(|b| b.is_ascii_digit()) || tail.bytes().all(|b| b.is_ascii_alphanumeric());
    (tail.len() >= *least && is_key).then_some(place.at..from + tail.len())
}

/// A JSON Web Token (RFC 7519): three parts of base64url, of which the first is that of `{"`.
pub(super) fn jwt(place: &Place) -> Option<Range<usize>> {
    if !(place.rest().starts_with("eyJ") && place.begins()) {
        return None;
    }
    let part = |from| place.run(from, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='));
    let (header, mut end) = (part(place.at), part(place.at));
    for _ in 0..2 {
        if place.byte(end) != Some(b'.') {
            break;
        }
        end = part(end + 1);
    }
    (end > header + 8).then_some(place.at..end)
}

/// A run of hexadecimal digits or of base64 that no language makes.
pub(super) fn run(place: &Place) -> Option<Range<usize>> {
    let of = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-' | b'=');
    let symbol = |b: u8| of(b) && !b.is_ascii_alphanumeric();
    // Where the run begins, but for one sign before it; so that each run is looked at once.
    let earlier = (place.at > place.from + 1).then(|| place.byte(place.at - 2)).flatten();
    let starts = place.before().is_none_or(|b| !of(b) || symbol(b) && !earlier.is_some_and(of));
    if !starts {
        return None;
    }
    let end = place.run(place.at, of);
    let bytes = place.text.as_bytes().get(place.at..end)?;
    (bytes.len() >= RUN && (is_hex(bytes) || is_random(bytes))).then_some(place.at..end)
}

fn is_hex(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    bytes.iter().all(u8::is_ascii_hexdigit) && digits > 0 && digits < bytes.len()
}

/// Words change seldom between small letters, capitals and digits, and use few letters often; random base64 changes two
/// times in three, and of 32 characters some 25 differ.
fn is_random(bytes: &[u8]) -> bool {
    let class = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let mut seen = [false; 128];
    bytes.iter().for_each(|b| seen.iter_mut().skip(usize::from(*b)).take(1).for_each(|s| *s = true));
    let distinct = seen.iter().filter(|s| **s).count();
    let changes = bytes.iter().zip(bytes.iter().skip(1)).filter(|(a, b)| class(**a) != class(**b)).count();
    let has = |c: usize| bytes.iter().any(|b| class(*b) == c);
    let enough = (bytes.len() * 3 / 5).min(26);
    has(0) && has(1) && has(2) && changes * 5 >= bytes.len() * 2 && distinct >= enough
}
