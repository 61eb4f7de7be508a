//! What bodies and events say about an answer, API by API.

use serde::Deserialize;

use super::ResponseFacts;
use super::lenient::{Count, Id};
use super::output::Output;
use super::shapes::{Choices, MessageBody, MessageEvent, ResponseBody, ResponseEvent, Usage, Word};
use super::transcript::Transcript;
use crate::request::Api;

/// The reasons to end that mean a token limit cut the answer. The Responses API may say no more than
/// `incomplete`.
const TRUNCATED: [&str; 5] =
    ["length", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded"];

/// What was found so far.
#[derive(Debug)]
pub(super) struct Findings {
    api: Api,
    /// The API's last event came by, or the whole body was read.
    pub(super) complete: bool,
    /// Events, or the body, that could not be read or that report an error.
    pub(super) broken: u32,
    read: u32,
    output: Output,
    usage: Usage,
    finish_reason: Option<String>,
    truncated: bool,
    id: Option<String>,
    /// Takes in the answer's text, if it is asked for.
    pub(super) transcript: Option<Transcript>,
}

// === impl Findings ===

impl Findings {
    pub(super) fn new(api: Api) -> Self {
        Findings {
            api,
            complete: false,
            broken: 0,
            read: 0,
            output: Output::default(),
            usage: Usage::default(),
            finish_reason: None,
            truncated: false,
            id: None,
            transcript: None,
        }
    }

    /// Reads a plain body; `whole` says whether its end arrived.
    pub(super) fn of_body(api: Api, body: &[u8], whole: bool, mut transcript: Option<Transcript>) -> Self {
        if let Some(transcript) = &mut transcript {
            transcript.read_body(api, body);
        }
        let mut findings = Self { transcript, ..Self::new(api) };
        let read = match api {
            Api::ChatCompletions | Api::Completions => findings.choices(body),
            Api::Responses => parse::<ResponseBody<'_>>(body).map(|body| findings.response(body)),
            Api::Messages => parse::<MessageBody<'_>>(body).map(|body| findings.message(body)),
        };
        findings.count(read);
        findings.complete = whole && findings.read > 0;
        findings
    }

    /// Reads the data of one event.
    pub(super) fn read_event(&mut self, data: &[u8]) {
        if let Some(transcript) = &mut self.transcript {
            transcript.read_event(self.api, data);
        }
        let read = match self.api {
            Api::ChatCompletions | Api::Completions => self.choices(data),
            Api::Responses => parse::<ResponseEvent<'_>>(data).map(|event| self.response_event(event)),
            Api::Messages => parse::<MessageEvent<'_>>(data).map(|event| self.message_event(event)),
        };
        self.count(read);
    }

    /// Puts the findings into the facts.
    pub(super) fn fill(self, facts: ResponseFacts) -> ResponseFacts {
        let usage = &self.usage;
        let (prompt, cached) = match self.api {
            Api::Messages => {
                let parts =
                    [usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
                let prompt = parts.iter().filter_map(|part| part.0).reduce(u32::saturating_add);
                (prompt, usage.cache_read_input_tokens.0)
            }
            _ => {
                let details = usage.prompt_tokens_details.or(usage.input_tokens_details).unwrap_or_default();
                (usage.prompt_tokens.0.or(usage.input_tokens.0), details.cached_tokens.0)
            }
        };
        ResponseFacts {
            prompt_tokens: prompt,
            completion_tokens: usage.completion_tokens.0.or(usage.output_tokens.0),
            cached_tokens: cached,
            finish_reason: self.finish_reason,
            truncated: self.truncated,
            stream_complete: self.complete,
            body_valid: self.read > 0 && self.broken == 0,
            has_content: self.output.chars > 0 || self.output.tool,
            content_chars: self.output.chars,
            id: self.id,
            ..facts
        }
    }

    fn count(&mut self, read: Option<()>) {
        match read {
            Some(()) => self.read = self.read.saturating_add(1),
            None => self.broken = self.broken.saturating_add(1),
        }
    }

    /// Bodies and events of chat and completions have one shape, but for `message` and `delta`.
    fn choices(&mut self, data: &[u8]) -> Option<()> {
        let data = parse::<Choices<'_>>(data)?;
        for choice in data.choices.iter().flatten() {
            self.output = self.output.and(choice.text);
            for said in choice.message.iter().chain(&choice.delta) {
                let called = said.tool_calls.0 || said.function_call.0;
                self.output =
                    self.output.and(said.content).and(said.refusal).and(Output { chars: 0, tool: called });
            }
            self.finished(choice.finish_reason.as_ref());
        }
        self.named(data.id);
        self.used(data.usage);
        self.failed_if(data.error.0);
        Some(())
    }

    fn response(&mut self, body: ResponseBody<'_>) {
        self.named(body.id);
        let reason = body.incomplete_details.and_then(|details| details.reason);
        self.finished(reason.as_ref().or(body.status.as_ref()));
        // The last event repeats the whole answer; it counts only where no delta did.
        if self.output == Output::default() {
            self.output = body.output;
        }
        self.used(body.usage);
        self.failed_if(body.error.0);
    }

    fn response_event(&mut self, event: ResponseEvent<'_>) {
        match word(&event.kind) {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.output = self.output.and(event.delta)
            }
            "response.output_item.added" => self.output.tool |= event.item.tool,
            "response.completed" | "response.incomplete" => {
                self.complete = true;
                self.response(event.response.unwrap_or_default());
            }
            "response.failed" => {
                self.failed_if(true);
                self.response(event.response.unwrap_or_default());
            }
            "response.created" => self.named(event.response.unwrap_or_default().id),
            "error" => self.failed_if(true),
            _ => {}
        }
    }

    fn message(&mut self, body: MessageBody<'_>) {
        self.named(body.id);
        self.finished(body.stop_reason.as_ref());
        self.output = self.output.and(body.content);
        self.used(body.usage);
        self.failed_if(body.error.0);
    }

    fn message_event(&mut self, event: MessageEvent<'_>) {
        match word(&event.kind) {
            "message_start" => {
                // Its output count is a placeholder; only `message_delta` has the real one.
                let message = event.message.unwrap_or_default();
                self.named(message.id);
                self.used(message.usage.map(|usage| Usage { output_tokens: Count(None), ..usage }));
            }
            "content_block_start" => self.output = self.output.and(event.content_block),
            "content_block_delta" => {
                self.output = self.output.and(event.delta.unwrap_or_default().text);
            }
            "message_delta" => {
                self.finished(event.delta.unwrap_or_default().stop_reason.as_ref());
                self.used(event.usage);
            }
            "message_stop" => self.complete = true,
            "error" => self.failed_if(true),
            _ => {}
        }
    }

    /// The first name counts: an answer keeps its own.
    fn named(&mut self, id: Id) {
        self.id = self.id.take().or(id.0);
    }

    fn finished(&mut self, reason: Option<&Word<'_>>) {
        // Some servers send an empty reason until there is one.
        if let Some(Word(reason)) = reason
            && !reason.is_empty()
        {
            self.truncated |= TRUNCATED.contains(&reason.as_ref());
            self.finish_reason = Some(reason.to_string());
        }
    }

    /// Later counts replace earlier ones: where a server repeats them, they are running totals.
    fn used(&mut self, later: Option<Usage>) {
        let (Some(later), sum) = (later, &mut self.usage) else { return };
        let newer = |old: &mut Count, new: Count| *old = Count(new.0.or(old.0));
        newer(&mut sum.prompt_tokens, later.prompt_tokens);
        newer(&mut sum.completion_tokens, later.completion_tokens);
        newer(&mut sum.input_tokens, later.input_tokens);
        newer(&mut sum.output_tokens, later.output_tokens);
        newer(&mut sum.cache_read_input_tokens, later.cache_read_input_tokens);
        newer(&mut sum.cache_creation_input_tokens, later.cache_creation_input_tokens);
        sum.prompt_tokens_details = later.prompt_tokens_details.or(sum.prompt_tokens_details);
        sum.input_tokens_details = later.input_tokens_details.or(sum.input_tokens_details);
    }

    fn failed_if(&mut self, failed: bool) {
        self.broken = self.broken.saturating_add(u32::from(failed));
    }
}

/// An object of the shape `T`. serde would also fill it from an array's elements, hence the look at the
/// first byte.
fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Option<T> {
    let data = std::str::from_utf8(data.trim_ascii_start()).ok()?;
    data.starts_with('{').then(|| crate::json::from_str(data).ok()).flatten()
}

fn word<'w>(word: &'w Option<Word<'_>>) -> &'w str {
    word.as_ref().map_or("", |word| &word.0)
}
