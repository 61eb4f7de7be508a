//! Numbers that name people: cards, phones, bank accounts.

use std::ops::Range;

use super::redact::Place;

/// What may stand between two digits of one number; the longer first.
const BETWEEN: [&str; 14] =
    [" - ", ") ", ")-", " (", "-(", "\u{a0}", "\u{202f}", "\u{2011}", "\u{2013}", " ", "-", ".", "/", ")"];
/// Most digits that are read.
const MOST: usize = 20;

/// First digit of a card and how many it may have in all (ISO/IEC 7812, the networks in use).
const CARDS: [(u8, &[usize]); 5] =
    [(2, &[16]), (3, &[14, 15, 16]), (4, &[13, 16, 19]), (5, &[16]), (6, &[16, 17, 18, 19])];

/// Words that say that a phone number follows.
const NAMES: [&str; 12] = [
    "phone", "tel", "mobile", "cell", "whatsapp", "fax", "sms", "telefon", "handy", "call me", "text me",
    "reach me",
];
/// Bytes before a number in which such a word is looked for.
const NEAR: usize = 24;

/// Digits in groups, as people write them.
#[derive(Default)]
struct Number {
    digits: Vec<u8>,
    /// Of each group: digits up to its end, and where it ends.
    groups: Vec<(usize, usize)>,
    /// Whether a plus stands before it.
    plus: bool,
    /// Whether its groups are apart by blanks only.
    blanks: bool,
}

// === impl Number ===

impl Number {
    /// The number that begins at the place, if one does.
    fn at(place: &Place) -> Option<Self> {
        let first = place.byte(place.at)?;
        if !place.begins() || place.before() == Some(b'_') {
            return None;
        }
        let mut number = Self { plus: first == b'+', blanks: true, ..Self::default() };
        let mut at = place.at + usize::from(number.plus);
        at += usize::from(place.byte(at) == Some(b'('));
        while number.digits.len() <= MOST {
            let end = place.run(at, |b| b.is_ascii_digit()).min(at + MOST + 1);
            if end == at {
                break;
            }
            number.digits.extend(place.text.as_bytes().get(at..end)?.iter().map(|b| b - b'0'));
            number.groups.push((number.digits.len(), end));
            let rest = place.text.get(end..)?;
            let goes_on = |between: &&&str| {
                rest.strip_prefix(**between).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
            };
            let Some(between) = BETWEEN.iter().find(goes_on) else { break };
            number.blanks &= *between == " ";
            at = end + between.len();
        }
        (!number.groups.is_empty()).then_some(number)
    }

    /// The ends of the groups where the number may end, with the digits up to there; the last first.
    fn ends(&self, place: &Place) -> impl Iterator<Item = (usize, usize)> {
        let whole = |end: usize| match place.byte(end) {
            Some(b'-' | b'.' | b'/') => !place.byte(end + 1).is_some_and(|b| b.is_ascii_digit()),
            Some(b) => !(b.is_ascii_alphanumeric() || b == b'_'),
            None => true,
        };
        let ends: Vec<_> = self.groups.iter().rev().copied().filter(|(_, end)| whole(*end)).collect();
        ends.into_iter()
    }

    /// Sizes of the groups.
    fn sizes(&self) -> Vec<usize> {
        let before = std::iter::once(0).chain(self.groups.iter().map(|(n, _)| *n));
        self.groups.iter().zip(before).map(|((n, _), before)| n - before).collect()
    }

    fn digit(&self, i: usize) -> u8 {
        self.digits.get(i).copied().unwrap_or(0)
    }
}

/// A card: as many digits as its network gives, in groups of three and more, with Luhn's check digit.
pub(super) fn card(place: &Place) -> Option<Range<usize>> {
    let number = Number::at(place).filter(|n| !n.plus)?;
    let (_, lengths) = CARDS.iter().find(|(first, _)| *first == number.digit(0))?;
    let sizes = number.sizes();
    let fits = |(n, end): (usize, usize)| {
        let groups = number.groups.iter().take_while(|(upto, _)| *upto <= n).count();
        let grouped = groups == 1 || sizes.iter().take(groups).all(|size| *size >= 3);
        (lengths.contains(&n) && grouped && luhn(number.digits.get(..n)?)).then_some(place.at..end)
    };
    number.ends(place).find_map(fits)
}

