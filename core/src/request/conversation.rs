//! Walks the messages of a request, judges their shape and counts what is in them.

use std::borrow::Cow;

use super::complaints::complains;
use super::error::RequestError;
use super::harness::user_words;
use super::measure::{Length, saturate};
use super::node::{Key, Node};
use super::thread::ThreadHasher;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
    System,
    /// Tools, and roles that are not known: text that counts, but no turn.
    Other,
}

const ROLES: [(&str, Speaker); 4] = [
    ("user", Speaker::User),
    ("assistant", Speaker::Assistant),
    ("system", Speaker::System),
    ("developer", Speaker::System),
];

/// What a part is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartKind {
    Text,
    Image,
    ToolResult,
    Other,
}

const PARTS: [(&str, PartKind); 8] = [
    ("text", PartKind::Text),
    ("input_text", PartKind::Text),
    ("output_text", PartKind::Text),
    ("image_url", PartKind::Image),
    ("input_image", PartKind::Image),
    ("image", PartKind::Image),
    ("tool_result", PartKind::ToolResult),
    ("tool_use", PartKind::Other),
];

/// The running counts, with the texts of the last user turn.
#[derive(Debug, Default)]
pub(super) struct Conversation<'n> {
    pub(super) user_turns: u32,
    pub(super) turns: u32,
    pub(super) complaints: u32,
    pub(super) images: u32,
    pub(super) messages: u32,
    pub(super) system: Length,
    pub(super) total: Length,
    /// Whether a tool's result stands behind the last user turn.
    pub(super) continues: bool,
    /// Hashes what is added, if it is asked to.
    pub(super) thread: Option<ThreadHasher>,
    /// What the user said last, without the words of a harness.
    last_user: Vec<Cow<'n, str>>,
    /// What the last user message of a harness's words alone holds.
    last_harness: Vec<&'n str>,
    /// Whether an answer stands before the last user turn; only then can it complain.
    pub(super) last_user_replies: bool,
    answered: bool,
}

/// What one message's content holds.
#[derive(Default)]
struct Holding<'n> {
    /// The speaker's own texts; results of tools are only measured.
    texts: Vec<&'n str>,
    length: Length,
    images: u32,
}

// === impl Conversation ===

impl<'n> Conversation<'n> {
    /// Nothing read yet; what will be is hashed too, if there is a hasher.
    pub(super) fn hashed_by(thread: Option<ThreadHasher>) -> Self {
        Self { thread, ..Self::default() }
    }

    /// Adds the messages (chat, Messages) or items (Responses) in the field called `name`.
    pub(super) fn read_messages(&mut self, name: &str, messages: &'n Node<'_>) -> Result<(), RequestError> {
        let list = match messages {
            Node::Absent => return Ok(()),
            Node::List(list) => list,
            _ => return Err(RequestError::wrong_type(name, "an array of messages")),
        };
        list.iter().try_for_each(|message| self.read_message(name, message))
    }

    /// Adds a text, or a list of parts, that the system says.
    pub(super) fn read_system(&mut self, name: &str, content: &'n Node<'_>) -> Result<(), RequestError> {
        if !matches!(content, Node::Absent) {
            let holding = Holding::read(name, content)?;
            self.add(Speaker::System, holding);
        }
        Ok(())
    }

    /// Adds one user turn made of a text or a list of texts. A list of token numbers (legal in the
    /// completions API) holds no text and adds nothing.
    pub(super) fn read_user(&mut self, name: &str, content: &'n Node<'_>) -> Result<(), RequestError> {
        let mut holding = Holding::default();
        match content {
            Node::Absent => return Ok(()),
            Node::Text(text) => holding.say(text),
            Node::List(list) => list.iter().filter_map(Node::as_text).for_each(|text| holding.say(text)),
            _ => return Err(RequestError::wrong_type(name, "a string or an array of strings")),
        }
        self.add(Speaker::User, holding);
        Ok(())
    }

    /// The last user turn that has text: its texts joined by `\n`, trimmed. A harness's words count only where there
    /// are no others.
    pub(super) fn prompt(&self) -> Option<String> {
        let joined = match self.last_user.as_slice() {
            [] => self.last_harness.join("\n"),
            said => said.join("\n"),
        };
        let trimmed = joined.trim();
        match trimmed.len() {
            0 => None,
            all if all == joined.len() => Some(joined),
            _ => Some(trimmed.to_owned()),
        }
    }

    /// Whether the last user turn complains, whatever stands before it: the answer may be the server's to keep.
    pub(super) fn complains(&self) -> bool {
        self.last_user.iter().any(|text| complains(text))
    }

