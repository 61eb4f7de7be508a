//! Reading a judge's score out of what it writes.

use serde_json::Value;

/// The highest score.
pub const BEST: u8 = 5;
/// The lowest.
pub(super) const WORST: u8 = 1;

/// Words before a score.
const NAMES: [&str; 4] = ["score", "rating", "grade", "rate"];
/// What of a reply is looked at, bytes: a judge that writes more has not understood its task.
const LOOK_AT: usize = 2000;

/// The score in a judge's reply: `4`, `Score: 4/5`, `{"score": 4}`, or a sentence with one number in 1..=5. `None` if
/// there is none, or several that contradict each other.
pub fn read_score(reply: &str) -> Option<u8> {
    let end = (0..=LOOK_AT.min(reply.len())).rev().find(|&i| reply.is_char_boundary(i)).unwrap_or(0);
    let reply = reply.get(..end)?.trim().to_lowercase();
    in_json(&reply).or_else(|| in_words(&reply))
}

fn in_json(reply: &str) -> Option<u8> {
    let object = reply.get(reply.find('{')?..=reply.rfind('}')?)?;
    let value: Value = serde_json::from_str(object).ok()?;
    let named = NAMES.iter().find_map(|name| value.get(*name))?;
    match named {
        Value::String(text) => in_words(text),
        number => number.as_f64().and_then(score),
    }
}

/// A number after a name counts before one over five, and that before any other.
fn in_words(reply: &str) -> Option<u8> {
    let found = numbers(reply);
    let alone = |pick: fn(&Number) -> bool| {
        let mut scores = found.iter().filter(|n| pick(n)).filter_map(|n| score(n.value));
        let first = scores.next()?;
        scores.all(|other| other == first).then_some(first)
    };
    let ranks: [fn(&Number) -> bool; 3] = [|n| n.named, |n| n.over, |n| !n.part_of_scale];
    ranks.into_iter().find(|pick| found.iter().any(pick)).and_then(alone)
}

fn score(value: f64) -> Option<u8> {
    let whole = libm::round(value);
    (f64::from(WORST) <= value && value <= f64::from(BEST)).then_some(whole as u8)
}

/// A number of the reply and what stands around it.
struct Number {
    value: f64,
    /// After `score:` or its like.
    named: bool,
    /// Before `/5` or `out of 5`.
    over: bool,
    /// The 5 of `/5`, or an end of `1-5` or `1 to 5`.
    part_of_scale: bool,
}

fn numbers(text: &str) -> Vec<Number> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (_, from) = rest.split_at(start);
        let length = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let (digits, after) = from.split_at(length);
        let before = text.get(..text.len() - from.len()).unwrap_or_default();
        if let Ok(value) = digits.trim_end_matches('.').parse() {
            found.push(Number::new(before, value, after));
        }
        rest = after;
    }
    found
}

impl Number {
    fn new(before: &str, value: f64, after: &str) -> Self {
        const SCALES: [&str; 5] = ["/", "-", "–", "out of", "to"];
        let (before, after) = (before.trim_end(), after.trim_start());
        let name = before.trim_end_matches([':', '=', '*', '"', '\'', ' ', '_']).trim_end_matches(" is");
        let joins = |over: &str| after.strip_prefix(over).map(str::trim_start);
        let to_five = |over: &[&str]| over.iter().filter_map(|o| joins(o)).any(|five| five.starts_with('5'));
        let after_one =
            |scale: &&str| before.strip_suffix(*scale).is_some_and(|one| !one.trim_end().is_empty());
        Self {
            value,
            named: NAMES.iter().any(|n| name.ends_with(n)) && !to_five(&["-", "–", "to"]),
            over: to_five(&["/", "out of"]),
            part_of_scale: to_five(&["-", "–", "to"]) || (value == 5.0 && SCALES.iter().any(after_one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_read_from_whatever_a_judge_writes_around_it() {
        for (reply, score) in [
            ("4", Some(4)),
            (" 5.\n", Some(5)),
            ("Score: 4/5", Some(4)),
            ("**Rating:** 2", Some(2)),
            ("{\"score\": 3, \"why\": \"1 of 2 parts\"}", Some(3)),
            ("```json\n{\"score\": \"4\"}\n```", Some(4)),
            ("On a scale of 1-5, I would give this a 2.", Some(2)),
            ("The score is 1 because step 4 is wrong", Some(1)),
            ("3 out of 5", Some(3)),
            ("4.5/5", Some(5)),
            ("I rate it from 1 to 5: 4", Some(4)),
            ("Either 2 or 4", None),
            ("10", None),
            ("0", None),
            ("excellent", None),
            ("", None),
        ] {
            assert_eq!(read_score(reply), score, "{reply}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_reply_is_read_without_a_panic_and_a_score_lies_in_range(reply in ".{0,60}|[0-9./:a-z 5-]{0,40}") {
            let score = read_score(&reply);
            proptest::prop_assert!(score.is_none_or(|s| (WORST..=BEST).contains(&s)));
        }
    }
}