/// ISO/IEC 7812-1, annex B: every second digit from the right doubled, its digits summed; the sum is a multiple of 10.
fn luhn(digits: &[u8]) -> bool {
    let value = |(i, d): (usize, &u8)| match u32::from(*d) * if i % 2 == 1 { 2 } else { 1 } {
        doubled @ 10.. => doubled - 9,
        single => single,
    };
    digits.iter().rev().enumerate().map(value).sum::<u32>().is_multiple_of(10)
}

/// A phone number that shows itself: international (E.164), with a leading 0, or three-three-four as in North America.
pub(super) fn phone(place: &Place) -> Option<Range<usize>> {
    let number = Number::at(place)?;
    // Part of something longer: a version, a path, an order's number, a price.
    let national = !matches!(place.before(), Some(b'-' | b'.' | b'/' | b'#' | b'$' | b':' | b'='))
        || place.lately(NEAR).to_ascii_lowercase().ends_with("tel:");
    let international = number.plus || (number.digit(0) == 0 && number.digit(1) == 0 && number.digit(2) != 0);
    let range = match (international, number.digit(0)) {
        (true, _) => 8..=15,
        (false, 0) if national && is_trunk(&number) => 9..=12,
        (false, _) if national => return north_american(place, &number),
        _ => return None,
    };
    number.ends(place).find(|(n, _)| range.contains(n)).map(|(_, end)| place.at..end)
}

/// A number that begins with the trunk prefix 0 and is neither a decimal nor a date.
fn is_trunk(number: &Number) -> bool {
    match number.sizes()[..] {
        [n] => (10..=11).contains(&n),
        [2, 2, 4, ..] | [1, ..] => false,
        _ => true,
    }
}

fn north_american(place: &Place, number: &Number) -> Option<Range<usize>> {
    let sizes = number.sizes();
    let (skipped, groups) = match sizes[..] {
        [1, 3, 3, 4, ..] if number.digit(0) == 1 => (1, 4),
        [3, 3, 4, ..] => (0, 3),
        _ => return None,
    };
    let (_, end) = number.groups.get(groups - 1).copied()?;
    let area = (2..=9).contains(&number.digit(skipped));
    (area && number.ends(place).any(|(_, e)| e == end)).then_some(place.at..end)
}

/// Any number of seven to fifteen digits just behind a word such as "phone".
pub(super) fn phone_by_name(place: &Place) -> Option<Range<usize>> {
    let number = Number::at(place)?;
    let (_, end) = number.ends(place).find(|(n, _)| (7..=15).contains(n))?;
    let near = place.lately(NEAR).to_ascii_lowercase();
    let named = |name: &str| {
        near.rfind(name).is_some_and(|i| {
            let behind = near.get(i + name.len()..).unwrap_or_default();
            let before = near.get(..i).unwrap_or_default();
            let whole = |edge: Option<char>| !edge.is_some_and(char::is_alphanumeric);
            whole(before.chars().last()) && whole(behind.chars().next()) && !behind.contains('\n')
        })
    };
    NAMES.iter().any(|name| named(name)).then_some(place.at..end)
}

/// An IBAN (ISO 13616): a country, two check digits, 11 to 30 letters and digits in groups of four or in one, the
/// remainder of all by 97 being 1.
pub(super) fn iban(place: &Place) -> Option<Range<usize>> {
    let bytes = place.text.as_bytes();
    let [a, b, c, d, ..] = bytes.get(place.at..)? else { return None };
    let shaped = a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit();
    if !(shaped && place.begins()) {
        return None;
    }
    let (mut letters, mut ends, mut at) = (Vec::new(), Vec::new(), place.at);
    while letters.len() <= 34 {
        let end = place.run(at, |b| b.is_ascii_uppercase() || b.is_ascii_digit()).min(at + 35);
        letters.extend(bytes.get(at..end)?);
        ends.push((letters.len(), end));
        let next = |i: usize| place.byte(i).is_some_and(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if end == at || place.byte(end) != Some(b' ') || !next(end + 1) {
            break;
        }
        at = end + 1;
    }
    let whole = |end: usize| !place.byte(end).is_some_and(|b| b.is_ascii_alphanumeric());
    let fits = |(n, end): &&(usize, usize)| {
        (15..=34).contains(n) && whole(*end) && letters.get(..*n).is_some_and(|l| remainder(l) == 1)
    };
    ends.iter().rev().find(fits).map(|(_, end)| place.at..*end)
}

/// The account by 97, its first four characters moved behind and letters read as 10 to 35.
fn remainder(account: &[u8]) -> u32 {
    let (head, tail) = account.split_at(account.len().min(4));
    tail.iter().chain(head).fold(0, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b - b'A') + 10) % 97,
    })
}
