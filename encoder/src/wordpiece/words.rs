//! Text to words: what the crate `tokenizers` calls `BertNormalizer` and `BertPreTokenizer`, in one pass over the text.
//!
//! The tables of Unicode are that crate's too: 9.0 for decompositions, what its day had for categories. Newer ones would
//! give other ids than those the models were trained on.

use serde::Deserialize;
use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

/// The options of a `BertNormalizer`.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Rules {
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    lowercase: bool,
}

/// How a text falls into words.
pub(super) struct Words {
    clean: bool,
    split_chinese: bool,
    strip_accents: bool,
    lowercase: bool,
    /// Where each ASCII character belongs, if it is not dropped: most texts need no other table.
    ascii: [Option<Place>; 128],
}

/// Where a character of the cleaned text belongs.
#[derive(Clone, Copy)]
enum Place {
    /// Between words.
    Space,
    /// In a word of its own.
    Alone,
    /// In a word with those beside it.
    Inside,
}

/// Words under way.
struct Flow<'a, F> {
    words: &'a Words,
    word: String,
    /// Characters that wait for others which canonical order puts before them, and their combining classes.
    waiting: Vec<(u8, char)>,
    take: F,
}

impl Words {
    pub(super) fn new(rules: Rules) -> Self {
        let Rules { clean_text: clean, handle_chinese_chars: split_chinese, strip_accents, lowercase } =
            rules;
        let strip_accents = strip_accents.unwrap_or(lowercase);
        let ascii = std::array::from_fn(|i| {
            let c = char::from(i as u8);
            (!clean || !is_dropped(c)).then(|| place(c))
        });
        Self { clean, split_chinese, strip_accents, lowercase, ascii }
    }

    /// Hands the words of `text` to `take`, one after the other; none is empty.
    pub(super) fn each(&self, text: &str, take: impl FnMut(&str)) {
        let mut flow = Flow { words: self, word: String::new(), waiting: Vec::new(), take };
        for c in text.chars() {
            match self.ascii.get(c as usize) {
                Some(Some(place)) => flow.ascii(c, *place),
                Some(None) => {}
                None => flow.clean(c),
            }
        }
        flow.settle();
        flow.end();
    }
}

impl<F: FnMut(&str)> Flow<'_, F> {
    /// All that the steps below do to an ASCII character.
    #[inline]
    fn ascii(&mut self, c: char, place: Place) {
        self.settle();
        self.put(if self.words.lowercase { c.to_ascii_lowercase() } else { c }, place);
    }

    fn clean(&mut self, c: char) {
        if self.words.clean && is_dropped(c) {
            return;
        }
        match self.words.split_chinese && is_chinese(c) {
            false => self.strip(c),
            true => [' ', c, ' '].into_iter().for_each(|c| self.strip(c)),
        }
    }

    /// Decomposes a character and drops its accents.
    fn strip(&mut self, c: char) {
        if !self.words.strip_accents {
            return self.lower(c);
        }
        decompose_canonical(c, |c| {
            let class = canonical_combining_class(c);
            if class == 0 {
                self.settle();
            }
            match (c.is_mark_nonspacing(), class) {
                (true, _) => {}
                (false, 0) => self.lower(c),
                (false, _) => self.waiting.push((class, c)),
            }
        });
    }

    /// Lets those go on that waited for each other: in canonical order (Unicode, section 3.11, D109).
    fn settle(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.sort_by_key(|(class, _)| *class);
            std::mem::take(&mut self.waiting).into_iter().for_each(|(_, c)| self.lower(c));
        }
    }

    fn lower(&mut self, c: char) {
        match self.words.lowercase {
            false => self.put(c, place(c)),
            true => c.to_lowercase().for_each(|c| self.put(c, place(c))),
        }
    }

    #[inline]
    fn put(&mut self, c: char, place: Place) {
        match place {
            Place::Inside => self.word.push(c),
            Place::Space => self.end(),
            Place::Alone => {
                self.end();
                (self.take)(c.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn end(&mut self) {
        if !self.word.is_empty() {
            (self.take)(&self.word);
            self.word.clear();
        }
    }
}

fn place(c: char) -> Place {
    match c {
        _ if c.is_whitespace() => Place::Space,
        _ if c.is_ascii_punctuation() || c.is_punctuation() => Place::Alone,
        _ => Place::Inside,
    }
}

/// Whether cleaning drops a character. White space that stays needs no cleaning: all of it separates words.
fn is_dropped(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\0' | char::REPLACEMENT_CHARACTER => true,
        _ => c.is_other(),
    }
}

/// Whether a character is in the blocks whose characters are words each.
fn is_chinese(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}
