//! Which part of a text is read under the token cap.
//!
//! The first three quarters of what may be read are the text's head, the last quarter is its tail. On the prompts of public
//! benchmarks the router is as good with the head alone; but where an instruction follows pasted text, the head alone is
//! blind to it (`bench/excerpts.py`).

use std::borrow::Cow;

/// Bytes of text read per token of the cap: English needs about 5. So a ten-megabyte prompt costs the tokenizer no more
/// than a long one.
const BYTES_PER_TOKEN: usize = 8;

/// How much of `count` is the tail's.
fn tail_of(count: usize) -> usize {
    count / 4
}

/// What of `text` the tokenizer needs to see under a cap of `max_tokens`: all of it, or, if it is longer than any text
/// of so many tokens is likely to be, its head, a line break and its tail. White space at a long text's ends is not
/// read. An excerpt is its own excerpt, and texts with the same one have the same embedding.
pub fn excerpt(text: &str, max_tokens: usize) -> Cow<'_, str> {
    let limit = max_tokens.saturating_mul(BYTES_PER_TOKEN);
    let inner = if text.len() > limit { text.trim() } else { text };
    if inner.len() <= limit {
        return Cow::Borrowed(inner);
    }
    let tail = tail_of(limit);
    let (head, rest) = inner.split_at(inner.floor_char_boundary(limit.saturating_sub(tail + 1)));
    let tail = rest.split_at(rest.ceil_char_boundary(rest.len() - tail)).1;
    Cow::Owned([head, tail].join("\n"))
}

/// The ids that are read, at most `room`, of all ids of an excerpt.
pub(crate) fn cut(mut ids: Vec<u32>, room: usize) -> Vec<u32> {
    if ids.len() > room {
        let tail = tail_of(room);
        ids.drain(room - tail..ids.len() - tail);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quarter_is_read_from_the_tail() {
        let text = format!("{}{}", "h".repeat(1000), "t".repeat(1000));
        let ends = ["h".repeat(6 * BYTES_PER_TOKEN - 1), "t".repeat(2 * BYTES_PER_TOKEN)];
        assert_eq!(excerpt(&text, 8), ends.join("\n"));
        assert_eq!(cut((0..100).collect(), 8), [0, 1, 2, 3, 4, 5, 98, 99]);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let text = "é".repeat(100) + &"日".repeat(100);
        assert_eq!(excerpt(&text, 5), "é".repeat(14) + "\n" + &"日".repeat(3));
    }

    #[test]
    fn white_space_at_the_ends_of_a_long_text_is_not_worth_reading() {
        let space = " \n".repeat(1_000_000);
        assert_eq!(excerpt(&format!("{space}what?{space}"), 8), "what?");
        assert_eq!(excerpt(" what? ", 8), " what? ");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_a_short_text_itself_or_a_long_ones_two_ends(
            text in "[a-z é日\t]{0,120}", tokens in 1usize..12
        ) {
            let (limit, excerpt) = (tokens * BYTES_PER_TOKEN, excerpt(&text, tokens));
            prop_assert_eq!(&super::excerpt(&excerpt, tokens), &excerpt);
            if text.len() <= limit {
                prop_assert_eq!(&*excerpt, text.as_str());
            } else if let Some((head, tail)) = excerpt.split_once('\n') {
                prop_assert!(text.trim().starts_with(head) && text.trim().ends_with(tail));
                prop_assert!(head.len() + tail.len() <= limit && tail.len() <= head.len());
            } else {
                prop_assert!(excerpt == text.trim() && excerpt.len() <= limit);
            }
        }

        #[test]
        fn ids_that_have_room_are_all_read_and_else_the_first_and_the_last_in_order(
            count in 0u32..40, room in 0usize..20
        ) {
            let ids: Vec<u32> = (0..count).collect();
            let read = cut(ids.clone(), room);
            prop_assert_eq!(read.len(), ids.len().min(room));
            prop_assert!(read.is_sorted() && (room < 4 || read.last() == ids.last()));
        }
    }
}
