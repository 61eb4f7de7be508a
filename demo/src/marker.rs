//! The marker that opens every simulated answer, so that a caller can tell a good answer from a bad
//! one by reading it, without asking the router.

use std::fmt;

/// What a simulated answer says about itself: `[sim:small good category=code]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The model that answered, as the request named it.
    pub model: String,
    /// Whether the answer is a good one.
    pub good: bool,
    /// The category the simulator took the prompt for; `default` if it knew none.
    pub category: String,
}

// === impl Marker ===

impl Marker {
    /// Reads the marker an answer starts with; `None` if the answer does not come from the simulator
    /// or was cut inside its marker.
    pub fn read(answer: &str) -> Option<Self> {
        let (inside, _) = answer.trim_start().strip_prefix("[sim:")?.split_once(']')?;
        let (rest, category) = inside.rsplit_once(" category=")?;
        let (model, verdict) = rest.rsplit_once(' ')?;
        let good = match verdict {
            "good" => true,
            "bad" => false,
            _ => return None,
        };
        Some(Self { model: model.to_owned(), good, category: category.to_owned() })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.good { "good" } else { "bad" };
        write!(f, "[sim:{} {verdict} category={}]", self.model, self.category)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_marker_reads_back() {
        let marker = Marker { model: "small".into(), good: true, category: "code".into() };
        assert_eq!(marker.to_string(), "[sim:small good category=code]");
        assert_eq!(Marker::read(&format!("{marker} and then words")), Some(marker));
    }

    #[test]
    fn text_from_elsewhere_has_no_marker() {
        for text in ["", "Hello!", "[sim:small good", "[sim:small maybe category=code]", "[sim:small good]"] {
            assert_eq!(Marker::read(text), None, "{text:?}");
        }
    }
}
