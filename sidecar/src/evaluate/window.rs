//! The window of time: RFC 3339 or an age.

use jiff::Timestamp;

/// Milliseconds of each unit of an age.
const UNITS: [(&str, u64); 5] =
    [("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// `from..until` in milliseconds since the Unix epoch; what is not given is open.
///
/// # Errors
///
/// A sentence: a text is neither a time nor an age, or the window is empty.
pub(crate) fn read(since: Option<&str>, until: Option<&str>, now: u64) -> Result<(u64, u64), String> {
    let at = |name: &str, text: Option<&str>, open| {
        text.map_or(Ok(open), |text| {
            moment(text, now).ok_or_else(|| {
                format!(
                    "{name} {text}: is neither a time such as 2026-03-01T12:00:00Z nor an age such as 7d, 12h or 30m"
                )
            })
        })
    };
    let (from, until) = (at("--since", since, 0)?, at("--until", until, u64::MAX)?);
    match from < until {
        true => Ok((from, until)),
        false => Err("--since is not before --until: no request can be between them".into()),
    }
}

/// A moment as RFC 3339.
pub(crate) fn text(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| ms.to_string(), |t| t.to_string())
}

fn moment(text: &str, now: u64) -> Option<u64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return u64::try_from(time.as_millisecond()).ok();
    }
    let (unit, ms) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(now.saturating_sub(count.checked_mul(*ms)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ages_are_moments() {
        assert_eq!(read(None, None, 7), Ok((0, u64::MAX)));
        assert_eq!(
            read(Some("1970-01-02T00:00:00Z"), Some("1970-01-02T01:00:00-01:00"), 0),
            Ok((86_400_000, 93_600_000))
        );
        assert_eq!(read(Some("2d"), Some("1h"), 200_000_000), Ok((27_200_000, 196_400_000)));
        assert_eq!(text(86_400_000), "1970-01-02T00:00:00Z");
    }

    #[test]
    fn what_is_neither_is_refused_with_its_name() {
        assert!(read(Some("soon"), None, 0).unwrap_err().starts_with("--since soon: is neither a time"));
        assert!(read(Some("1h"), Some("2h"), 9_000_000).unwrap_err().contains("not before --until"));
    }
}
