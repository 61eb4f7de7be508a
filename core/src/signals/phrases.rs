//! Finds many words and phrases in a text in one pass, as whole words.

use aho_corasick::Input;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;

/// A set of phrases. Texts and phrases are folded the same way before they meet: white space in a row
/// becomes one space, curly apostrophes become straight, and (unless case matters) every character
/// becomes its Unicode lower case, one by one, so that no context such as a final sigma matters.
/// One kind of automaton for all: the crate's choice among three was more code than it saved time.
#[derive(Debug)]
pub(super) struct Phrases(NFA);

// === impl Phrases ===

impl Phrases {
    /// Compiles phrases; a match later names one by its place in the list.
    pub(super) fn new<'p>(
        phrases: impl IntoIterator<Item = &'p str>,
        case_sensitive: bool,
    ) -> Result<Self, String> {
        let folded = phrases.into_iter().map(|phrase| fold(phrase, case_sensitive));
        let folded: Vec<String> = folded.collect();
        let automaton = NFA::builder().prefilter(false).build(&folded);
        automaton.map(Self).map_err(|error| format!("the keywords are too many to compile: {error}"))
    }

    /// Hands each whole-word occurrence in a text that is folded as the phrases are to `each`, as its place in the
    /// list. Occurrences may overlap.
    pub(super) fn find(&self, folded: &str, mut each: impl FnMut(usize)) {
        if self.0.patterns_len() == 0 {
            return;
        }
        // It refuses nothing of a standard automaton.
        for found in self.0.try_find_overlapping_iter(Input::new(folded)).into_iter().flatten() {
            if is_boundary(folded, found.start()) && is_boundary(folded, found.end()) {
                each(found.pattern().as_usize());
            }
        }
    }
}

/// The form in which phrases and texts are compared.
pub(super) fn fold(text: &str, case_sensitive: bool) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut after_space = false;
    for c in text.chars() {
        let space = c.is_whitespace();
        match c {
            _ if space && after_space => {}
            _ if space => folded.push(' '),
            '’' => folded.push('\''),
            _ if case_sensitive => folded.push(c),
            _ if c.is_ascii() => folded.push(c.to_ascii_lowercase()),
            // No case here, and long tables to find that out.
            '\u{3040}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => folded.push(c),
            _ => folded.extend(c.to_lowercase()),
        }
        after_space = space;
    }
    folded
}

/// Whether no word runs across this place of the text.
fn is_boundary(text: &str, place: usize) -> bool {
    let Some((before, after)) = text.split_at_checked(place) else { return false };
    let joins = |c: Option<char>| c.is_some_and(joins_words);
    !(joins(before.chars().next_back()) && joins(after.chars().next()))
}

/// Whether a character makes one word with such neighbours. Scripts that put no spaces between words
/// (Chinese, Japanese, Thai, …) or hang particles on them (Korean) have no boundary to look for.
fn joins_words(c: char) -> bool {
    match c {
        _ if c.is_ascii() => c.is_ascii_alphanumeric() || c == '_',
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => false,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'.. => false,
        _ => c.is_alphanumeric() || ('\u{0300}'..='\u{036f}').contains(&c),
    }
}
