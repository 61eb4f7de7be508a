//! One pass over the characters of a prompt, and the windows that keep long prompts cheap.

use std::borrow::Cow;

/// Stands between head and tail. Its underscores join the words cut on both sides, so that half a word
/// never counts as a whole one.
const SEAM: &str = "_\u{0}_";

/// The text, or `bytes` of its head and of its tail if it is longer than both.
pub(super) fn window_of_bytes(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= 2 * bytes {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(bytes);
    let tail = text.ceil_char_boundary(text.len().saturating_sub(bytes));
    joined(text, head, tail)
}

/// The text, or `chars` characters of its head and of its tail if it is longer than both.
pub(super) fn window_of_chars(text: &str, chars: usize) -> Cow<'_, str> {
    let cut = || {
        let (head, _) = text.char_indices().nth(chars)?;
        let (tail, _) = text.char_indices().nth_back(chars.checked_sub(1)?)?;
        (head < tail).then(|| joined(text, head, tail))
    };
    cut().unwrap_or(Cow::Borrowed(text))
}

fn joined(text: &str, head: usize, tail: usize) -> Cow<'_, str> {
    match (text.get(..head), text.get(tail..)) {
        (Some(head), Some(tail)) => Cow::Owned([head, SEAM, tail].concat()),
        _ => Cow::Borrowed(text),
    }
}

/// Counts over a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scan {
    /// Characters that are not white space.
    pub(super) visible: u32,
    pub(super) digits: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    /// Letters by script; `latin_marked` are the Latin ones outside ASCII.
    pub(super) latin: u32,
    pub(super) latin_marked: u32,
    pub(super) cjk: u32,
    pub(super) cyrillic: u32,
    pub(super) other_letters: u32,
    /// Characters that prose seldom uses and programs always do.
    pub(super) syntax: u32,
    /// `?` in any script.
    pub(super) questions: u32,
    /// Signs such as ∫ ≤ π.
    pub(super) math_signs: u32,
    /// LaTeX commands: a backslash and a letter.
    pub(super) latex: u32,
    /// An operator between two operands of which one is a digit: `3 + 4`, `x^2`.
    pub(super) operations: u32,
    /// Lines that are not empty.
    pub(super) lines: u32,
    /// Lines that end as statements do: `;`, `{` or `}`.
    pub(super) statement_lines: u32,
    /// Lines that begin as points of a list do: `-`, `*`, `•` or `1.`.
    pub(super) list_lines: u32,
}

// === impl Scan ===

impl Scan {
    pub(super) fn of(text: &str) -> Self {
        let mut scan = Scan::default();
        // The last three visible characters: operand, operator, operand; and the last one of all.
        let (mut first, mut second, mut last) = (' ', ' ', ' ');
        for c in text.chars() {
            if c == '\\' || !c.is_whitespace() {
                scan.visible += 1;
                scan.count(c);
                scan.latex += u32::from(last == '\\' && c.is_ascii_alphabetic());
                let operation = is_operator(second) && is_operand(first) && is_operand(c);
                scan.operations += u32::from(operation && (first.is_ascii_digit() || c.is_ascii_digit()));
                (first, second) = (second, c);
            }
            last = c;
        }
        text.lines().for_each(|line| scan.line(line.trim()));
        scan
    }

    pub(super) fn digit_share(&self) -> f32 {
        share(self.digits, self.visible)
    }

    pub(super) fn upper_share(&self) -> f32 {
        share(self.upper, self.upper + self.lower)
    }

    fn count(&mut self, c: char) {
        match c {
            'a'..='z' => (self.lower, self.latin) = (self.lower + 1, self.latin + 1),
            'A'..='Z' => (self.upper, self.latin) = (self.upper + 1, self.latin + 1),
            '0'..='9' => self.digits += 1,
            '?' | '？' | '؟' | ';' => {
                self.questions += u32::from(c != ';');
                self.syntax += u32::from(c == ';');
            }
            '{' | '}' | '[' | ']' | '(' | ')' | '<' | '>' | '=' | '_' | '&' | '|' | '#' | '`' | '$' => {
                self.syntax += 1
            }
            '\0'..='\x7f' => {}
            'π' | '×' | '÷' | '±' | '√' | '\u{2200}'..='\u{22ff}' => self.math_signs += 1,
            _ => self.count_letter(c),
        }
    }

    fn count_letter(&mut self, c: char) {
        match c {
            // First, since these have no case and long tables to find that out.
            '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' => {
                return self.cjk += 1;
            }
            '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{20000}'..='\u{3ffff}' => {
                return self.cjk += 1;
            }
            _ if !c.is_alphabetic() => return,
            '\u{00aa}'..='\u{024f}' | '\u{1e00}'..='\u{1eff}' => {
                self.latin += 1;
                self.latin_marked += 1;
            }
            '\u{0400}'..='\u{052f}' => self.cyrillic += 1,
            _ => self.other_letters += 1,
        }
        self.upper += u32::from(c.is_uppercase());
        self.lower += u32::from(c.is_lowercase());
    }

    fn line(&mut self, line: &str) {
        let mut start = line.chars();
        let listed = match start.next() {
            None => return,
            Some('-' | '*' | '•') => start.next() == Some(' '),
            Some('0'..='9') => matches!(start.find(|c| !c.is_ascii_digit()), Some('.' | ')')),
            Some(_) => false,
        };
        self.lines += 1;
        self.list_lines += u32::from(listed);
        self.statement_lines += u32::from(line.ends_with([';', '{', '}']));
    }
}

/// `part / whole`, 0 for an empty whole.
pub(super) fn share(part: u32, whole: u32) -> f32 {
    if whole == 0 { 0.0 } else { part as f32 / whole as f32 }
}

fn is_operator(c: char) -> bool {
    matches!(c, '+' | '-' | '*' | '/' | '^' | '=' | '×' | '÷' | '<' | '>' | '≤' | '≥')
}

fn is_operand(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '(' | ')')
}
