//! E-mail addresses.

use std::ops::Range;

use super::redact::Place;

/// Letters of Latin scripts with their accents: addresses have them today.
fn is_latin(c: char) -> bool {
    c.is_ascii_alphanumeric() || ('\u{c0}'..='\u{24f}').contains(&c)
}

/// An address, known by its `@`: everything before it that can be a mailbox, everything behind it that can be a host
/// with a dot and at least two letters behind one.
pub(super) fn email(place: &Place) -> Option<Range<usize>> {
    let host = place.rest().strip_prefix('@')?;
    let before = place.text.get(place.from..place.at)?;
    let mailbox = before.chars().rev().take_while(|c| is_latin(*c) || "._%+-".contains(*c));
    let mailbox: usize = mailbox.map(char::len_utf8).sum();
    let end = host.find(|c| !(is_latin(c) || ".-".contains(c))).unwrap_or(host.len());
    let host = host.get(..end)?.trim_end_matches(['.', '-']);
    let mut labels = host.split('.').skip(1);
    let named = labels.any(|label| label.chars().take_while(|c| c.is_alphabetic()).count() >= 2);
    (mailbox > 0 && named).then(|| place.at - mailbox..place.at + 1 + host.len())
}
