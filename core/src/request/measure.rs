//! How long a text is, in characters and in estimated tokens.

/// What an image costs in tokens: GPT-4o's price of a 1024 x 1024 picture at high detail.
const IMAGE_TOKENS: u64 = 765;
/// What a chat template adds around each message.
const TURN_TOKENS: u64 = 4;
/// English prose and code hold about four characters in a token; JSON schemas too.
const QUARTERS_PER_TOKEN: u64 = 4;

/// A running length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Length {
    /// Unicode scalar values.
    pub(super) chars: u64,
    /// Quarters of a token.
    quarters: u64,
}

// === impl Length ===

impl Length {
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.len() as u64;
        if text.is_ascii() {
            return Length { chars: bytes, quarters: bytes };
        }
        text.chars().fold(Length::default(), |sum, c| Length {
            chars: sum.chars + 1,
            quarters: sum.quarters + quarters(c),
        })
    }

    pub(super) fn add(&mut self, other: Length) {
        self.chars = self.chars.saturating_add(other.chars);
        self.quarters = self.quarters.saturating_add(other.quarters);
    }

    /// The tokens of a request with this much text.
    pub(super) fn tokens(self, messages: u32, images: u32, tool_bytes: u64) -> u64 {
        let text = self.quarters.saturating_add(tool_bytes).div_ceil(QUARTERS_PER_TOKEN);
        text.saturating_add(u64::from(messages) * TURN_TOKENS)
            .saturating_add(u64::from(images) * IMAGE_TOKENS)
    }
}

/// Quarters of a token that one character costs in the usual byte-pair vocabularies.
fn quarters(c: char) -> u64 {
    match c {
        '\0'..='\x7f' => 1,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' => 4,
        '\u{ff00}'..='\u{ffef}' | '\u{10000}'.. => 4,
        _ => 2,
    }
}

/// A count, as large as `u32` can tell.
pub(super) fn saturate(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Length;

    #[test]
    fn four_ascii_characters_are_a_token_and_so_is_one_chinese_character() {
        assert_eq!(Length::of("abcdefgh").tokens(0, 0, 0), 2);
        assert_eq!(Length::of("日本語").tokens(0, 0, 0), 3);
        assert_eq!(Length::of("привет").tokens(0, 0, 0), 3);
        assert_eq!(Length::of("日本語").chars, 3);
    }

    #[test]
    fn messages_images_and_tool_definitions_cost_tokens_too() {
        assert_eq!(Length::of("").tokens(2, 1, 40), 8 + 765 + 10);
    }
}
