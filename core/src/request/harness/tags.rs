//! Elements such as `<system-reminder>…</system-reminder>` that harnesses put around what they and the user say.

use std::borrow::Cow;
use std::collections::HashMap;

/// Whose words an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The harness's.
    Harness,
    /// The user's, among other things.
    User,
    /// The user's answer to a tool; it may stand amid the harness's words.
    Reply,
    /// The user's, and nothing beside it is.
    Only,
}

/// Elements by name, in lower case and with `-` for `_`.
const NAMES: [(Voice, &[&str]); 4] = [
    (Voice::Only, &["user-query", "userrequest", "user-request"]),
    (Voice::Reply, &["feedback", "user-message", "answer", "user-feedback"]),
    (Voice::User, &["task", "command-args", "new-task", "explicit-instructions"]),
    (
        Voice::Harness,
        &[
            // Claude Code
            "command-name",
            "command-message",
            "command-contents",
            "local-command-caveat",
            "user-memory-input",
            "ide-selection",
            "ide-opened-file",
            "ide-diagnostics",
            "task-notification",
            "user-prompt-submit-hook",
            "post-tool-use-hook",
            "bash-input",
            // Codex
            "user-instructions",
            "turn-aborted",
            "user-shell-command",
            "subagent-notification",
            // Cline, Roo Code
            "file-content",
            "final-file-content",
            "updated-file-edits-content",
            "folder-content",
            "url-content",
            "tool-error",
            // Cursor
            "additional-data",
            "attached-files",
            "open-and-recently-viewed-files",
            "user-info",
            "always-applied-workspace-rules",
            "cursor-rules-context",
            "manually-added-selection",
            "linter-errors",
            "project-layout",
            "agent-transcripts",
            // Copilot, Windsurf
            "editorcontext",
            "reminderinstructions",
            "attachments",
            "repocontext",
            "toolreferences",
            "additional-metadata",
            "ephemeral-message",
            // OpenHands, SWE-agent
            "extra-info",
            "repository-instructions",
            "returncode",
            "uploaded-files",
        ],
    ),
];

/// A name made of one of each is a harness's too: `environment_details`, `bash-stdout`, `tool_result` …
const MACHINES: [&str; 22] = [
    "system",
    "environment",
    "env",
    "command",
    "local-command",
    "bash",
    "shell",
    "terminal",
    "tool",
    "function",
    "mcp",
    "ide",
    "editor",
    "workspace",
    "git",
    "hook",
    "session",
    "repository",
    "repo",
    "runtime",
    "cwd",
    "context",
];
const REPORTS: [&str; 20] = [
    "reminder",
    "reminders",
    "details",
    "context",
    "output",
    "stdout",
    "stderr",
    "result",
    "results",
    "response",
    "info",
    "information",
    "status",
    "state",
    "caveat",
    "notification",
    "diagnostics",
    "error",
    "window",
    "summary",
];

/// Longest name, and longest tag with its attributes, bytes.
const MAX_NAME: usize = 48;
const MAX_TAG: usize = 400;

/// A text and the tags in it that harnesses use.
pub(super) struct Tagged<'t> {
    text: &'t str,
    tags: Vec<Tag>,
}

/// One tag; places are bytes of the text.
struct Tag {
    voice: Voice,
    start: usize,
    end: usize,
    /// Of an opening tag: the tag that closes it. None of a closing one, and of an opening one that nothing closes.
    closed_by: Option<usize>,
    opens: bool,
}

// === impl Tagged ===

impl<'t> Tagged<'t> {
    /// One pass over the text, and one back over its tags: linear however they are nested.
    pub(super) fn read(text: &'t str) -> Self {
        let mut tags = Vec::new();
        let mut names = Vec::new();
        for (start, _) in text.match_indices('<') {
            if let Some((tag, name)) = text.get(start..).and_then(|rest| Tag::read(rest, start)) {
                tags.push(tag);
                names.push(name);
            }
        }
        let mut closing: HashMap<&str, usize> = HashMap::new();
        for (place, (tag, name)) in tags.iter_mut().zip(&names).enumerate().rev() {
            match tag.opens {
                true => tag.closed_by = closing.get(name.as_str()).copied(),
                false => drop(closing.insert(name, place)),
            }
        }
        Self { text, tags }
    }

    /// What the elements of this voice hold, line by line; `None` if that is nothing.
    pub(super) fn spoken(&self, voice: Voice) -> Option<String> {
        let opened = self.tags.iter().filter(|tag| tag.voice == voice);
        let inside = opened.filter_map(|tag| {
            let close = self.tags.get(tag.closed_by?)?;
            self.text.get(tag.end..close.start).map(str::trim).filter(|said| !said.is_empty())
        });
        let said: Vec<&str> = inside.collect();
        (!said.is_empty()).then(|| said.join("\n"))
    }

    /// The text without the harness's elements, and without the tags around the user's.
    pub(super) fn stripped(&self) -> Cow<'t, str> {
        let (mut kept, mut copied) = (String::new(), 0);
        for tag in self.tags.iter().filter(|tag| !tag.opens || tag.closed_by.is_some()) {
            let Some(before) = self.text.get(copied..tag.start) else { continue };
            let close = tag.closed_by.and_then(|place| self.tags.get(place));
            kept.push_str(before);
            copied = match (tag.voice, close) {
                (Voice::Harness, Some(close)) => close.end,
                _ => tag.end,
            };
        }
        match copied {
            0 => Cow::Borrowed(self.text),
            _ => Cow::Owned(kept + self.text.get(copied..).unwrap_or_default()),
        }
    }
}

// === impl Tag ===

impl Tag {
    /// The tag that `rest` opens with, which is at `start` of the text, and its name; `None` if it is no harness's.
    fn read(rest: &str, start: usize) -> Option<(Self, String)> {
        let inner = rest.get(1..)?;
        let (opens, inner) = inner.strip_prefix('/').map_or((true, inner), |inner| (false, inner));
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let length = inner.bytes().take(MAX_NAME + 1).take_while(is_name).count();
        let (name, after) = inner.split_at_checked(length)?;
        let name = name.to_ascii_lowercase().replace('_', "-");
        let voice = voice_of(&name)?;
        let close = after.bytes().take(MAX_TAG).position(|b| b == b'>' || b == b'<')?;
        let attributes = after.get(..close)?;
        let ends = after.as_bytes().get(close) == Some(&b'>') && !attributes.ends_with('/');
        let spaced = attributes.is_empty() || attributes.starts_with(char::is_whitespace);
        let end = start + (rest.len() - after.len()) + close + 1;
        (ends && spaced).then_some((Self { voice, start, end, closed_by: None, opens }, name))
    }
}

fn voice_of(name: &str) -> Option<Voice> {
    let listed = NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(voice, _)| *voice);
    let composed = || {
        let (machine, report) = name.rsplit_once('-')?;
        (MACHINES.contains(&machine) && REPORTS.contains(&report)).then_some(Voice::Harness)
    };
    listed.or_else(composed)
}
