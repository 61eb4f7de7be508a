//! Pasted texts, of which a head says what they are: logs, stack traces, long code blocks.

use std::borrow::Cow;

/// So many lines in a row that look like a log are one…
const LOG: usize = 12;
/// …of which so many are kept.
const LOG_HEAD: usize = 4;
/// A code block of more lines…
const BLOCK: usize = 40;
/// …keeps its fences and so many.
const BLOCK_HEAD: usize = 20;
/// Where in a line a time must stand, bytes.
const TIME_WITHIN: usize = 40;

/// Levels that open a line of a log.
const LEVELS: [&str; 8] = ["INFO", "WARN", "WARNING", "ERROR", "DEBUG", "TRACE", "FATAL", "CRITICAL"];
/// Fences of code blocks.
const FENCES: [&str; 2] = ["```", "~~~"];

/// Lines that belong together; places are bytes of the text.
struct Run {
    /// The fence that ends it; none of a log.
    fence: Option<&'static str>,
    /// Lines in it; of a log those that look like one.
    lines: usize,
    /// Where its last kept line ends.
    head: usize,
    /// Where its last line ends.
    end: usize,
}

/// The text without all but the heads of pasted logs and long code blocks.
pub(super) fn shorten(text: &str) -> Cow<'_, str> {
    let mut shortened = Shortened { text, kept: String::new(), copied: 0 };
    let (mut run, mut at): (Option<Run>, usize) = (None, 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match run.take() {
            Some(open) if open.fence.is_some_and(|fence| line.trim() == fence) => shortened.cut(&open, BLOCK),
            Some(mut open) if open.takes(line) => {
                open.add(line, at);
                run = Some(open);
            }
            other => {
                other.iter().for_each(|log| shortened.cut(log, LOG - 1));
                run = Run::opening(line, start, at);
            }
        }
    }
    // A block that nothing closes may end anywhere: it stays whole.
    run.iter().filter(|run| run.fence.is_none()).for_each(|log| shortened.cut(log, LOG - 1));
    shortened.end()
}

struct Shortened<'t> {
    text: &'t str,
    kept: String,
    /// Where what was dealt with ends.
    copied: usize,
}

// === impl Shortened ===

impl<'t> Shortened<'t> {
    /// Leaves out what of a run is behind its head, if it has more than `most` lines.
    fn cut(&mut self, run: &Run, most: usize) {
        if run.lines > most {
            self.kept.push_str(self.text.get(self.copied..run.head).unwrap_or_default());
            self.copied = run.end;
        }
    }

    fn end(self) -> Cow<'t, str> {
        match self.copied {
            0 => Cow::Borrowed(self.text),
            copied => Cow::Owned(self.kept + self.text.get(copied..).unwrap_or_default()),
        }
    }
}

// === impl Run ===

impl Run {
    /// The run that `line`, from `start` to `end`, opens.
    fn opening(line: &str, start: usize, end: usize) -> Option<Self> {
        let fence = FENCES.into_iter().find(|fence| line.trim_start().starts_with(fence));
        match fence {
            Some(fence) => Some(Self { fence: Some(fence), lines: 0, head: end, end }),
            None if is_log(line) => {
                let mut log = Self { fence: None, lines: 0, head: start, end };
                log.add(line, end);
                Some(log)
            }
            None => None,
        }
    }

    /// In a log, blank and indented lines go with those around them.
    fn takes(&self, line: &str) -> bool {
        self.fence.is_some() || line.trim().is_empty() || line.starts_with([' ', '\t']) || is_log(line)
    }

    fn add(&mut self, line: &str, end: usize) {
        let head = if self.fence.is_some() { BLOCK_HEAD } else { LOG_HEAD };
        if self.fence.is_some() || is_log(line) {
            self.lines += 1;
            self.end = end;
            self.head = if self.lines <= head { end } else { self.head };
        }
    }
}

/// Whether a line has a time or a level at its beginning, or is a frame of a stack.
fn is_log(line: &str) -> bool {
    let line = line.trim();
    let level = line.trim_start_matches(['[', '<', '*']);
    let level = level.split(|c: char| !c.is_ascii_uppercase()).next().unwrap_or_default();
    LEVELS.contains(&level) || is_frame(line) || has_time(line)
}

/// A frame as Java, JavaScript, C#, Rust (`at …`), Python (`File "…", line`), gdb (`#0 …`) and Go (`…go:12 +0x1`) have it.
fn is_frame(line: &str) -> bool {
    let place = |rest: &str| rest.contains('(') || rest.contains("::") || rest.contains(':');
    line.strip_prefix("at ").is_some_and(place)
        || (line.starts_with("File \"") && line.contains("\", line "))
        || (line.strip_prefix('#').is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
            && (line.contains(" 0x") || line.contains(" in ")))
        || (line.contains(".go:") && line.contains(" +0x"))
}

/// Whether `dddd-dd-dd`, `dddd/dd/dd` or `dd:dd:dd` stands near the line's beginning.
fn has_time(line: &str) -> bool {
    let start = line.as_bytes();
    let start = start.get(..TIME_WITHIN).unwrap_or(start);
    let shape = |window: &[u8], shape: &[u8]| {
        window.iter().zip(shape).all(|(b, s)| if *s == b'd' { b.is_ascii_digit() } else { b == s })
    };
    let has = |wanted: &[u8]| start.windows(wanted.len()).any(|window| shape(window, wanted));
    has(b"dd:dd:dd") || has(b"dddd-dd-dd") || has(b"dddd/dd/dd")
}
