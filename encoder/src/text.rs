//! Which part of a text is read under the token cap.

/// The first `bytes` bytes of `text`, cut back to a character boundary.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::head;
    use proptest::prelude::*;

    #[test]
    fn a_short_text_is_read_whole() {
        assert_eq!(head("héllo", 100), "héllo");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(head("héllo", 2), "h");
    }

    proptest! {
        #[test]
        fn the_head_is_a_prefix_within_the_limit(text in ".{0,64}", bytes in 0usize..200) {
            let cut = head(&text, bytes);
            prop_assert!(text.starts_with(cut) && cut.len() <= bytes);
        }
    }
}
