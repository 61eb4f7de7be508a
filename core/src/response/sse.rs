//! Puts the lines of a stream together into events and reads each one.

use super::events::Findings;
use super::lines::{Line, LineCutter, MAX_LINE, clear};
use super::transcript::Transcript;
use crate::request::Api;

/// The last data of an OpenAI chat or completions stream.
const DONE: &[u8] = b"[DONE]";
/// A byte order mark may open a stream.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One stream on its way.
#[derive(Debug)]
pub(super) struct EventStream {
    lines: LineCutter,
    events: Events,
}

/// The event being put together, and what the earlier ones said.
#[derive(Debug)]
struct Events {
    first_line: bool,
    /// The event's data: its `data:` lines joined by `\n`.
    data: Vec<u8>,
    has_data: bool,
    /// Some of the event's data was too long to keep.
    lost: bool,
    /// The event's name, where it is one of the last of a stream.
    name: Option<&'static str>,
    findings: Findings,
}

/// The event names that end a stream. An event whose data is too long to read still has its name:
/// `response.completed` repeats the whole answer.
const LAST_EVENTS: [&str; 3] = ["response.completed", "response.incomplete", "message_stop"];

// === impl EventStream ===

impl EventStream {
    pub(super) fn new(api: Api) -> Self {
        let events = Events {
            first_line: true,
            data: Vec::new(),
            has_data: false,
            lost: false,
            name: None,
            findings: Findings::new(api),
        };
        EventStream { lines: LineCutter::default(), events }
    }

    /// Asks for the answer's text too.
    pub(super) fn keep_text(&mut self, transcript: Transcript) {
        self.events.findings.transcript = Some(transcript);
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        let events = &mut self.events;
        self.lines.push(chunk, |line| events.line(line));
    }

    /// What the stream said. The standard drops an event without its blank line; servers that forget the
    /// last one are common, so it is read here, but a cut event is not held against the ones before it.
    pub(super) fn finish(self) -> Findings {
        let mut events = self.events;
        self.lines.finish(|line| events.line(line));
        let broken_before = events.findings.broken;
        if !events.lost {
            events.dispatch();
        }
        events.findings.broken = broken_before;
        events.findings
    }
}

// === impl Events ===

impl Events {
    fn line(&mut self, line: Line<'_>) {
        let Line::Whole(mut line) = line else {
            self.first_line = false;
            self.lost = true;
            return;
        };
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        if let Some(value) = field(line, b"data") {
            self.add_data(value);
        } else if let Some(value) = field(line, b"event") {
            self.name = LAST_EVENTS.into_iter().find(|name| name.as_bytes() == value);
        }
        // Comments (`: ping`), `id`, `retry` and unknown fields say nothing about the answer.
    }

    fn add_data(&mut self, value: &[u8]) {
        if self.data.len() + value.len() >= MAX_LINE {
            self.lost = true;
            return clear(&mut self.data);
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self) {
        if self.lost {
            self.findings.broken += 1;
            self.findings.complete |= self.name.is_some();
        } else if self.has_data {
            match self.data.trim_ascii() {
                DONE => self.findings.complete = true,
                b"" => {}
                data => self.findings.read_event(data),
            }
        }
        clear(&mut self.data);
        self.has_data = false;
        self.lost = false;
        self.name = None;
    }
}

/// The value of a line `name: value` or `name:value`, or nothing if it is another field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
