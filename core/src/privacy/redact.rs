//! Redaction: one walk over the text with a table of scanners, each of which knows one kind of secret.
//!
//! Scanners are written by hand, since a filter's start-up time is its size and every byte of a prompt is looked at.
//! Each looks at a bounded piece of the text, or at a run of characters that it begins only once: the walk is linear.
//! When in doubt a piece is taken out: a commit's hash is lost with the keys it cannot be told from.

use std::ops::Range;

use super::{contacts, numbers, secrets};

/// What a scanner is asked: is there something of your kind at byte `at`?
pub(super) struct Place<'a> {
    /// What is left to read, all of the text.
    pub(super) text: &'a str,
    /// Where.
    pub(super) at: usize,
    /// What was taken over, or out, before `from`; a scanner may reach back to there.
    pub(super) out: &'a str,
    /// The first byte that is not in `out` yet.
    pub(super) from: usize,
}

/// Finds the piece to take out; it may begin before the place (an address is known by its `@`) or after it (a password
/// by what it is called).
type Scanner = fn(&Place) -> Option<Range<usize>>;

/// What stands for a piece, and who finds it; the first that does counts.
const SCANNERS: [(&str, Scanner); 12] = [
    ("[key]", secrets::pem),
    ("[key]", secrets::in_url),
    ("[key]", secrets::assigned),
    ("[key]", secrets::bearer),
    ("[key]", secrets::prefixed),
    ("[key]", secrets::jwt),
    ("[iban]", numbers::iban),
    ("[key]", secrets::run),
    ("[email]", contacts::email),
    ("[card]", numbers::card),
    ("[phone]", numbers::phone),
    ("[phone]", numbers::phone_by_name),
];

/// Bound on the walks: one that takes nothing out ends them, and what a walk leaves behind is seldom a new secret.
const WALKS: usize = 8;

/// `text` without e-mail addresses, phone and card numbers, IBANs and keys; a word in brackets stands for each. What is
/// redacted already stays as it is.
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..WALKS {
        match walk(&text) {
            Some(shorter) => text = shorter,
            None => break,
        }
    }
    text
}

/// One walk; `None` if there was nothing to take out.
fn walk(text: &str) -> Option<String> {
    let (mut out, mut from, mut at) = (String::new(), 0, 0);
    while at < text.len() {
        let place = Place { text, at, out: &out, from };
        if !place.may_begin() {
            at += 1;
            continue;
        }
        let found = SCANNERS.iter().find_map(|(word, scan)| Some((word, scan(&place)?)));
        // A piece that is such a word already is no news.
        let found = found.filter(|(word, piece)| text.get(piece.clone()).is_some_and(|p| p != **word));
        match found {
            Some((word, piece)) if piece.start >= from && piece.end > piece.start => {
                out.push_str(text.get(from..piece.start).unwrap_or_default());
                out.push_str(word);
                (from, at) = (piece.end, piece.end);
            }
            _ => at += 1,
        }
    }
    (from > 0).then(|| out + text.get(from..).unwrap_or_default())
}

// === impl Place ===

impl<'a> Place<'a> {
    /// The text from the place on; empty within a character.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The byte before the place; none at the start and behind a piece that was taken out.
    pub(super) fn before(&self) -> Option<u8> {
        (self.at > self.from).then(|| self.byte(self.at - 1)).flatten()
    }

    /// Whether any scanner may find anything here: most bytes of a text are within words.
    fn may_begin(&self) -> bool {
        match self.byte(self.at) {
            Some(b'@' | b':' | b'-' | b'+' | b'(') => true,
            Some(b) => b.is_ascii_alphanumeric() && self.begins(),
            None => false,
        }
    }

    /// Whether a word may begin here.
    pub(super) fn begins(&self) -> bool {
        !self.before().is_some_and(|b| b.is_ascii_alphanumeric())
    }

    /// Where the run of bytes that are `of` a kind ends, from `from` on.
    pub(super) fn run(&self, from: usize, of: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        from + rest.iter().position(|b| !of(*b)).unwrap_or(rest.len())
    }

    /// The last `n` bytes or so of what stands before the place, as it will be stored.
    pub(super) fn lately(&self, n: usize) -> String {
        let near = self.text.get(self.from..self.at).unwrap_or_default();
        let of = |text: &'a str, n: usize| -> &'a str {
            (text.len().saturating_sub(n)..=text.len()).find_map(|i| text.get(i..)).unwrap_or_default()
        };
        format!("{}{}", of(self.out, n.saturating_sub(near.len())), of(near, n))
    }
}