    fn read_message(&mut self, name: &str, message: &'n Node<'_>) -> Result<(), RequestError> {
        if !matches!(message, Node::Object(_)) {
            return Err(RequestError::wrong_type(format!("{name}[]"), "an object"));
        }
        let speaker = match message.get(Key::Role) {
            Node::Absent => None,
            Node::Text(role) => Some(look_up(&ROLES, role).unwrap_or(Speaker::Other)),
            _ => return Err(RequestError::wrong_type(format!("{name}[].role"), "a string")),
        };
        let Some(speaker) = speaker else { return self.read_item(name, message) };
        let holding = Holding::read(&format!("{name}[].content"), message.get(Key::Content))?;
        self.add(speaker, holding);
        Ok(())
    }

    /// The Responses API mixes items without a role between the messages: calls, their outputs,
    /// reasoning. Text outputs count as text; their other shapes are the tools' own affair.
    fn read_item(&mut self, name: &str, item: &'n Node<'_>) -> Result<(), RequestError> {
        let output = item.get(Key::Output);
        if matches!(output, Node::Text(_) | Node::List(_)) {
            let holding = Holding::read(&format!("{name}[].output"), output)?;
            self.add(Speaker::Other, holding);
        }
        Ok(())
    }

    fn add(&mut self, speaker: Speaker, holding: Holding<'n>) {
        self.messages += 1;
        self.images = self.images.saturating_add(holding.images);
        self.total.add(holding.length);
        self.hash(speaker, &holding.texts);
        match speaker {
            Speaker::System => self.system.add(holding.length),
            Speaker::Assistant => {
                self.turns += 1;
                self.answered = true;
            }
            Speaker::User if holding.texts.iter().any(|text| !text.trim().is_empty()) => {
                self.add_user(holding)
            }
            // A user turn without text holds results of tools, unless it holds pictures.
            Speaker::User => self.continues |= holding.images == 0,
            Speaker::Other => self.continues = true,
        }
    }

    fn hash(&mut self, speaker: Speaker, texts: &[&str]) {
        // Empty texts come and go with tool calls; a message without a text is none here.
        let texts = || texts.iter().filter(|text| !text.trim().is_empty());
        if let Some(thread) = &mut self.thread
            && speaker != Speaker::Other
            && texts().next().is_some()
        {
            thread.speaker(speaker as u8);
            texts().for_each(|text| thread.add(text));
        }
    }

    fn add_user(&mut self, holding: Holding<'n>) {
        let words = user_words(&holding.texts);
        if words.is_empty() {
            self.last_harness = holding.texts;
            // As a tool's result is: the user has said nothing new.
            self.continues = true;
            return;
        }
        self.turns += 1;
        self.user_turns += 1;
        let before = std::mem::replace(&mut self.last_user, words);
        let complained = self.last_user_replies && before.iter().any(|text| complains(text));
        self.complaints += u32::from(complained);
        self.last_user_replies = self.answered;
        self.continues = false;
        if let Some(thread) = &mut self.thread {
            thread.turn();
        }
    }
}

// === impl Holding ===

impl<'n> Holding<'n> {
    fn read(path: &str, content: &'n Node<'_>) -> Result<Self, RequestError> {
        let mut holding = Holding::default();
        holding.read_content(path, content, false)?;
        Ok(holding)
    }

    fn read_content(&mut self, path: &str, content: &'n Node<'_>, tool: bool) -> Result<(), RequestError> {
        match content {
            Node::Absent => Ok(()),
            Node::Text(text) => {
                self.hear(text, tool);
                Ok(())
            }
            Node::List(parts) => parts.iter().try_for_each(|part| self.read_part(path, part, tool)),
            _ => Err(RequestError::wrong_type(path, "a string, an array of parts or null")),
        }
    }

    fn read_part(&mut self, path: &str, part: &'n Node<'_>, tool: bool) -> Result<(), RequestError> {
        match part {
            Node::Text(text) => {
                self.hear(text, tool);
                return Ok(());
            }
            Node::Object(_) => {}
            _ => return Err(RequestError::wrong_type(format!("{path}[]"), "an object")),
        }
        match part.kind().and_then(|kind| look_up(&PARTS, kind)).unwrap_or(PartKind::Other) {
            PartKind::Text => match part.get(Key::Text) {
                Node::Text(text) => self.hear(text, tool),
                Node::Absent => {}
                _ => return Err(RequestError::wrong_type(format!("{path}[].text"), "a string")),
            },
            PartKind::Image => self.images = self.images.saturating_add(1),
            PartKind::ToolResult => {
                return self.read_content(&format!("{path}[].content"), part.get(Key::Content), true);
            }
            PartKind::Other => {}
        }
        Ok(())
    }

    fn hear(&mut self, text: &'n str, tool: bool) {
        if tool { self.length.add(Length::of(text)) } else { self.say(text) }
    }

    fn say(&mut self, text: &'n str) {
        self.length.add(Length::of(text));
        self.texts.push(text);
    }
}

fn look_up<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
}

/// Characters, as the facts tell them.
pub(super) fn chars(length: Length) -> u32 {
    saturate(length.chars)
}
